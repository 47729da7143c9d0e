//! The few classes whose objects a session can hold, and what their arguments make. Nothing here
//! is called: each is a way to write down a value.

use super::object::Object;
use crate::session::codec::DecodeError;
use crate::session::date::{Civil, to_unix};
use crate::session::value::{Uuid, Value};

/// A class or function that a pickle may name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `_codecs.encode`, by which protocols 0 to 2 write bytes.
    Encode,
    /// `bytes`, by which they write none.
    Bytes,
    DateTime,
    TimeZone,
    TimeDelta,
    Uuid,
    Markup,
}

impl Class {
    /// The class of this name.
    ///
    /// # Errors
    /// [`DecodeError::Refused`] for every other, with its name.
    pub fn named(module: &str, name: &str) -> Result<Self, DecodeError> {
        match (module, name) {
            ("_codecs", "encode") => Ok(Self::Encode),
            ("__builtin__" | "builtins", "bytes") => Ok(Self::Bytes),
            ("datetime", "datetime") => Ok(Self::DateTime),
            ("datetime", "timezone") => Ok(Self::TimeZone),
            ("datetime", "timedelta") => Ok(Self::TimeDelta),
            ("uuid", "UUID") => Ok(Self::Uuid),
            ("markupsafe", "Markup") => Ok(Self::Markup),
            _ => {
                let full: String = format!("{module}.{name}").chars().take(80).collect();
                Err(DecodeError::Refused(format!("{full:?}")))
            }
        }
    }

    /// What the arguments make.
    ///
    /// # Errors
    /// [`DecodeError::Refused`] when they are not what Python's own pickles hold.
    pub fn with(self, arguments: &[&Object]) -> Result<Object, DecodeError> {
        use Object::{BlankUuid, Span, Value as Plain, Zone};
        let made = match (self, arguments) {
            (Self::Encode, [Plain(Value::Str(text)), Plain(Value::Str(encoding))])
                if encoding == "latin1" =>
            {
                let bytes = text.chars().map(u8::try_from).collect::<Result<_, _>>();
                bytes.ok().map(|bytes| Plain(Value::Bytes(bytes)))
            }
            (Self::Bytes, []) => Some(Plain(Value::Bytes(Vec::new()))),
            (Self::TimeDelta, [Plain(days), Plain(seconds), Plain(Value::Int(0))]) => {
                match (days, seconds) {
                    // A zone is less than a day from UTC.
                    (Value::Int(days @ -1..=0), Value::Int(seconds @ 0..86_400)) => {
                        Some(Span((days * 86_400 + seconds) as i64))
                    }
                    _ => None,
                }
            }
            (Self::TimeZone, [Span(offset)] | [Span(offset), Plain(Value::Str(_))]) => {
                Some(Zone(*offset))
            }
            (Self::DateTime, [Plain(Value::Bytes(state)), Zone(offset)]) => {
                moment(state, *offset).map(Plain)
            }
            (Self::DateTime, [_]) => {
                let remedy = "a time without a zone (store datetime.now(timezone.utc))";
                return Err(DecodeError::Refused(remedy.into()));
            }
            (Self::Uuid, []) => Some(BlankUuid),
            (Self::Uuid, [Plain(Value::Str(text))]) => {
                Uuid::parse(text).map(|uuid| Plain(Value::Uuid(uuid)))
            }
            (Self::Markup, [Plain(Value::Str(text))]) => Some(Plain(Value::Markup(text.clone()))),
            _ => None,
        };
        made.ok_or_else(|| DecodeError::Refused("a class with unusual arguments".into()))
    }
}

/// The UUID whose state is this dictionary: `int`, and `is_safe`, which says where it was made.
pub fn uuid(state: &[(&Object, &Object)]) -> Option<Value> {
    let number = state.iter().find_map(|(key, value)| match (key, value) {
        (Object::Value(Value::Str(key)), Object::Value(value)) if key == "int" => Some(value),
        _ => None,
    });
    let number = match number? {
        Value::Int(number) => u128::try_from(*number).ok()?,
        Value::BigInt(number) => number.as_str().parse().ok()?,
        _ => return None,
    };
    Some(Value::Uuid(Uuid(number.to_be_bytes())))
}

/// The moment of a `datetime`'s state: year, month with the flag `fold`, day, hour, minute, second,
/// microseconds.
fn moment(state: &[u8], offset: i64) -> Option<Value> {
    let [y1, y0, month, day, hour, minute, second, m2, m1, m0] = *state else { return None };
    let year = i64::from(u16::from_be_bytes([y1, y0]));
    let (month, day) = (i64::from(month & 0x7f), i64::from(day));
    let [hour, minute, second] = [hour, minute, second].map(i64::from);
    let microseconds = u32::from_be_bytes([0, m2, m1, m0]);
    let valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (hour < 24 && minute < 60 && second < 60)
        && microseconds < 1_000_000
        && Civil::from_unix(to_unix(year, month, day, 0)).day == day;
    valid.then(|| Value::Timestamp {
        seconds: to_unix(year, month, day, hour * 3600 + minute * 60 + second) - offset,
        nanoseconds: microseconds * 1000,
    })
}
