//! From Rust types to [`Value`], through serde.

use std::fmt::Display;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{MAX_DEPTH, Map, Value, exact};

/// Why a value could not be turned into another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub(super) String);

impl serde::ser::Error for ValueError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[derive(Clone, Copy)]
pub(super) struct ValueSerializer {
    depth: usize,
    exact: bool,
}

impl ValueSerializer {
    pub(super) fn new() -> Self {
        Self { depth: 0, exact: false }
    }

    /// For what has a form for people and another that is exact.
    pub(super) fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    fn deeper(self) -> Result<Self, ValueError> {
        match self.depth {
            MAX_DEPTH.. => Err(ValueError::custom(format!(
                "lists and maps nest deeper than {MAX_DEPTH} levels"
            ))),
            depth => Ok(Self { depth: depth + 1, ..self }),
        }
    }

    fn list(self, len: usize, variant: Option<&'static str>) -> Result<ListBuilder, ValueError> {
        let inner = self.deeper()?;
        // A variant's list lies inside the map that names the variant.
        let inner = if variant.is_some() { inner.deeper()? } else { inner };
        Ok(ListBuilder { inner, items: Vec::with_capacity(len.min(1024)), variant })
    }

    fn map(self, variant: Option<&'static str>) -> Result<MapBuilder, ValueError> {
        let inner = self.deeper()?;
        let inner = if variant.is_some() { inner.deeper()? } else { inner };
        Ok(MapBuilder { inner, map: Map::new(), key: None, variant })
    }
}

fn tagged(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        None => value,
        Some(name) => Value::Map(Map::from_iter([(Value::from(name), value)])),
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<Value, ValueError> {
            Ok(Value::Int(value.into()))
        }
    )*};
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = ListBuilder;
    type SerializeTuple = ListBuilder;
    type SerializeTupleStruct = ListBuilder;
    type SerializeTupleVariant = ListBuilder;
    type SerializeMap = MapBuilder;
    type SerializeStruct = MapBuilder;
    type SerializeStructVariant = MapBuilder;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64
    );

    fn serialize_u128(self, value: u128) -> Result<Value, ValueError> {
        i128::try_from(value)
            .map(Value::Int)
            .map_err(|_| ValueError::custom(format!("the integer {value} is too large")))
    }

    fn serialize_bool(self, value: bool) -> Result<Value, ValueError> {
        Ok(Value::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, ValueError> {
        Ok(Value::Float(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, ValueError> {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<Value, ValueError> {
        Ok(Value::Str(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, ValueError> {
        Ok(Value::from(value))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, ValueError> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        Ok(Value::from(variant))
    }

    fn is_human_readable(&self) -> bool {
        !self.exact
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        exact::from_newtype(name, value, self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(tagged(Some(variant), value.serialize(self.deeper()?)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<ListBuilder, ValueError> {
        self.list(len.unwrap_or(0), None)
    }

    fn serialize_tuple(self, len: usize) -> Result<ListBuilder, ValueError> {
        self.list(len, None)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<ListBuilder, ValueError> {
        self.list(len, None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ListBuilder, ValueError> {
        self.list(len, Some(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<MapBuilder, ValueError> {
        self.map(None)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<MapBuilder, ValueError> {
        self.map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<MapBuilder, ValueError> {
        self.map(Some(variant))
    }
}

pub(super) struct ListBuilder {
    inner: ValueSerializer,
    items: Vec<Value>,
    variant: Option<&'static str>,
}

impl SerializeSeq for ListBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.items.push(item.serialize(self.inner)?);
        Ok(())
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(tagged(self.variant, Value::List(self.items)))
    }
}

macro_rules! like_a_sequence {
    ($($trait:ident: $method:ident),*) => {$(
        impl $trait for ListBuilder {
            type Ok = Value;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
                SerializeSeq::serialize_element(self, item)
            }

            fn end(self) -> Result<Value, ValueError> {
                SerializeSeq::end(self)
            }
        }
    )*};
}

like_a_sequence!(
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

pub(super) struct MapBuilder {
    inner: ValueSerializer,
    map: Map,
    key: Option<Value>,
    variant: Option<&'static str>,
}

impl SerializeMap for MapBuilder {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(key.serialize(self.inner)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let value = value.serialize(self.inner)?;
        let key = self.key.take().ok_or_else(|| ValueError::custom("a map value has no key"))?;
        self.map.insert(key, value);
        Ok(())
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(tagged(self.variant, Value::Map(self.map)))
    }
}

macro_rules! like_a_struct {
    ($($trait:ident),*) => {$(
        impl $trait for MapBuilder {
            type Ok = Value;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.map.insert(key, value.serialize(self.inner)?);
                Ok(())
            }

            fn end(self) -> Result<Value, ValueError> {
                SerializeMap::end(self)
            }
        }
    )*};
}

like_a_struct!(SerializeStruct, SerializeStructVariant);
