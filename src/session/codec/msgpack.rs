//! MessagePack as msgspec writes it, which is Flask-Session's default record format: integers in
//! their shortest form, floats in 64 bits, aware times as extension −1.

use super::{DecodeError, EncodeError};
use crate::session::value::{MAX_DEPTH, Map, Value};

const TIMESTAMP: i8 = -1;

/// A session's values as a record.
///
/// # Errors
/// [`EncodeError`] when a value has no form in MessagePack.
pub fn encode(values: &Map) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(64);
    write_map(&mut out, values, 0)?;
    Ok(out)
}

fn write(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(0xc2 | u8::from(*value)),
        Value::Int(value) => write_int(out, *value)?,
        Value::Float(value) => {
            out.push(0xcb);
            out.extend(value.to_be_bytes());
        }
        Value::Str(text) => {
            match text.len() {
                len @ 0..32 => out.push(0xa0 | len as u8),
                len => write_len(out, len, Some(0xd9), 0xda, 0xdb)?,
            }
            out.extend(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            write_len(out, bytes.len(), Some(0xc4), 0xc5, 0xc6)?;
            out.extend(bytes);
        }
        Value::BigInt(number) => {
            return Err(EncodeError::IntegerRange(number.as_str().to_owned()));
        }
        Value::Markup(_) => return Err(EncodeError::Markup),
        Value::Uuid(uuid) => write(out, &Value::Str(uuid.to_string()), depth)?,
        Value::List(items) | Value::Tuple(items) => {
            if depth >= MAX_DEPTH {
                return Err(EncodeError::TooDeep);
            }
            match items.len() {
                len @ 0..16 => out.push(0x90 | len as u8),
                len => write_len(out, len, None, 0xdc, 0xdd)?,
            }
            for item in items {
                write(out, item, depth + 1)?;
            }
        }
        Value::Map(map) => write_map(out, map, depth)?,
        Value::Timestamp { seconds, nanoseconds } => write_time(out, *seconds, *nanoseconds),
        Value::Extension(kind, bytes) => {
            match bytes.len() {
                len @ (1 | 2 | 4 | 8 | 16) => out.push(0xd4 + len.trailing_zeros() as u8),
                len => write_len(out, len, Some(0xc7), 0xc8, 0xc9)?,
            }
            out.push(*kind as u8);
            out.extend(bytes);
        }
    }
    Ok(())
}

fn write_map(out: &mut Vec<u8>, map: &Map, depth: usize) -> Result<(), EncodeError> {
    if depth >= MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    match map.len() {
        len @ 0..16 => out.push(0x80 | len as u8),
        len => write_len(out, len, None, 0xde, 0xdf)?,
    }
    for (key, value) in map.iter() {
        write(out, key, depth + 1)?;
        write(out, value, depth + 1)?;
    }
    Ok(())
}

fn write_int(out: &mut Vec<u8>, value: i128) -> Result<(), EncodeError> {
    match value {
        0..0x80 => out.push(value as u8),
        -32..0 => out.push(value as i8 as u8),
        0x80..0x100 => out.extend([0xcc, value as u8]),
        0x100..0x1_0000 => {
            out.push(0xcd);
            out.extend((value as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(0xce);
            out.extend((value as u32).to_be_bytes());
        }
        0x1_0000_0000..0x1_0000_0000_0000_0000 => {
            out.push(0xcf);
            out.extend((value as u64).to_be_bytes());
        }
        -0x80..0 => out.extend([0xd0, value as i8 as u8]),
        -0x8000..0 => {
            out.push(0xd1);
            out.extend((value as i16).to_be_bytes());
        }
        -0x8000_0000..0 => {
            out.push(0xd2);
            out.extend((value as i32).to_be_bytes());
        }
        -0x8000_0000_0000_0000..0 => {
            out.push(0xd3);
            out.extend((value as i64).to_be_bytes());
        }
        _ => return Err(EncodeError::IntegerRange(value.to_string())),
    }
    Ok(())
}

fn write_len(
    out: &mut Vec<u8>,
    len: usize,
    tag8: Option<u8>,
    tag16: u8,
    tag32: u8,
) -> Result<(), EncodeError> {
    match (len, tag8) {
        (0..0x100, Some(tag)) => out.extend([tag, len as u8]),
        (0..0x1_0000, _) => {
            out.push(tag16);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            let len = u32::try_from(len).map_err(|_| EncodeError::TooLong)?;
            out.push(tag32);
            out.extend(len.to_be_bytes());
        }
    }
    Ok(())
}

fn write_time(out: &mut Vec<u8>, seconds: i64, nanoseconds: u32) {
    match (u64::try_from(seconds), nanoseconds) {
        (Ok(seconds), 0) if seconds <= u64::from(u32::MAX) => {
            out.extend([0xd6, TIMESTAMP as u8]);
            out.extend((seconds as u32).to_be_bytes());
        }
        (Ok(seconds), _) if seconds < 1 << 34 => {
            out.extend([0xd7, TIMESTAMP as u8]);
            out.extend((u64::from(nanoseconds) << 34 | seconds).to_be_bytes());
        }
        _ => {
            out.extend([0xc7, 12, TIMESTAMP as u8]);
            out.extend(nanoseconds.to_be_bytes());
            out.extend(seconds.to_be_bytes());
        }
    }
}

/// A record's values. Reads every valid form, not only the shortest, and allocates in proportion
/// to `record`'s length, whatever lengths it announces.
///
/// # Errors
/// [`DecodeError`] when the bytes are not exactly one MessagePack map.
pub fn decode(record: &[u8]) -> Result<Map, DecodeError> {
    let mut reader = Reader { rest: record, unclaimed: record.len() };
    let value = reader.value(0)?;
    match (value, reader.rest.len()) {
        (Value::Map(map), 0) => Ok(map),
        (Value::Map(_), left) => Err(DecodeError::Trailing(left)),
        (Value::Null, 0) => Err(DecodeError::Null),
        _ => Err(DecodeError::NotAMap),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The bytes that no list or map has claimed for its items so far.
    unclaimed: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn len8(&mut self) -> Result<usize, DecodeError> {
        Ok(self.bytes::<1>()?[0].into())
    }

    fn len16(&mut self) -> Result<usize, DecodeError> {
        Ok(u16::from_be_bytes(self.bytes()?).into())
    }

    fn len32(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(u32::from_be_bytes(self.bytes()?)).map_err(|_| DecodeError::Truncated)
    }

    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let [tag] = self.bytes()?;
        Ok(match tag {
            0x00..=0x7f => Value::Int(tag.into()),
            0x80..=0x8f => self.map((tag & 0x0f).into(), depth)?,
            0x90..=0x9f => self.list((tag & 0x0f).into(), depth)?,
            0xa0..=0xbf => self.text((tag & 0x1f).into())?,
            0xc0 => Value::Null,
            0xc1 => return Err(DecodeError::Reserved(tag)),
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4 => self.len8().and_then(|len| self.binary(len))?,
            0xc5 => self.len16().and_then(|len| self.binary(len))?,
            0xc6 => self.len32().and_then(|len| self.binary(len))?,
            0xc7 => self.len8().and_then(|len| self.extension(len))?,
            0xc8 => self.len16().and_then(|len| self.extension(len))?,
            0xc9 => self.len32().and_then(|len| self.extension(len))?,
            0xca => Value::Float(f32::from_be_bytes(self.bytes()?).into()),
            0xcb => Value::Float(f64::from_be_bytes(self.bytes()?)),
            0xcc => Value::Int(u8::from_be_bytes(self.bytes()?).into()),
            0xcd => Value::Int(u16::from_be_bytes(self.bytes()?).into()),
            0xce => Value::Int(u32::from_be_bytes(self.bytes()?).into()),
            0xcf => Value::Int(u64::from_be_bytes(self.bytes()?).into()),
            0xd0 => Value::Int(i8::from_be_bytes(self.bytes()?).into()),
            0xd1 => Value::Int(i16::from_be_bytes(self.bytes()?).into()),
            0xd2 => Value::Int(i32::from_be_bytes(self.bytes()?).into()),
            0xd3 => Value::Int(i64::from_be_bytes(self.bytes()?).into()),
            0xd4..=0xd8 => self.extension(1 << (tag - 0xd4))?,
            0xd9 => self.len8().and_then(|len| self.text(len))?,
            0xda => self.len16().and_then(|len| self.text(len))?,
            0xdb => self.len32().and_then(|len| self.text(len))?,
            0xdc => self.len16().and_then(|len| self.list(len, depth))?,
            0xdd => self.len32().and_then(|len| self.list(len, depth))?,
            0xde => self.len16().and_then(|len| self.map(len, depth))?,
            0xdf => self.len32().and_then(|len| self.map(len, depth))?,
            0xe0..=0xff => Value::Int((tag as i8).into()),
        })
    }

    fn text(&mut self, len: usize) -> Result<Value, DecodeError> {
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::NotUtf8)?;
        Ok(Value::from(text))
    }

    fn binary(&mut self, len: usize) -> Result<Value, DecodeError> {
        Ok(Value::Bytes(self.take(len)?.to_vec()))
    }

    fn list(&mut self, len: usize, depth: usize) -> Result<Value, DecodeError> {
        self.claim(len, depth)?;
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Value, DecodeError> {
        self.claim(len.saturating_mul(2), depth)?;
        let mut map = Map::with_capacity(len);
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            map.insert(key, self.value(depth + 1)?);
        }
        Ok(Value::Map(map))
    }

    /// Every item of every list and map takes a byte of its own at least, so together they
    /// announce no more items than there are bytes, or lie. Room can be made for what passes.
    fn claim(&mut self, items: usize, depth: usize) -> Result<(), DecodeError> {
        if depth >= MAX_DEPTH {
            return Err(DecodeError::TooDeep);
        }
        self.unclaimed = self.unclaimed.checked_sub(items).ok_or(DecodeError::Truncated)?;
        Ok(())
    }

    fn extension(&mut self, len: usize) -> Result<Value, DecodeError> {
        let kind = i8::from_be_bytes(self.bytes()?);
        let bytes = self.take(len)?;
        if kind != TIMESTAMP {
            return Ok(Value::Extension(kind, bytes.to_vec()));
        }
        let mut time = Reader { rest: bytes, unclaimed: 0 };
        let (seconds, nanoseconds) = match len {
            4 => (i64::from(u32::from_be_bytes(time.bytes()?)), 0),
            8 => {
                let both = u64::from_be_bytes(time.bytes()?);
                ((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
            }
            12 => {
                let nanoseconds = u32::from_be_bytes(time.bytes()?);
                (i64::from_be_bytes(time.bytes()?), nanoseconds)
            }
            _ => return Err(DecodeError::Timestamp),
        };
        match nanoseconds {
            0..1_000_000_000 => Ok(Value::Timestamp { seconds, nanoseconds }),
            _ => Err(DecodeError::Timestamp),
        }
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
            (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Value::Int),
            (-300_i128..70_000).prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            ".{0,40}".prop_map(Value::Str),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
            (any::<i64>(), 0..1_000_000_000_u32)
                .prop_map(|(seconds, nanoseconds)| Value::Timestamp { seconds, nanoseconds }),
            (0_i8.., prop::collection::vec(any::<u8>(), 0..20))
                .prop_map(|(kind, bytes)| Value::Extension(kind, bytes)),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
                prop::collection::vec((inner.clone(), inner), 0..20)
                    .prop_map(|entries| Value::Map(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_session_survives_the_record(
            entries in prop::collection::vec((".{0,40}".prop_map(Value::Str), any_value()), 0..20)
        ) {
            let values: Map = entries.into_iter().collect();
            prop_assert_eq!(decode(&encode(&values).unwrap()).unwrap(), values);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn no_damaged_record_makes_the_reader_panic(value in any_value(), at: prop::sample::Index, by: u8) {
            let values = Map::from_iter([(Value::from("k"), value)]);
            let mut record = encode(&values).unwrap();
            let at = at.index(record.len());
            record[at] ^= by;
            let _ = decode(&record);
            let _ = decode(&record[..at]);
        }
    }

    #[test]
    fn a_record_is_written_as_flask_session_writes_it() {
        let values = Map::from_iter([
            (Value::from("_permanent"), Value::Bool(true)),
            (Value::from("user"), Value::from("gkf")),
        ]);
        assert_eq!(encode(&values).unwrap(), b"\x82\xaa_permanent\xc3\xa4user\xa3gkf");
    }

    #[test]
    fn an_announced_length_alone_costs_nothing() {
        for lie in [
            b"\xdf\xff\xff\xff\xff".as_slice(),
            b"\x81\xa1a\xdd\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
        ] {
            assert_eq!(decode(lie), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn nesting_ends_in_an_error_and_not_in_a_stack_overflow() {
        assert_eq!(decode(&vec![0x91; 1_000_000]), Err(DecodeError::TooDeep));
        let mut value = Value::Null;
        for _ in 0..200 {
            value = Value::List(vec![value]);
        }
        let values = Map::from_iter([(Value::from("k"), value)]);
        assert_eq!(encode(&values), Err(EncodeError::TooDeep));
    }

    #[test]
    fn only_one_whole_map_is_a_session() {
        assert_eq!(decode(b""), Err(DecodeError::Truncated));
        assert_eq!(decode(b"\x80\x80"), Err(DecodeError::Trailing(1)));
        assert_eq!(decode(b"\x90"), Err(DecodeError::NotAMap));
        assert_eq!(decode(b"\xc0"), Err(DecodeError::Null));
        assert_eq!(decode(b"\xc1"), Err(DecodeError::Reserved(0xc1)));
        assert_eq!(decode(b"\x81\xa1\xff\xc0"), Err(DecodeError::NotUtf8));
    }

    #[test]
    fn an_integer_outside_64_bits_is_refused() {
        for (value, fits) in [
            (i128::from(u64::MAX), true),
            (i128::from(u64::MAX) + 1, false),
            (i128::from(i64::MIN), true),
            (i128::from(i64::MIN) - 1, false),
        ] {
            let values = Map::from_iter([(Value::from("n"), Value::Int(value))]);
            assert_eq!(encode(&values).is_ok(), fits, "{value}");
        }
    }
}
