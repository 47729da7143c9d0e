//! Records in Python's pickle: whatever can be read can be written, and is read back the same.
#![no_main]

use dewar::session::codec::pickle;
use dewar_fuzz::frugally;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    let Ok(values) = frugally(record.len(), || pickle::decode(record)) else { return };
    let written = pickle::encode(&values).expect("what was read can be written");
    let read = pickle::decode(&written);
    assert_eq!(read.as_ref(), Ok(&values), "read from {written:?}");
});
