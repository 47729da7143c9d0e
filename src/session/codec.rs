//! How a session's values become a record's bytes.

pub mod json;
mod lexical;
pub mod msgpack;
pub mod pickle;
pub mod tagged;

use super::value::Map;

/// The form of a store's records (`SESSION_SERIALIZATION_FORMAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `msgpack`: [MessagePack](msgpack), Flask-Session's default.
    MessagePack,
    /// `json`: [plain JSON](json).
    Json,
    /// [Python's pickle](pickle): Flask-Session's files, whatever the setting says.
    Pickle,
}

impl Format {
    /// A session's values as a record.
    ///
    /// # Errors
    /// [`EncodeError`] when a value has no form in this format.
    pub fn encode(self, values: &Map) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::MessagePack => msgpack::encode(values),
            Self::Json => json::encode(values),
            Self::Pickle => pickle::encode(values),
        }
    }

    /// A record's values. As in Flask-Session, a record in another format than this is read too,
    /// so that the setting can change, or differ between applications, while sessions live.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are a session in no format.
    pub fn decode(self, record: &[u8]) -> Result<Map, DecodeError> {
        type Read = fn(&[u8]) -> Result<Map, DecodeError>;
        let (own, others): (Read, [Read; 2]) = match self {
            Self::MessagePack => (msgpack::decode, [json::decode, pickle::decode]),
            Self::Json => (json::decode, [msgpack::decode, pickle::decode]),
            Self::Pickle => (pickle::decode, [msgpack::decode, json::decode]),
        };
        let mut error = match own(record) {
            Ok(values) => return Ok(values),
            Err(error) => error,
        };
        for read in others {
            match read(record) {
                Ok(values) => return Ok(values),
                // These say more than that it is something else.
                Err(better @ (DecodeError::Null | DecodeError::Refused(_))) => {
                    error = better;
                }
                Err(_) => {}
            }
        }
        Err(error)
    }
}

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
    /// The outermost value is nothing, which Flask-Session takes for no record.
    #[error("the record is null")]
    Null,
    /// The bytes are no pickle.
    #[error("the record is not a pickle")]
    NotPickle,
    /// A pickle has an opcode that plain data does not need.
    #[error("the record is not a pickle of plain data: it has the opcode 0x{0:02x}")]
    Opcode(u8),
    /// A pickle holds something that is not plain data.
    #[error("the record is a pickle that holds {0}; it is not loaded, and nothing in it is run")]
    Refused(String),
    /// A pickle repeats its parts so often that it unfolds to many times its length.
    #[error("the record unfolds to too many times its length")]
    TooLarge,
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
    /// Keys of a map are of kinds that JSON has no text for, that Python cannot sort, or that its
    /// dictionaries cannot have.
    #[error("the session's keys have no form in a session record")]
    Key,
    /// Lists and maps nest deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("the session's values nest too deeply")]
    TooDeep,
    /// A text, list or map is longer than 2³²−1, or an integer than Python's 4300 digits.
    #[error("a session value is too long")]
    TooLong,
    /// Python's times are of the years 1 to 9999.
    #[error("a time before the year 1 or after 9999 does not fit a session record")]
    Time,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::value::Value;

    const FORMATS: [Format; 3] = [Format::MessagePack, Format::Json, Format::Pickle];

    #[test]
    fn each_format_reads_what_the_others_wrote() {
        let values = Map::from_iter([
            (Value::from("_permanent"), Value::Bool(true)),
            (Value::from("user"), Value::from("gkf")),
        ]);
        for (reader, writer) in FORMATS.iter().flat_map(|one| FORMATS.map(|other| (*one, other))) {
            let record = writer.encode(&values).unwrap();
            assert_eq!(reader.decode(&record), Ok(values.clone()), "{writer:?} by {reader:?}");
        }
    }

    #[test]
    fn nothing_is_no_record_in_any_format() {
        for format in FORMATS {
            for record in [&b"\xc0"[..], b"null", b" null\n", b"N.", b"\x80\x04N."] {
                assert_eq!(format.decode(record), Err(DecodeError::Null), "{format:?} {record:?}");
            }
        }
    }

    #[test]
    fn what_no_format_takes_is_an_error_that_tells_the_most() {
        for (record, told) in [
            (&b"garbage"[..], "not a map"),
            (b"\x82\xa1a\x01", "ends early"),
            (b"cos\nsystem\n(Vtrue\ntR.", "\"os.system\""),
            (b"\x80\x04\x8f.", "a set"),
        ] {
            let error = Format::MessagePack.decode(record).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        assert_eq!(Format::Json.decode(b"{"), Err(DecodeError::NotJson));
        assert_eq!(Format::Pickle.decode(b"}"), Err(DecodeError::Truncated));
    }
}
