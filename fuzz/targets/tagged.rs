//! Flask's tagged JSON: whatever can be read can be written, and is read back the same.
#![no_main]

use dewar::session::codec::tagged;
use dewar::session::{Map, Value};
use dewar_fuzz::frugally;
use libfuzzer_sys::fuzz_target;

/// Whether a time in there is before the year 100, which Flask's own reader takes for another.
fn ambiguous(values: &Map) -> bool {
    values.iter().any(|(_, value)| ambiguous_value(value))
}

fn ambiguous_value(value: &Value) -> bool {
    match value {
        Value::Timestamp { seconds, .. } => *seconds < -59_011_459_200,
        Value::List(items) | Value::Tuple(items) => items.iter().any(ambiguous_value),
        Value::Map(map) => ambiguous(map),
        _ => false,
    }
}

fuzz_target!(|text: &str| {
    let Ok(values) = frugally(text.len(), || tagged::decode(text)) else { return };
    let written = tagged::encode(&values).expect("what was read can be written");
    assert!(written.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "not ASCII: {written}");
    let read = tagged::decode(&written);
    assert!(read.as_ref() == Ok(&values) || ambiguous(&values), "{read:?} from {written}");
});
