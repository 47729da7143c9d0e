//! Records in JSON: whatever can be read can be written, is read back the same, and is JSON to
//! others as well.
#![no_main]

use dewar::session::codec::json;
use dewar_fuzz::frugally;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|record: &[u8]| {
    let values = frugally(record.len(), || json::decode(record));
    if serde_json::from_slice::<Map<String, Value>>(record).is_ok() {
        assert!(values.is_ok(), "{values:?}, and yet serde_json reads it");
    }
    let Ok(values) = values else { return };
    let written = json::encode(&values).expect("what was read can be written");
    assert_eq!(json::decode(&written).as_ref(), Ok(&values), "read from {written:?}");
});
