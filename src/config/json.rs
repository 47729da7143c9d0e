//! How JSON answers are written.

use rocket::http::ContentType;

use crate::session::settings::Reader;

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("JSON_AS_ASCII", "escape what is not ASCII in JSON"),
    ("JSON_SORT_KEYS", "sort the keys of JSON objects"),
    ("JSONIFY_PRETTYPRINT_REGULAR", "indent JSON; unset: DEBUG"),
    ("JSONIFY_MIMETYPE", "the content type of JSON"),
];

/// How JSON answers are written. Sessions in cookies are always ASCII and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonStyle {
    /// `JSON_AS_ASCII`.
    pub ascii: bool,
    /// `JSON_SORT_KEYS`.
    pub sort_keys: bool,
    /// `JSONIFY_PRETTYPRINT_REGULAR`, or else `DEBUG`.
    pub pretty: bool,
    /// `JSONIFY_MIMETYPE`.
    pub content_type: ContentType,
}

impl JsonStyle {
    pub(super) fn read(reader: &mut Reader, debug: bool) -> Self {
        let named = reader.text("JSONIFY_MIMETYPE");
        let parsed = named.map(|named| named.parse().ok());
        if parsed == Some(None) {
            reader.refuse("JSONIFY_MIMETYPE", "must be a media type, such as \"application/json\"");
        }
        Self {
            ascii: reader.bool("JSON_AS_ASCII").unwrap_or(true),
            sort_keys: reader.bool("JSON_SORT_KEYS").unwrap_or(true),
            pretty: reader.bool("JSONIFY_PRETTYPRINT_REGULAR").unwrap_or(debug),
            content_type: parsed.flatten().unwrap_or(ContentType::JSON),
        }
    }
}
