//! What a session can hold: the values that travel between Rust, Python and the stores.

mod de;
mod exact;
mod ser;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use indexmap::{Equivalent, IndexMap};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

pub use ser::ValueError;

/// How deep lists and maps may nest, in a session as in a stored record.
///
/// A deeper value is refused instead of overflowing the stack of whoever reads it.
pub const MAX_DEPTH: usize = 128;

/// One value of a session.
///
/// The variants are those of the stores' formats. Handlers rarely name them: every method of
/// [`Session`](super::Session) goes through serde.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// Python's `None`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer. MessagePack holds those from −2⁶³ to 2⁶⁴−1.
    Int(i128),
    /// An integer that is larger still, as Python's may be.
    BigInt(BigInt),
    /// A floating-point number, not-a-number and the infinities included.
    Float(f64),
    /// Text.
    Str(String),
    /// Python's `bytes`.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// Python's tuple, which Flask's cookie tells from a list. Stores keep it as a list.
    Tuple(Vec<Value>),
    /// Text that is safe HTML already: MarkupSafe's `Markup`, in Flask's cookie alone.
    Markup(String),
    /// A UUID. Stores keep it as text.
    Uuid(Uuid),
    /// A dictionary, in insertion order.
    Map(Map),
    /// A point in time: seconds since 1970-01-01 00:00 UTC, and nanoseconds below one second.
    Timestamp {
        /// Whole seconds, negative before 1970.
        seconds: i64,
        /// 0 to 999,999,999, always counted forwards.
        nanoseconds: u32,
    },
    /// A MessagePack extension of a type that has no meaning here, kept as it came.
    Extension(i8, Vec<u8>),
}

impl Value {
    /// Turns anything serialisable into a value.
    ///
    /// # Errors
    /// When `T` fails to serialise, nests deeper than [`MAX_DEPTH`], or holds an integer above
    /// 2¹²⁷−1.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        value.serialize(ser::ValueSerializer::new())
    }

    /// Turns the value into a `T`.
    ///
    /// # Errors
    /// When the value is not of `T`'s shape.
    pub fn deserialize_into<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        T::deserialize(self)
    }

    /// The text, when it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// An integer beyond 128 bits, as decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(String);

impl BigInt {
    /// The integer that `digits`, an optional minus and decimal digits, stand for: an
    /// [`Int`](Value::Int) where it fits. `None` for anything else.
    pub fn parse(digits: &str) -> Option<Value> {
        let (sign, magnitude) = match digits.strip_prefix('-') {
            Some(magnitude) => ("-", magnitude),
            None => ("", digits),
        };
        if magnitude.is_empty() || !magnitude.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let fits = digits.parse().map(Value::Int);
        let magnitude = magnitude.trim_start_matches('0');
        Some(fits.unwrap_or_else(|_| Value::BigInt(Self(format!("{sign}{magnitude}")))))
    }

    /// The decimal digits, with a minus when it is negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A UUID's 16 bytes. Its text form is the usual one, lower-case with dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Reads the forms that Python's `UUID(…)` does: 32 hexadecimal digits, with dashes wherever,
    /// in braces, or after `urn:uuid:`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace("urn:", "").replace("uuid:", "");
        let digits: String = text.trim_matches(['{', '}']).chars().filter(|c| *c != '-').collect();
        let hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = hex.then(|| u128::from_str_radix(&digits, 16).ok())??;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                formatter.write_str("-")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

/// Two values are equal when their kinds and contents are: `1` is not `1.0`, and a not-a-number
/// equals itself, so that values can be compared for "unchanged" and be keys.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => a == b,
            (Self::Markup(a), Self::Markup(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (
                Self::Timestamp { seconds: a, nanoseconds: x },
                Self::Timestamp { seconds: b, nanoseconds: y },
            ) => a == b && x == y,
            (Self::Extension(a, x), Self::Extension(b, y)) => a == b && x == y,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Int(value) => value.hash(state),
            Self::Float(value) => value.to_bits().hash(state),
            Self::Str(text) => text.as_str().hash(state),
            Self::Bytes(bytes) => bytes.hash(state),
            Self::BigInt(number) => number.hash(state),
            Self::List(items) | Self::Tuple(items) => items.hash(state),
            Self::Markup(text) => text.hash(state),
            Self::Uuid(uuid) => uuid.hash(state),
            // Equality of maps ignores their order, so the hash must as well. A record may have
            // maps for keys; if they all had one hash, reading it would take a square of its size.
            Self::Map(map) => map.iter().fold(0, |mixed, entry| mixed ^ hash(entry)).hash(state),
            Self::Timestamp { seconds, nanoseconds } => (seconds, nanoseconds).hash(state),
            Self::Extension(kind, bytes) => (kind, bytes).hash(state),
        }
    }
}

fn hash(entry: (&Value, &Value)) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.hash(&mut hasher);
    hasher.finish()
}

/// An ordered dictionary of values. Keys are mostly text, but Python puts integers there too.
// Boxed, or else it alone would make every value twice as large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Box<IndexMap<Value, Value>>);

/// Text standing for a [`Value::Str`] key without allocating one.
struct TextKey<'a>(&'a str);

impl Hash for TextKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&Value::Str(String::new())).hash(state);
        self.0.hash(state);
    }
}

impl Equivalent<Value> for TextKey<'_> {
    fn equivalent(&self, key: &Value) -> bool {
        key.as_str() == Some(self.0)
    }
}

impl Map {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map with room for `entries`.
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self(Box::new(IndexMap::with_capacity(entries)))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value under a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(&TextKey(key))
    }

    /// The value under a text key, to be changed in place.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.get_mut(&TextKey(key))
    }

    /// Whether a text key is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(&TextKey(key))
    }

    /// Sets a key and returns the value it had. An existing key keeps its place, as in Python.
    pub fn insert(&mut self, key: impl Into<Value>, value: Value) -> Option<Value> {
        self.0.insert(key.into(), value)
    }

    /// Takes a text key out, the others staying in order.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(&TextKey(key))
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Value, &Value)> {
        self.0.iter()
    }
}

impl FromIterator<(Value, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        Self(Box::new(entries.into_iter().collect()))
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_keeps_its_order_through_insert_and_remove() {
        let mut map: Map =
            ["b", "a", "c"].map(|key| (Value::from(key), Value::Null)).into_iter().collect();
        map.insert("a", Value::Int(1));
        map.remove("b");
        let keys: Vec<_> = map.iter().filter_map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "c"]);
        assert_eq!(map.get("a"), Some(&Value::Int(1)));
    }

    #[test]
    fn maps_hash_by_content_and_not_by_order() {
        let map = |keys: [&str; 2]| {
            Value::Map(keys.map(|key| (Value::from(key), Value::Null)).into_iter().collect())
        };
        let hash = |value: Value| super::hash((&value, &Value::Null));
        assert_eq!(map(["a", "b"]), map(["b", "a"]));
        assert_eq!(hash(map(["a", "b"])), hash(map(["b", "a"])));
        assert_ne!(hash(map(["a", "b"])), hash(map(["a", "c"])));
    }

    #[test]
    fn an_integer_key_is_not_its_text() {
        let mut map = Map::new();
        map.insert(Value::Int(1), Value::Bool(true));
        assert_eq!(map.get("1"), None);
        assert_eq!(map.len(), 1);
    }
}
