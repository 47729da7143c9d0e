//! Plain JSON as msgspec writes it: Flask-Session's other record format.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::lexical::{self, Style, write_list, write_plain, write_string};
use super::{DecodeError, EncodeError};
use crate::session::date::rfc3339;
use crate::session::value::{MAX_DEPTH, Map, Value};

/// A session's values as a record.
///
/// # Errors
/// [`EncodeError`] when a value has no form in JSON.
pub fn encode(values: &Map) -> Result<Vec<u8>, EncodeError> {
    let mut out = String::with_capacity(64);
    write_map(&mut out, values, 0)?;
    Ok(out.into_bytes())
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<(), EncodeError> {
    if write_plain(out, value, Style::Msgspec) {
        return Ok(());
    }
    let text = match value {
        Value::Bytes(bytes) | Value::Extension(_, bytes) => STANDARD.encode(bytes),
        Value::Uuid(uuid) => uuid.to_string(),
        Value::Timestamp { seconds, nanoseconds } => rfc3339(*seconds, *nanoseconds),
        Value::List(items) | Value::Tuple(items) => return write_list(out, items, depth, write),
        Value::Map(map) => return write_map(out, map, depth),
        _ => return Err(EncodeError::Markup),
    };
    write_string(out, &text, Style::Msgspec);
    Ok(())
}

fn write_map(out: &mut String, map: &Map, depth: usize) -> Result<(), EncodeError> {
    if depth >= MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match key {
            Value::Str(text) => write_string(out, text, Style::Msgspec),
            Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                out.push('"');
                write(out, key, depth)?;
                out.push('"');
            }
            _ => return Err(EncodeError::Key),
        }
        out.push(':');
        write(out, value, depth + 1)?;
    }
    out.push('}');
    Ok(())
}

/// A record's values.
///
/// # Errors
/// [`DecodeError`] when the bytes are not exactly one JSON object.
pub fn decode(record: &[u8]) -> Result<Map, DecodeError> {
    let text = std::str::from_utf8(record).map_err(|_| DecodeError::NotUtf8)?;
    match lexical::read(text, false, |map| Ok(Value::Map(map)))? {
        Value::Map(map) => Ok(map),
        Value::Null => Err(DecodeError::Null),
        _ => Err(DecodeError::NotAMap),
    }
}
