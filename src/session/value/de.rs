//! From [`Value`] to Rust types, through serde.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserializer, EnumAccess, Error as _, IntoDeserializer, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::exact::{Special, kind};
use super::{Value, ValueError};
use crate::session::date::rfc3339;

impl<'de> Deserializer<'de> for &'de Value {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(small), _) => visitor.visit_i64(small),
                (_, Ok(large)) => visitor.visit_u64(large),
                _ => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::BigInt(number) => visitor.visit_borrowed_str(number.as_str()),
            Value::Str(text) | Value::Markup(text) => visitor.visit_borrowed_str(text),
            Value::Uuid(uuid) => visitor.visit_string(uuid.to_string()),
            Value::Bytes(bytes) | Value::Extension(_, bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(items) | Value::Tuple(items) => {
                let mut items = SeqDeserializer::new(items.iter());
                let list = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(list)
            }
            Value::Map(map) => {
                let mut entries = MapDeserializer::new(map.iter());
                let value = visitor.visit_map(&mut entries)?;
                entries.end()?;
                Ok(value)
            }
            Value::Timestamp { seconds, nanoseconds } => {
                visitor.visit_string(rfc3339(*seconds, *nanoseconds))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            // So that a `Vec<u8>` reads what Python stored as `bytes`.
            Value::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match Special::of(self) {
            Some(special) if name == kind::ANY => visitor.visit_enum(special),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self {
            Value::Str(variant) => visitor.visit_enum(Variant { name: variant, content: None }),
            Value::Map(map) if map.len() == 1 => match map.iter().next() {
                Some((Value::Str(variant), content)) => {
                    visitor.visit_enum(Variant { name: variant, content: Some(content) })
                }
                _ => Err(ValueError::custom("an enum's variant must be named by text")),
            },
            _ => Err(ValueError::custom("expected an enum: text, or a map of one key")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, ValueError> for &'de Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), ValueError> {
        let name: serde::de::value::StrDeserializer<'_, ValueError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(self) -> Result<&'de Value, ValueError> {
        self.content.ok_or_else(|| {
            ValueError::invalid_type(Unexpected::UnitVariant, &"a variant with contents")
        })
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(ValueError::custom("expected a variant without contents")),
        }
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ValueError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.content()?.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use crate::session::Value;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        One(u8),
        Two(u8, String),
        Named { x: f64 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        text: String,
        number: i64,
        large: u64,
        huge: i128,
        float: f64,
        yes: bool,
        none: Option<u8>,
        some: Option<u8>,
        list: Vec<Shape>,
        map: BTreeMap<u32, (char, ())>,
    }

    fn everything() -> Everything {
        Everything {
            text: "Iron Egg 😀".into(),
            number: i64::MIN,
            large: u64::MAX,
            huge: i128::MAX,
            float: -0.5,
            yes: true,
            none: None,
            some: Some(7),
            list: vec![
                Shape::Unit,
                Shape::One(1),
                Shape::Two(2, "two".into()),
                Shape::Named { x: 1.5 },
            ],
            map: BTreeMap::from([(9, ('c', ()))]),
        }
    }

    #[test]
    fn rust_types_survive_the_bridge() {
        let value = Value::from_serialize(&everything()).unwrap();
        assert_eq!(value.deserialize_into::<Everything>().unwrap(), everything());
    }

    #[test]
    fn bytes_read_as_a_vector_of_numbers() {
        let bytes = Value::Bytes(vec![0, 255]);
        assert_eq!(bytes.deserialize_into::<Vec<u8>>().unwrap(), [0, 255]);
    }

    #[test]
    fn a_wrong_shape_is_an_error_and_not_a_guess() {
        assert!(Value::from("17").deserialize_into::<i64>().is_err());
        assert!(Value::Int(-1).deserialize_into::<u64>().is_err());
        assert!(Value::Int(300).deserialize_into::<u8>().is_err());
        assert!(Value::Null.deserialize_into::<String>().is_err());
    }

    #[test]
    fn nesting_past_the_limit_is_refused() {
        let mut deep = serde_json::Value::Null;
        for _ in 0..200 {
            deep = serde_json::Value::Array(vec![deep]);
        }
        assert!(Value::from_serialize(&deep).is_err());
    }
}
