//! Numbers and text in a pickle.

use super::MAX_DIGITS;
use crate::session::codec::DecodeError;
use crate::session::codec::DecodeError::{NotPickle, NotUtf8};
use crate::session::value::{BigInt, Value};

pub fn text(bytes: &[u8]) -> Result<Value, DecodeError> {
    std::str::from_utf8(bytes).map(Value::from).map_err(|_| NotUtf8)
}

pub fn decimal(digits: &str) -> Result<Value, DecodeError> {
    let short = digits.len() <= MAX_DIGITS + 1;
    short.then(|| BigInt::parse(digits)).flatten().ok_or(NotPickle)
}

/// The integer whose two's complement is `bytes`, the lowest first.
pub fn integer(bytes: &[u8]) -> Result<Value, DecodeError> {
    let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut narrow = [if negative { 0xff } else { 0 }; 16];
    if let Some(low) = narrow.get_mut(..bytes.len()) {
        low.copy_from_slice(bytes);
        return Ok(Value::Int(i128::from_le_bytes(narrow)));
    }
    // 4300 digits need no more.
    if bytes.len() > 1786 {
        return Err(DecodeError::TooLarge);
    }
    // Division of the magnitude by 10⁹ again and again gives its decimal digits, nine at a time.
    let mut magnitude: Vec<u32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut limb = [if negative { 0xff } else { 0 }; 4];
            limb[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(limb)
        })
        .collect();
    if negative {
        let mut carry = true;
        for limb in &mut magnitude {
            (*limb, carry) = (!*limb).overflowing_add(carry.into());
        }
    }
    let mut groups = Vec::new();
    while let Some(highest) = magnitude.last() {
        if *highest == 0 {
            magnitude.pop();
            continue;
        }
        let mut remainder = 0_u64;
        for limb in magnitude.iter_mut().rev() {
            let dividend = remainder << 32 | u64::from(*limb);
            *limb = (dividend / 1_000_000_000) as u32;
            remainder = dividend % 1_000_000_000;
        }
        groups.push(format!("{remainder:09}"));
    }
    let digits: String = groups.iter().rev().map(String::as_str).collect();
    decimal(&format!("{}{}", if negative { "-" } else { "" }, digits.trim_start_matches('0')))
}

/// Text in Python's `raw-unicode-escape`: Latin-1, and `\uXXXX` or `\UXXXXXXXX` for the rest.
pub fn unescape(line: &[u8]) -> Result<String, DecodeError> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let digits = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            // A backslash before another is not the beginning of an escape, nor is the other.
            (b'\\', Some(other)) => {
                text.extend(['\\', char::from(*other)]);
                rest = &tail[1..];
                continue;
            }
            _ => {
                text.push(char::from(*byte));
                continue;
            }
        };
        let (code, tail) = tail[1..].split_at_checked(digits).ok_or(NotPickle)?;
        let code = std::str::from_utf8(code).map_err(|_| NotPickle)?;
        let code = u32::from_str_radix(code, 16).map_err(|_| NotPickle)?;
        text.push(char::from_u32(code).ok_or(NotUtf8)?);
        rest = tail;
    }
    Ok(text)
}
