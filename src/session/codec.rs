//! How a session's values become a record's bytes.

pub mod json;
mod lexical;
pub mod msgpack;
pub mod tagged;

/// Why bytes are not a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("the record ends early")]
    Truncated,
    /// Bytes follow the value.
    #[error("the record has {0} bytes after its end")]
    Trailing(usize),
    /// Text is not UTF-8.
    #[error("the record holds text that is not UTF-8")]
    NotUtf8,
    /// Lists and maps nest deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the record nests too deeply")]
    TooDeep,
    /// A byte that begins no value.
    #[error("the record holds the reserved type byte 0x{0:02x}")]
    Reserved(u8),
    /// A timestamp of a length or a fraction that cannot be.
    #[error("the record holds an invalid timestamp")]
    Timestamp,
    /// The text is not JSON.
    #[error("the record is not JSON")]
    NotJson,
    /// A tagged value is not of its tag's form.
    #[error("the session holds a malformed value under the tag {0:?}")]
    Tag(&'static str),
    /// The outermost value is not a map.
    #[error("the record is not a map")]
    NotAMap,
}

/// Why values have no form in a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// MessagePack holds integers from −2⁶³ to 2⁶⁴−1.
    #[error("the integer {0} does not fit a session record")]
    IntegerRange(String),
    /// Flask-Session's formats know no markup; store its text.
    #[error("a session record holds no markup; store its text")]
    Markup,
    /// Flask's cookie holds times of the years 1 to 9999, as Python does.
    #[error("a time outside the years 1 to 9999 does not fit a session cookie")]
    TimeRange,
    /// Keys of a map are of kinds that JSON has no text for, or that Python cannot sort.
    #[error("the session's keys cannot be written as JSON")]
    Key,
    /// Lists and maps nest deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the session's values nest too deeply")]
    TooDeep,
    /// A text, list or map is longer than 2³²−1.
    #[error("a session value is too long")]
    TooLong,
}
