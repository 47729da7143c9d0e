//! JSON as Flask's `jsonify` writes it.

use rocket::Request;
use rocket::http::Status;
use rocket::response::{self, Responder};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::{JsonStyle, Live};
use crate::session::request_id;

/// An answer in JSON, in the configured style.
pub struct Jsonify<T>(pub T);

impl<'r, T: Serialize> Responder<'r, 'static> for Jsonify<T> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let config = request.rocket().state::<Live>().ok_or(Status::InternalServerError)?.get();
        let text = write(&self.0, &config.json).map_err(|error| {
            log::error!(request_id = request_id(request.headers()); "{error}");
            Status::InternalServerError
        })?;
        (config.json.content_type.clone(), text).respond_to(request)
    }
}

fn write<T: Serialize>(value: &T, style: &JsonStyle) -> serde_json::Result<String> {
    let mut text = match (style.sort_keys, style.pretty) {
        (true, true) => serde_json::to_string_pretty(&sorted(serde_json::to_value(value)?)),
        (true, false) => serde_json::to_string(&sorted(serde_json::to_value(value)?)),
        (false, true) => serde_json::to_string_pretty(value),
        (false, false) => serde_json::to_string(value),
    }?;
    text.push('\n');
    Ok(if style.ascii { ascii(&text) } else { text })
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(entries) => {
            let mut entries: Vec<_> =
                entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(Map::from_iter(entries))
        }
        plain => plain,
    }
}

/// Escapes what is not printable ASCII. In JSON that stands in strings alone, but for line ends.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            ' '..='~' | '\n' => escaped.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rocket::http::ContentType;

    use super::*;

    #[derive(Serialize)]
    struct Both {
        b: &'static str,
        a: Vec<u8>,
    }

    #[test]
    fn each_setting_shows() {
        let value = Both { b: "é😀\u{7f}\n", a: vec![1] };
        let style = |ascii, sort_keys, pretty| JsonStyle {
            ascii,
            sort_keys,
            pretty,
            content_type: ContentType::JSON,
        };
        let written = |style| write(&value, &style).unwrap();
        assert_eq!(
            written(style(true, true, false)),
            "{\"a\":[1],\"b\":\"\\u00e9\\ud83d\\ude00\\u007f\\n\"}\n"
        );
        assert_eq!(written(style(false, false, false)), "{\"b\":\"é😀\u{7f}\\n\",\"a\":[1]}\n");
        assert_eq!(
            written(style(true, true, true)),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": \"\\u00e9\\ud83d\\ude00\\u007f\\n\"\n}\n"
        );
    }
}
