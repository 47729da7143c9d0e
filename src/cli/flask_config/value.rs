//! A setting's value, whatever file it stands in, and its form in TOML.

use figment::value::{Num, Value as FigmentValue};
use indexmap::IndexMap;

/// What a Flask configuration gives a setting. Holds secrets, so it has no `Debug` form.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub enum Value {
    /// `None`, which Flask takes for "not set".
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Text(String),
    /// A `bytes`.
    Bytes(Vec<u8>),
    /// A `list`, `tuple` or `set`.
    List(Vec<Value>),
    /// A `dict` with text for keys.
    Dict(IndexMap<String, Value>),
    /// A `timedelta`, in microseconds.
    Span(i128),
    /// The client of a server, as the server's URL.
    Client(String),
}

impl Value {
    /// The value in TOML.
    ///
    /// # Errors
    /// Why it has no form there: "is …" or "holds …".
    pub fn to_toml(&self) -> Result<toml_edit::Value, &'static str> {
        Ok(match self {
            Self::None => return Err("holds None, which TOML does not have"),
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => i64::try_from(*value).map_err(|_| "is too large a number")?.into(),
            Self::Float(value) => (*value).into(),
            Self::Text(text) | Self::Client(text) => text.into(),
            Self::Bytes(bytes) => std::str::from_utf8(bytes)
                .map_err(|_| "is bytes that are no UTF-8 text, which Rocket.toml cannot hold")?
                .into(),
            Self::List(values) => {
                let values: Result<toml_edit::Array, _> =
                    values.iter().map(Self::to_toml).collect();
                values?.into()
            }
            Self::Dict(values) => {
                let mut table = toml_edit::InlineTable::new();
                for (key, value) in values {
                    table.insert(key, value.to_toml()?);
                }
                table.into()
            }
            Self::Span(microseconds) => span(*microseconds),
        })
    }

    /// How many values it holds, each text counted by its length, and how deep they nest.
    pub fn size(&self) -> (usize, usize) {
        let inside = |values: &mut dyn Iterator<Item = &Self>| {
            values
                .map(Self::size)
                .fold((1, 1), |(size, depth), (inner, below)| (size + inner, depth.max(below + 1)))
        };
        match self {
            Self::Text(text) | Self::Client(text) => (1 + text.len(), 1),
            Self::Bytes(bytes) => (1 + bytes.len(), 1),
            Self::List(values) => inside(&mut values.iter()),
            Self::Dict(values) => {
                let (size, depth) = inside(&mut values.values());
                (size + values.keys().map(String::len).sum::<usize>(), depth)
            }
            _ => (1, 1),
        }
    }
}

/// In the largest unit that leaves no fraction, as people write it.
fn span(microseconds: i128) -> toml_edit::Value {
    if microseconds <= 0 || microseconds % 1_000_000 != 0 {
        return (microseconds as f64 / 1e6).into();
    }
    let seconds = microseconds / 1_000_000;
    let (length, unit) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(length, _)| seconds % length == 0)
        .unwrap_or((1, "second"));
    let number = seconds / length;
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" }).into()
}

impl From<FigmentValue> for Value {
    fn from(value: FigmentValue) -> Self {
        match value {
            FigmentValue::String(_, text) => Self::Text(text),
            FigmentValue::Char(_, c) => Self::Text(c.into()),
            FigmentValue::Bool(_, value) => Self::Bool(value),
            FigmentValue::Num(_, Num::F32(number)) => Self::Float(number.into()),
            FigmentValue::Num(_, Num::F64(number)) => Self::Float(number),
            FigmentValue::Num(_, number) => {
                let unsigned = || i128::try_from(number.to_u128()?).ok();
                Self::Int(number.to_i128().or_else(unsigned).unwrap_or(i128::MAX))
            }
            FigmentValue::Empty(..) => Self::None,
            FigmentValue::Array(_, values) => {
                Self::List(values.into_iter().map(Self::from).collect())
            }
            FigmentValue::Dict(_, values) => {
                Self::Dict(values.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_people_write_them() {
        for (seconds, text) in [
            (31.0 * 86_400.0, "\"31 days\""),
            (86_400.0, "\"1 day\""),
            (5_400.0, "\"90 minutes\""),
            (7_200.0, "\"2 hours\""),
            (61.0, "\"61 seconds\""),
            (0.5, "0.5"),
            (0.0, "0.0"),
            (-60.0, "-60.0"),
        ] {
            let span = Value::Span((seconds * 1e6) as i128);
            assert_eq!(span.to_toml().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_toml_does_not_have_is_refused() {
        let list = |value| Value::List(vec![Value::Int(1), value]);
        assert!(list(Value::None).to_toml().unwrap_err().contains("None"));
        assert!(list(Value::Bytes(vec![0xff])).to_toml().unwrap_err().contains("UTF-8"));
        assert!(Value::Int(i128::MAX).to_toml().is_err());
        let both = list(Value::Bytes(b"key".to_vec())).to_toml().unwrap();
        assert_eq!(both.to_string(), "[1, \"key\"]");
    }
}
