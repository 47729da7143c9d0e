//! Records in MessagePack: whatever can be read can be written, and is read back the same.
#![no_main]

use dewar::session::codec::{json, msgpack};
use dewar_fuzz::frugally;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    let Ok(values) = frugally(record.len(), || msgpack::decode(record)) else { return };
    let written = msgpack::encode(&values).expect("what was read can be written");
    let read = msgpack::decode(&written);
    assert_eq!(read.as_ref(), Ok(&values), "read from {written:?}");
    // The other format has no form for every key, but what it does write is right.
    if let Ok(written) = json::encode(&values) {
        serde_json::from_slice::<serde_json::Value>(&written).expect("JSON is written");
    }
});
