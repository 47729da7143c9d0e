//! [`Value`] through serde and back, unchanged.
//!
//! Serde has no tuple apart from a list, no markup and no moment. So values of these kinds go as
//! newtype structs whose name tells the kind: the bridge's own serializer looks at it, and JSON and
//! other formats see what is inside. In the other direction a value asks for a newtype struct, and
//! the bridge's own deserializer answers with an enum instead.

use serde::de::value::{BytesDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Serialize, Serializer};

use super::ser::ValueSerializer;
use super::{BigInt, Map, Uuid, Value, ValueError};
use crate::session::date::rfc3339;

/// The newtype structs' names.
pub(super) mod kind {
    pub const ANY: &str = "dewar::Value";
    pub const BIG_INT: &str = "dewar::Value::BigInt";
    pub const EXTENSION: &str = "dewar::Value::Extension";
    pub const MARKUP: &str = "dewar::Value::Markup";
    pub const TIMESTAMP: &str = "dewar::Value::Timestamp";
    pub const TUPLE: &str = "dewar::Value::Tuple";
    pub const UUID: &str = "dewar::Value::Uuid";
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(small), _) => serializer.serialize_i64(small),
                (_, Ok(large)) => serializer.serialize_u64(large),
                _ => serializer.serialize_i128(*value),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::BigInt(n) => serializer.serialize_newtype_struct(kind::BIG_INT, n.as_str()),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Markup(text) => serializer.serialize_newtype_struct(kind::MARKUP, text),
            Self::Uuid(uuid) => serializer.serialize_newtype_struct(kind::UUID, &uuid.to_string()),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Extension(kind, bytes) => {
                serializer.serialize_newtype_struct(kind::EXTENSION, &Unnamed(*kind, bytes))
            }
            Self::List(items) => items.serialize(serializer),
            Self::Tuple(items) => serializer.serialize_newtype_struct(kind::TUPLE, items),
            Self::Map(map) => map.serialize(serializer),
            Self::Timestamp { seconds, nanoseconds } => serializer
                .serialize_newtype_struct(kind::TIMESTAMP, &Moment(*seconds, *nanoseconds)),
        }
    }
}

/// Text where people read, and both numbers where they do not: in the bridge.
struct Moment(i64, u32);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&rfc3339(self.0, self.1)),
            false => (self.0, self.1).serialize(serializer),
        }
    }
}

/// The contents alone where people read.
struct Unnamed<'a>(i8, &'a [u8]);

impl Serialize for Unnamed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_bytes(self.1),
            false => serializer.serialize_bytes(&self.with_kind()),
        }
    }
}

impl Unnamed<'_> {
    /// The kind in front, as the bridge carries it.
    fn with_kind(&self) -> Vec<u8> {
        [&self.0.to_be_bytes(), self.1].concat()
    }
}

fn extension(with_kind: &[u8]) -> Option<Value> {
    let (kind, bytes) = with_kind.split_first()?;
    Some(Value::Extension(i8::from_be_bytes([*kind]), bytes.to_vec()))
}

/// What a newtype struct becomes: the value of the kind that its name tells, or what is inside.
pub(super) fn from_newtype<T: Serialize + ?Sized>(
    name: &str,
    content: &T,
    serializer: ValueSerializer,
) -> Result<Value, ValueError> {
    let exact = match name {
        kind::TIMESTAMP | kind::EXTENSION => serializer.exact(),
        _ => serializer,
    };
    let value = content.serialize(exact)?;
    let read = match (name, &value) {
        (kind::TIMESTAMP, Value::List(_)) => value.deserialize_into().ok().map(timestamp),
        (kind::EXTENSION, Value::Bytes(bytes)) => extension(bytes),
        (kind::TUPLE, Value::List(items)) => Some(Value::Tuple(items.clone())),
        (kind::MARKUP, Value::Str(text)) => Some(Value::Markup(text.clone())),
        (kind::UUID, Value::Str(text)) => Uuid::parse(text).map(Value::Uuid),
        (kind::BIG_INT, Value::Str(digits)) => BigInt::parse(digits),
        _ => None,
    };
    Ok(read.unwrap_or(value))
}

fn timestamp((seconds, nanoseconds): (i64, u32)) -> Value {
    Value::Timestamp { seconds, nanoseconds }
}

/// A value of a kind that serde does not have, as the bridge hands it on.
pub(super) struct Special<'de>(&'de Value);

impl<'de> Special<'de> {
    pub(super) fn of(value: &'de Value) -> Option<Self> {
        Self(value).kind().is_some().then_some(Self(value))
    }

    fn kind(&self) -> Option<&'static str> {
        match self.0 {
            Value::BigInt(_) => Some(kind::BIG_INT),
            Value::Extension(..) => Some(kind::EXTENSION),
            Value::Markup(_) => Some(kind::MARKUP),
            Value::Timestamp { .. } => Some(kind::TIMESTAMP),
            Value::Tuple(_) => Some(kind::TUPLE),
            Value::Uuid(_) => Some(kind::UUID),
            _ => None,
        }
    }
}

impl<'de> EnumAccess<'de> for Special<'de> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), ValueError> {
        let name: serde::de::value::StrDeserializer<'_, ValueError> =
            self.kind().unwrap_or_default().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Special<'de> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        Err(ValueError::custom("this kind of value has contents"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ValueError> {
        match self.0 {
            Value::Timestamp { seconds, nanoseconds } => seed
                .deserialize(SeqDeserializer::new([*seconds, i64::from(*nanoseconds)].into_iter())),
            Value::Extension(kind, bytes) => {
                seed.deserialize(BytesDeserializer::new(&Unnamed(*kind, bytes).with_kind()))
            }
            other => seed.deserialize(other),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.deserialize_any(visitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a session value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        // Not as a newtype struct again, which would be this one for ever.
        inner.deserialize_any(self)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, special: A) -> Result<Value, A::Error> {
        let (kind, content) = special.variant::<String>()?;
        let unknown = || A::Error::custom("a value of an unknown kind");
        match kind.as_str() {
            kind::BIG_INT => {
                BigInt::parse(&content.newtype_variant::<String>()?).ok_or_else(unknown)
            }
            kind::EXTENSION => match content.newtype_variant()? {
                Value::Bytes(bytes) => extension(&bytes).ok_or_else(unknown),
                _ => Err(unknown()),
            },
            kind::MARKUP => content.newtype_variant().map(Value::Markup),
            kind::TIMESTAMP => content.newtype_variant().map(timestamp),
            kind::TUPLE => content.newtype_variant().map(Value::Tuple),
            kind::UUID => Uuid::parse(&content.newtype_variant::<String>()?)
                .map(Value::Uuid)
                .ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = entries.next_entry::<Value, Value>()? {
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(kind::ANY, ValueVisitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    fn of_every_kind() -> Vec<Value> {
        vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(i128::MIN),
            Value::Float(f64::NAN),
            Value::from("text"),
            Value::Bytes(vec![0, 255]),
            Value::List(vec![Value::Tuple(vec![]), Value::Tuple(vec![Value::Null])]),
            Value::Markup("<b>".into()),
            Value::Uuid(Uuid([7; 16])),
            Value::Timestamp { seconds: i64::MIN, nanoseconds: 999_999_999 },
            Value::Extension(-5, vec![1, 2]),
            BigInt::parse(&"9".repeat(60)).unwrap(),
            Value::Map([(Value::Int(1), Value::Tuple(vec![Value::Int(1)]))].into_iter().collect()),
        ]
    }

    #[derive(Serialize, Deserialize)]
    struct Wrapped {
        values: Vec<Value>,
        option: Option<Value>,
    }

    #[test]
    fn a_value_of_any_kind_goes_through_serde_unchanged() {
        for value in of_every_kind() {
            assert_eq!(Value::from_serialize(&value).unwrap(), value);
            assert_eq!(value.deserialize_into::<Value>().unwrap(), value);
        }
        let wrapped = Wrapped { values: of_every_kind(), option: Some(Value::Uuid(Uuid([1; 16]))) };
        let read: Wrapped = Value::from_serialize(&wrapped).unwrap().deserialize_into().unwrap();
        assert_eq!((read.values, read.option), (wrapped.values, wrapped.option));
    }

    #[test]
    fn other_formats_see_what_is_inside() {
        let value = Value::List(vec![
            Value::Tuple(vec![Value::Null]),
            Value::Markup("<b>".into()),
            Value::Uuid(Uuid([0; 16])),
            Value::Timestamp { seconds: 0, nanoseconds: 0 },
        ]);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(
            json,
            r#"[[null],"<b>","00000000-0000-0000-0000-000000000000","1970-01-01T00:00:00Z"]"#
        );
        let read: Value = serde_json::from_str("[1,[\"a\"],{\"b\":null}]").unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), "[1,[\"a\"],{\"b\":null}]");
    }

    #[test]
    fn other_types_read_the_special_kinds_as_what_they_hold() {
        let pair = Value::Tuple(vec![Value::from("error"), Value::Markup("m".into())]);
        let read: (String, String) = pair.deserialize_into().unwrap();
        assert_eq!(read, ("error".into(), "m".into()));
    }
}
