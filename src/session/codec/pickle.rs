//! Python's pickle, as far as it holds plain data: the form of Flask-Session's files, and of its
//! records before 0.7.
//!
//! In Python, loading a pickle runs what it says. The reader here runs nothing: it builds what a
//! session can hold, and refuses everything else by name. What it takes is what the writer gives
//! back, so that a session which Python and Rust change in turns stays what it was: `None`,
//! booleans, integers, floats, text, bytes, lists, tuples, dictionaries, `UUID`, `Markup`, and
//! times with a zone, which come back as the same moment in UTC.

mod class;
mod object;
mod op;
mod read;
mod scalar;
mod write;

use super::{DecodeError, EncodeError};
use crate::session::value::{Map, Value};

/// The longest integer, in decimal digits, that Python reads from text or turns into it.
const MAX_DIGITS: usize = 4300;

/// A session's values as a record: a pickle of a dictionary, which Python 3.8 and later load.
///
/// # Errors
/// [`EncodeError`] when a value has no form in Python.
pub fn encode(values: &Map) -> Result<Vec<u8>, EncodeError> {
    let mut out = write::start();
    write::map(&mut out, values, 0)?;
    out.push(op::STOP);
    Ok(out)
}

/// A record's values.
///
/// # Errors
/// [`DecodeError`] when the bytes are not exactly one pickle of a dictionary of plain data.
pub fn decode(record: &[u8]) -> Result<Map, DecodeError> {
    match loads(record)? {
        Value::Map(map) => Ok(map),
        Value::Null => Err(DecodeError::Null),
        _ => Err(DecodeError::NotAMap),
    }
}

/// One value as a pickle.
///
/// # Errors
/// [`EncodeError`] when it has no form in Python.
pub fn dumps(value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = write::start();
    write::value(&mut out, value, 0)?;
    out.push(op::STOP);
    Ok(out)
}

/// The value in a pickle of any protocol.
///
/// Takes time and memory in proportion to the pickle's length, whatever it announces or repeats.
///
/// # Errors
/// [`DecodeError`] when the bytes are not exactly one pickle, or it is not of plain data.
pub fn loads(pickle: &[u8]) -> Result<Value, DecodeError> {
    read::read(pickle)
}

/// Whether Python takes it as a dictionary's key.
fn is_hashable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Map(_) => false,
        Value::Tuple(items) => items.iter().all(is_hashable),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
