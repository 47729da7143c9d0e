//! Records in Python's pickle: whatever can be read can be written, and is read back the same.
#![no_main]

use dewar::session::codec::pickle;
use dewar_fuzz::frugally;
use libfuzzer_sys::fuzz_target;

/// What a record may hold, in bytes of the other formats: an object of a pickle takes twice what an
/// item of theirs does, and two bytes name one again, of which the reader unfolds so much.
fn allowed(record: &[u8]) -> usize {
    2 * record.len() + 8 * 1024
}

fuzz_target!(|record: &[u8]| {
    let Ok(values) = frugally(allowed(record), || pickle::decode(record)) else { return };
    let written = pickle::encode(&values).expect("what was read can be written");
    let read = pickle::decode(&written);
    assert_eq!(read.as_ref(), Ok(&values), "read from {written:?}");
});
