//! itsdangerous: the signatures on Flask's session cookie and on Flask-Session's ids.
//!
//! A [`Signer`] holds the keys derived for one purpose, so that what was signed for another
//! cannot pass. [`sign`] and [`verify`] add a payload's time and its encoding, as
//! `URLSafeTimedSerializer` does.

use std::cell::RefCell;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::bufread::ZlibDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The purpose of Flask's session cookie.
pub const SESSION_SALT: &str = "cookie-session";
/// The purpose of Flask-Session's signed ids (`SESSION_USE_SIGNER`).
pub const ID_SALT: &str = "flask-session";

/// The largest payload that is inflated, in bytes. Flask sets no limit; only a holder of the key
/// could make a larger one.
pub const MAX_PAYLOAD: usize = 1024 * 1024;

/// Why something signed is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It has not the form of something signed.
    #[error("it is not a signed value")]
    Malformed,
    /// No key made its signature.
    #[error("no key made its signature")]
    BadSignature,
    /// It is older than allowed.
    #[error("it is {age} seconds old, more than allowed")]
    Expired {
        /// Its age in seconds.
        age: i64,
    },
    /// It was signed at a later time than now: the clocks of two hosts differ.
    #[error("it was signed {ahead} seconds in the future")]
    FromTheFuture {
        /// By how many seconds.
        ahead: i64,
    },
    /// It is rightly signed but cannot be decoded.
    #[error("it is rightly signed, but not base64 and zlib")]
    Unreadable,
}

/// The keys for one purpose: HMAC-SHA-1 of the purpose under each secret, as itsdangerous derives
/// them. The first signs; all verify.
#[derive(Clone)]
pub struct Signer {
    keys: Vec<Hmac<Sha1>>,
}

/// Shows no key.
impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Signer({} keys)", self.keys.len())
    }
}

fn mac(key: &[u8]) -> Hmac<Sha1> {
    // HMAC takes keys of any length.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()))
}

impl Signer {
    /// Derives the keys. `fallbacks` verify too, the last of them first, as in Flask.
    pub fn new(secret: &[u8], fallbacks: &[Vec<u8>], salt: &str) -> Self {
        let secrets = std::iter::once(secret).chain(fallbacks.iter().rev().map(Vec::as_slice));
        let derive = |secret: &[u8]| {
            let derived = mac(secret).chain_update(salt).finalize().into_bytes();
            mac(&derived)
        };
        Self { keys: secrets.map(derive).collect() }
    }

    /// The signature of `message`: 27 characters of URL-safe base64.
    pub fn signature(&self, message: &str) -> String {
        let signed = self.keys.first().map(|key| key.clone().chain_update(message).finalize());
        signed.map(|signed| URL_SAFE_NO_PAD.encode(signed.into_bytes())).unwrap_or_default()
    }

    /// Splits `message.signature` at its last dot, and answers the message and which key signed
    /// it, 0 being the signing one. Signatures are compared in constant time.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] without a dot, [`Rejected::BadSignature`] when no key fits.
    pub fn unsign<'t>(&self, text: &'t str) -> Result<(&'t str, usize), Rejected> {
        let (message, signature) = text.rsplit_once('.').ok_or(Rejected::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Rejected::BadSignature)?;
        let fits =
            |key: &Hmac<Sha1>| key.clone().chain_update(message).verify_slice(&signature).is_ok();
        let key = self.keys.iter().position(fits).ok_or(Rejected::BadSignature)?;
        Ok((message, key))
    }

    /// `message.signature`.
    pub fn sign(&self, message: &str) -> String {
        format!("{message}.{}", self.signature(message))
    }
}

/// Something rightly signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What was signed, decoded and inflated.
    pub payload: Vec<u8>,
    /// When, in seconds since 1970.
    pub timestamp: i64,
    /// By which key: 0 is the signing one, the next the last fallback.
    pub key: usize,
}

/// A payload compressed where that is shorter, encoded, dated and signed.
pub fn sign(payload: &[u8], signer: &Signer, now: i64) -> String {
    let timestamp = now.to_be_bytes();
    let significant = timestamp.iter().position(|byte| *byte != 0).unwrap_or(timestamp.len());
    let mut message = encode(payload);
    message.push('.');
    URL_SAFE_NO_PAD.encode_string(&timestamp[significant..], &mut message);
    signer.sign(&message)
}

/// Checks the signature, then the age, and only then decodes.
///
/// # Errors
/// [`Rejected`]; [`Rejected::Unreadable`] alone means that a holder of the key made it.
pub fn verify(text: &str, signer: &Signer, now: i64, max_age: i64) -> Result<Verified, Rejected> {
    let (message, key) = signer.unsign(text)?;
    let (payload, timestamp) = message.rsplit_once('.').ok_or(Rejected::Malformed)?;
    let timestamp = read_timestamp(timestamp).ok_or(Rejected::Malformed)?;
    let age = now.saturating_sub(timestamp);
    match age {
        ..0 => return Err(Rejected::FromTheFuture { ahead: age.saturating_neg() }),
        _ if age > max_age => return Err(Rejected::Expired { age }),
        _ => {}
    }
    let payload = decode(payload).ok_or(Rejected::Unreadable)?;
    Ok(Verified { payload, timestamp, key })
}

fn read_timestamp(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() <= 8)?;
    let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    i64::try_from(number).ok()
}

/// The payload without its signature, for tools that show what nobody vouches for: text, time.
pub fn peek(text: &str) -> Option<(Vec<u8>, i64)> {
    let (message, _) = text.rsplit_once('.')?;
    let (payload, timestamp) = message.rsplit_once('.')?;
    Some((decode(payload)?, read_timestamp(timestamp)?))
}

thread_local! {
    // zlib works in a quarter of a megabyte. To get it from the system and give it back for each
    // cookie can cost ten times what the compression does.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(6), true));
}

/// The payload as `URLSafeSerializerMixin` encodes it: compressed, with a dot in front, where that
/// saves something.
fn encode(payload: &[u8]) -> String {
    match DEFLATE.with_borrow_mut(|deflate| compress(payload, deflate)) {
        Some(compressed) => format!(".{}", URL_SAFE_NO_PAD.encode(compressed)),
        None => URL_SAFE_NO_PAD.encode(payload),
    }
}

/// The payload compressed, if it and the dot are shorter than the payload: zlib gets no more room.
fn compress(payload: &[u8], deflate: &mut Compress) -> Option<Vec<u8>> {
    let mut room = vec![0; payload.len().checked_sub(2)?];
    deflate.reset();
    let status = deflate.compress(payload, &mut room, FlushCompress::Finish).ok()?;
    room.truncate(usize::try_from(deflate.total_out()).ok()?);
    (status == Status::StreamEnd).then_some(room)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let Some(compressed) = text.strip_prefix('.') else {
        return URL_SAFE_NO_PAD.decode(text).ok();
    };
    let compressed = URL_SAFE_NO_PAD.decode(compressed).ok()?;
    let mut payload = Vec::with_capacity(compressed.len().saturating_mul(4).min(MAX_PAYLOAD));
    let limit = MAX_PAYLOAD as u64 + 1;
    ZlibDecoder::new(&*compressed).take(limit).read_to_end(&mut payload).ok()?;
    (payload.len() <= MAX_PAYLOAD).then_some(payload)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_714_979_289;

    fn signer(secret: &str, fallbacks: &[&str]) -> Signer {
        let fallbacks: Vec<_> = fallbacks.iter().map(|key| key.as_bytes().to_vec()).collect();
        Signer::new(secret.as_bytes(), &fallbacks, SESSION_SALT)
    }

    #[test]
    fn a_cookie_is_signed_as_flask_signs_it() {
        let cookie = sign(br#"{"a":1}"#, &signer("dev", &[]), NOW);
        assert_eq!(cookie, "eyJhIjoxfQ.ZjiB2Q.6-gSX1eLpXoJZRd3KQ4PVNueye4");
    }

    #[test]
    fn fallbacks_verify_and_never_sign() {
        let rotated = signer("new", &["oldest", "old"]);
        for (secret, key) in [("new", 0), ("old", 1), ("oldest", 2)] {
            let cookie = sign(b"{}", &signer(secret, &[]), NOW);
            assert_eq!(verify(&cookie, &rotated, NOW, 0).unwrap().key, key);
        }
        let signed = sign(b"{}", &rotated, NOW);
        assert!(verify(&signed, &signer("new", &[]), NOW, 0).is_ok());
        assert_eq!(
            verify(&signed, &signer("other", &["old"]), NOW, 0),
            Err(Rejected::BadSignature)
        );
    }

    #[test]
    fn age_is_exact_on_both_sides() {
        let keys = signer("dev", &[]);
        let cookie = sign(b"{}", &keys, NOW);
        assert!(verify(&cookie, &keys, NOW + 60, 60).is_ok());
        assert_eq!(verify(&cookie, &keys, NOW + 61, 60), Err(Rejected::Expired { age: 61 }));
        assert_eq!(verify(&cookie, &keys, NOW - 1, 60), Err(Rejected::FromTheFuture { ahead: 1 }));
    }

    #[test]
    fn what_was_signed_for_another_purpose_is_refused() {
        let ids = Signer::new(b"dev", &[], ID_SALT);
        let cookie = sign(b"{}", &ids, NOW);
        assert_eq!(verify(&cookie, &signer("dev", &[]), NOW, 60), Err(Rejected::BadSignature));
        assert_eq!(ids.unsign(&ids.sign("OLDSID")), Ok(("OLDSID", 0)));
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let keys = signer("dev", &[]);
        let bomb = sign(&vec![b' '; MAX_PAYLOAD + 1], &keys, NOW);
        assert!(bomb.len() < 8_000);
        assert_eq!(verify(&bomb, &keys, NOW, 60), Err(Rejected::Unreadable));
        let large = sign(&vec![b' '; MAX_PAYLOAD], &keys, NOW);
        assert_eq!(verify(&large, &keys, NOW, 60).unwrap().payload.len(), MAX_PAYLOAD);
    }

    #[test]
    fn no_flipped_character_passes() {
        let keys = signer("dev", &[]);
        let cookie = sign(br#"{"user":"gkf"}"#, &keys, NOW);
        for at in 0..cookie.len() {
            for other in "AbQ_-.=".chars().filter(|other| cookie.as_bytes()[at] != *other as u8) {
                let mut changed = cookie.clone();
                changed.replace_range(at..=at, &other.to_string());
                assert!(verify(&changed, &keys, NOW, 60).is_err(), "{changed}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_payload_comes_back(payload: Vec<u8>, now in 0..i64::MAX) {
            let keys = signer("dev", &[]);
            let verified = verify(&sign(&payload, &keys, now), &keys, now, 0).unwrap();
            prop_assert_eq!((verified.payload, verified.timestamp), (payload, now));
        }

        #[test]
        fn a_payload_is_compressed_where_that_saves_a_byte(payload in "[a-d]{0,60}|[a-z]{0,300}") {
            let mut whole = ZlibEncoder::new(Vec::new(), Compression::new(6));
            whole.write_all(payload.as_bytes()).unwrap();
            let compressed = whole.finish().unwrap();
            let expected = match compressed.len() + 1 < payload.len() {
                true => format!(".{}", URL_SAFE_NO_PAD.encode(compressed)),
                false => URL_SAFE_NO_PAD.encode(&payload),
            };
            prop_assert_eq!(encode(payload.as_bytes()), expected);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,100}", plausible in "[A-Za-z0-9_.=-]{0,100}") {
            let keys = signer("dev", &[]);
            let _ = verify(&text, &keys, NOW, 60);
            let _ = verify(&plausible, &keys, NOW, 60);
            let _ = peek(&plausible);
            let _ = decode(&plausible);
        }
    }
}
