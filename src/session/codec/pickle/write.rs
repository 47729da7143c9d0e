//! Writes pickles that every Python from 3.8 on loads: protocol 5, without frames and memo, which
//! Python's own writer adds for speed and for objects that occur twice.

use super::{MAX_DIGITS, is_hashable, op};
use crate::session::codec::EncodeError;
use crate::session::date::Civil;
use crate::session::value::{MAX_DEPTH, Map, Value};

/// The beginning of a pickle.
pub fn start() -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend([op::PROTO, 5]);
    out
}

/// Adds a value at `depth`.
pub fn value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Null => out.push(op::NONE),
        Value::Bool(true) => out.push(op::NEWTRUE),
        Value::Bool(false) => out.push(op::NEWFALSE),
        Value::Int(number) => int(out, *number),
        Value::BigInt(number) => {
            if number.as_str().trim_start_matches('-').len() > MAX_DIGITS {
                return Err(EncodeError::TooLong);
            }
            out.push(op::LONG);
            out.extend(number.as_str().as_bytes());
            out.extend(b"L\n");
        }
        Value::Float(number) => {
            out.push(op::BINFLOAT);
            out.extend(number.to_be_bytes());
        }
        Value::Str(content) => text(out, content),
        Value::Bytes(content) | Value::Extension(_, content) => bytes(out, content),
        Value::List(items) => {
            out.push(op::EMPTY_LIST);
            if !items.is_empty() {
                out.push(op::MARK);
                sequence(out, items, depth)?;
                out.push(op::APPENDS);
            }
        }
        Value::Tuple(items) => match items.len() {
            0 => out.push(op::EMPTY_TUPLE),
            len @ 1..=3 => {
                sequence(out, items, depth)?;
                out.push([op::TUPLE1, op::TUPLE2, op::TUPLE3][len - 1]);
            }
            _ => {
                out.push(op::MARK);
                sequence(out, items, depth)?;
                out.push(op::TUPLE);
            }
        },
        Value::Map(content) => map(out, content, depth)?,
        Value::Markup(content) => {
            global(out, "markupsafe", "Markup");
            text(out, content);
            out.extend([op::TUPLE1, op::REDUCE]);
        }
        Value::Uuid(uuid) => {
            global(out, "uuid", "UUID");
            text(out, &uuid.to_string());
            out.extend([op::TUPLE1, op::REDUCE]);
        }
        Value::Timestamp { seconds, nanoseconds } => time(out, *seconds, *nanoseconds)?,
    }
    Ok(())
}

/// Adds a dictionary at `depth`.
pub fn map(out: &mut Vec<u8>, map: &Map, depth: usize) -> Result<(), EncodeError> {
    if depth >= MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    out.push(op::EMPTY_DICT);
    if map.is_empty() {
        return Ok(());
    }
    out.push(op::MARK);
    for (key, content) in map.iter() {
        if !is_hashable(key) {
            return Err(EncodeError::Key);
        }
        value(out, key, depth + 1)?;
        value(out, content, depth + 1)?;
    }
    out.push(op::SETITEMS);
    Ok(())
}

fn sequence(out: &mut Vec<u8>, items: &[Value], depth: usize) -> Result<(), EncodeError> {
    if depth >= MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    items.iter().try_for_each(|item| value(out, item, depth + 1))
}

fn int(out: &mut Vec<u8>, number: i128) {
    match number {
        0..0x100 => out.extend([op::BININT1, number as u8]),
        0x100..0x1_0000 => {
            out.push(op::BININT2);
            out.extend((number as u16).to_le_bytes());
        }
        -0x8000_0000..0x8000_0000 => {
            out.push(op::BININT);
            out.extend((number as i32).to_le_bytes());
        }
        _ => {
            let bytes = number.to_le_bytes();
            let extended = |len: &usize| number == (number << (128 - 8 * len)) >> (128 - 8 * len);
            let len = (5..16).find(extended).unwrap_or(16);
            out.extend([op::LONG1, len as u8]);
            out.extend(&bytes[..len]);
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    let ops = [op::SHORT_BINUNICODE, op::BINUNICODE, op::BINUNICODE8];
    counted(out, ops, text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    counted(out, [op::SHORT_BINBYTES, op::BINBYTES, op::BINBYTES8], bytes);
}

fn counted(out: &mut Vec<u8>, [op8, op32, op64]: [u8; 3], content: &[u8]) {
    let len = content.len() as u64;
    match len {
        0..0x100 => out.extend([op8, len as u8]),
        0x100..0x1_0000_0000 => {
            out.push(op32);
            out.extend((len as u32).to_le_bytes());
        }
        _ => {
            out.push(op64);
            out.extend(len.to_le_bytes());
        }
    }
    out.extend(content);
}

fn global(out: &mut Vec<u8>, module: &str, name: &str) {
    out.push(op::GLOBAL);
    for part in [module, name] {
        out.extend(part.as_bytes());
        out.push(b'\n');
    }
}

/// `datetime(state, timezone(timedelta(0, 0, 0)))`, in UTC and whole microseconds.
fn time(out: &mut Vec<u8>, seconds: i64, nanoseconds: u32) -> Result<(), EncodeError> {
    let Civil { year, month, day, hour, minute, second, .. } = Civil::from_unix(seconds);
    let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year));
    let year = year.ok_or(EncodeError::Time)?;
    global(out, "datetime", "datetime");
    let mut state = year.to_be_bytes().to_vec();
    state.extend([month as u8, day as u8, hour as u8, minute as u8, second as u8]);
    state.extend(&(nanoseconds / 1000).to_be_bytes()[1..]);
    bytes(out, &state);
    global(out, "datetime", "timezone");
    global(out, "datetime", "timedelta");
    for _ in 0..3 {
        int(out, 0);
    }
    out.extend([op::TUPLE3, op::REDUCE, op::TUPLE1, op::REDUCE, op::TUPLE2, op::REDUCE]);
    Ok(())
}
