//! Records in MessagePack: whatever can be read can be written, and is read back the same.
#![no_main]

use dewar::session::Value;
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
        json::decode(&written).expect("what is written can be read");
        // Others do not read JSON that is as deep as this layer's may be.
        let read = serde_json::from_slice::<serde_json::Value>(&written);
        assert!(read.is_ok() || depth(&Value::Map(values)) > 127, "{read:?}");
    }
});

/// How many containers are around what is deepest.
fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) | Value::Tuple(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}
