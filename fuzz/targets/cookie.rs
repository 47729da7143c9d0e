//! The session cookie: what no key made is refused, and what a key made is read or refused,
//! whatever it is.
#![no_main]

use std::sync::LazyLock;

use dewar::session::codec::tagged;
use dewar::session::signing::{self, SESSION_SALT, Signer};
use libfuzzer_sys::fuzz_target;

/// The key of the seeds.
static SIGNER: LazyLock<Signer> =
    LazyLock::new(|| Signer::new(b"dev", &[b"older".to_vec()], SESSION_SALT));

const NOW: i64 = 1_714_979_289;

fn read(cookie: &str) {
    if let Ok(verified) = signing::verify(cookie, &SIGNER, NOW, i64::MAX)
        && let Ok(text) = String::from_utf8(verified.payload)
    {
        let _ = tagged::decode(&text);
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        // As it comes from anybody: only the seeds' own signatures are right.
        if let Ok((message, 0)) = SIGNER.unsign(text) {
            assert_eq!(SIGNER.sign(message), text, "two signatures for one message");
        }
        let _ = signing::peek(text);
        read(text);
        // The same as if a holder of the key had made it, which leads behind the signature: with
        // a time in it, and with one added.
        read(&SIGNER.sign(text));
        read(&SIGNER.sign(&format!("{text}.ZjiB2Q")));
    }
    let signed = signing::sign(bytes, &SIGNER, NOW);
    let verified = signing::verify(&signed, &SIGNER, NOW, 0).expect("signed just now");
    assert_eq!(verified.payload, bytes);
    read(&signed);
});
