//! Flask's tagged JSON, the payload of its session cookie: JSON in which a single-key object whose
//! key begins with a space stands for what JSON lacks (`flask/json/tag.py`).

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::lexical::{self, Style, write_list, write_plain, write_string};
use super::{DecodeError, EncodeError};
use crate::session::date::{PYTHON_DATES, http_date, parse_http_date};
use crate::session::value::{MAX_DEPTH, Map, Uuid, Value};

const DICT: &str = " di";
const TUPLE: &str = " t";
const BYTES: &str = " b";
const MARKUP: &str = " m";
const UUID: &str = " u";
const DATE: &str = " d";
const TAGS: [&str; 6] = [DICT, TUPLE, BYTES, MARKUP, UUID, DATE];

/// The values as Flask writes them: compact, in ASCII, keys sorted at every level.
///
/// # Errors
/// [`EncodeError`] when a value or key has no form there. A time loses its fraction of a second,
/// and one before the year 100 is read back in the 20th or 21st century, as by Flask.
pub fn encode(values: &Map) -> Result<String, EncodeError> {
    let mut out = String::with_capacity(64);
    write_map(&mut out, values, 0)?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<(), EncodeError> {
    if write_plain(out, value, Style::Python) {
        return Ok(());
    }
    match value {
        Value::List(items) => write_list(out, items, depth, write)?,
        Value::Map(map) => write_map(out, map, depth)?,
        Value::Tuple(items) => {
            open_tag(out, TUPLE);
            write_list(out, items, depth + 1, write)?;
            out.push('}');
        }
        Value::Bytes(bytes) | Value::Extension(_, bytes) => {
            write_tagged(out, BYTES, &STANDARD.encode(bytes));
        }
        Value::Uuid(uuid) => write_tagged(out, UUID, &uuid.to_string().replace('-', "")),
        Value::Timestamp { seconds, .. } if PYTHON_DATES.contains(seconds) => {
            write_tagged(out, DATE, &http_date(*seconds));
        }
        Value::Timestamp { .. } => return Err(EncodeError::TimeRange),
        Value::Markup(text) => write_tagged(out, MARKUP, text),
        // The plain ones are written already.
        _ => {}
    }
    Ok(())
}

fn open_tag(out: &mut String, tag: &str) {
    out.push_str("{\"");
    out.push_str(tag);
    out.push_str("\":");
}

fn write_tagged(out: &mut String, tag: &str, text: &str) {
    open_tag(out, tag);
    write_string(out, text, Style::Python);
    out.push('}');
}

fn write_map(out: &mut String, map: &Map, depth: usize) -> Result<(), EncodeError> {
    if depth >= MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    let mut entries: Vec<_> = map.iter().collect();
    // A lone key that reads as a tag is taken out of the way by another tag.
    if let [(Value::Str(key), value)] = entries.as_slice()
        && TAGS.contains(&key.as_str())
    {
        open_tag(out, DICT);
        open_tag(out, &format!("{key}__"));
        write(out, value, depth + 2)?;
        out.push_str("}}");
        return Ok(());
    }
    sort(&mut entries)?;
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match key {
            Value::Str(text) => write_string(out, text, Style::Python),
            _ => {
                out.push('"');
                write(out, key, depth)?;
                out.push('"');
            }
        }
        out.push(':');
        write(out, value, depth + 1)?;
    }
    out.push('}');
    Ok(())
}

/// Sorts as Python does, before keys become text: texts among each other, numbers among each
/// other; a mixture cannot be sorted, and other keys cannot be written.
fn sort(entries: &mut [(&Value, &Value)]) -> Result<(), EncodeError> {
    let texts = entries.iter().all(|(key, _)| matches!(key, Value::Str(_)));
    let numbers = entries
        .iter()
        .all(|(key, _)| matches!(key, Value::Bool(_) | Value::Int(_) | Value::Float(_)));
    match entries {
        [(Value::Null | Value::BigInt(_), _)] => Ok(()),
        _ if texts => {
            entries.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            Ok(())
        }
        _ if numbers => {
            entries.sort_by(|(a, _), (b, _)| compare_numbers(a, b));
            Ok(())
        }
        _ => Err(EncodeError::Key),
    }
}

fn compare_numbers(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        _ => as_float(a).partial_cmp(&as_float(b)).unwrap_or(Ordering::Equal),
    }
}

fn as_float(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Int(value) => *value as f64,
        Value::Float(value) => *value,
        _ => f64::NAN,
    }
}

/// Reads what [`encode`] and Flask write. `null` is an empty session, as in Flask.
///
/// # Errors
/// [`DecodeError`] when the text is not JSON, a tag's value is not of its form, or the whole is
/// no object.
pub fn decode(text: &str) -> Result<Map, DecodeError> {
    match lexical::read(text, true, untag)? {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(DecodeError::NotAMap),
    }
}

/// Turns an object whose only key is a tag into what it stands for.
fn untag(mut map: Map) -> Result<Value, DecodeError> {
    let tag = match map.iter().next() {
        Some((Value::Str(key), _)) if map.len() == 1 => TAGS.into_iter().find(|tag| tag == key),
        _ => None,
    };
    match tag.and_then(|tag| Some((tag, map.remove(tag)?))) {
        Some((tag, value)) => untag_value(tag, value).ok_or(DecodeError::Tag(tag)),
        None => Ok(Value::Map(map)),
    }
}

fn untag_value(tag: &str, value: Value) -> Option<Value> {
    match (tag, value) {
        (DICT, Value::Map(inner)) => inner.iter().next().and_then(|(key, value)| {
            // Flask cuts off two characters, whatever they are.
            let key = key.as_str()?;
            let end = key.char_indices().nth_back(1).map_or(0, |(at, _)| at);
            Some(Value::Map(Map::from_iter([(Value::from(&key[..end]), value.clone())])))
        }),
        (TUPLE, Value::List(items)) => Some(Value::Tuple(items)),
        (BYTES, Value::Str(text)) => STANDARD.decode(text).ok().map(Value::Bytes),
        (MARKUP, Value::Str(text)) => Some(Value::Markup(text)),
        (UUID, Value::Str(text)) => Uuid::parse(&text).map(Value::Uuid),
        // Flask's parser answers `None` to what it cannot read.
        (DATE, Value::Str(text)) => Some(
            parse_http_date(&text)
                .map_or(Value::Null, |seconds| Value::Timestamp { seconds, nanoseconds: 0 }),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i128>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            ".{0,20}".prop_map(Value::Str),
            ".{0,20}".prop_map(Value::Markup),
            any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid(bytes))),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
            (-30_000_000_000_i64..200_000_000_000)
                .prop_map(|seconds| Value::Timestamp { seconds, nanoseconds: 0 }),
        ];
        let key = prop_oneof![".{0,8}", prop::sample::select(&TAGS[..]).prop_map(str::to_owned)];
        leaf.prop_recursive(4, 48, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Tuple),
                prop::collection::vec((key.clone().prop_map(Value::Str), inner), 0..4)
                    .prop_map(|entries| Value::Map(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_session_survives_the_cookie(
            entries in prop::collection::vec((".{0,12}".prop_map(Value::Str), any_value()), 0..8)
        ) {
            let values: Map = entries.into_iter().collect();
            let text = encode(&values).unwrap();
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(decode(&text).unwrap(), values);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}", json in r#"[\[\]{}":, a-d\\u0-9.eE+-]{0,80}"#) {
            let _ = decode(&text);
            let _ = decode(&json);
        }
    }

    #[test]
    fn a_time_that_could_not_be_read_again_is_refused() {
        let with = |seconds| Value::Timestamp { seconds, nanoseconds: 0 };
        for (seconds, fits) in [
            (253_402_300_799, true),
            (253_402_300_800, false),
            (-62_135_596_800, true),
            (-62_135_596_801, false),
            (i64::MIN, false),
        ] {
            let values = Map::from_iter([(Value::from("t"), with(seconds))]);
            assert_eq!(encode(&values).is_ok(), fits, "{seconds}");
        }
    }

    #[test]
    fn a_lone_key_that_reads_as_a_tag_is_escaped() {
        let values = Map::from_iter([(Value::from(" b"), Value::from("abc"))]);
        assert_eq!(encode(&values).unwrap(), r#"{" di":{" b__":"abc"}}"#);
        let nested = Map::from_iter([(Value::from(" di"), Value::Int(1))]);
        assert_eq!(encode(&nested).unwrap(), r#"{" di":{" di__":1}}"#);
        for (escaped, key) in [("", ""), ("_", ""), ("é_", ""), ("aé_", "a"), (" b__", " b")] {
            let read = decode(&format!(r#"{{" di":{{"{escaped}":1}}}}"#)).unwrap();
            assert_eq!(read, Map::from_iter([(Value::from(key), Value::Int(1))]), "{escaped:?}");
        }
    }
}
