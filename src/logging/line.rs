//! What a line of the log looks like.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use log::Level;
use log::kv::{self, Key, Source, Value, VisitSource};
use serde::ser::{SerializeMap, Serializer};

use crate::config::LogFormat;
use crate::session::rfc3339;

/// A longer message is cut, in characters, lest one line fill the log.
const MAX_MESSAGE: usize = 8 * 1024;
/// The key of what ties lines to a request. It alone of the keys stands in a line for people, whose
/// message says the rest in words.
const REQUEST_ID: &str = "request_id";
/// What every object has, which no other field takes the place of.
const RESERVED: [&str; 6] = ["time", "level", "logger", "target", "message", "repeated"];

/// A line in the making.
pub struct Line<'l> {
    format: LogFormat,
    journal: bool,
    level: Level,
    target: &'l str,
    message: String,
    name: Option<String>,
    /// How often the same came before and was not written.
    pub repeated: u64,
    fields: Vec<(String, serde_json::Value)>,
}

impl<'l> Line<'l> {
    pub fn new(
        format: LogFormat,
        journal: bool,
        level: Level,
        target: &'l str,
        message: &str,
        name: Option<String>,
    ) -> Self {
        let message = shortened(message);
        Self { format, journal, level, target, message, name, repeated: 0, fields: Vec::new() }
    }

    /// Adds the fields of a record. Those without a value are left out.
    pub fn add(&mut self, fields: &dyn Source) {
        // Collecting them does not fail.
        let _ = fields.visit(&mut Fields(&mut self.fields));
    }

    /// The last line of the program. For people it looks as it does from a command.
    pub fn fatal(self) -> String {
        match (self.format, self.journal) {
            (LogFormat::Text, false) => format!("dewar: {}\n", one_line(&self.message)),
            _ => self.to_string(),
        }
    }

    fn text(&self) -> String {
        let mut line = one_line(&self.message);
        if let Some(name) = &self.name {
            line = format!("{name}: {line}");
        }
        if self.repeated > 0 {
            line += &format!(" (and {} more like it)", self.repeated);
        }
        let id = self.fields.iter().find(|(key, _)| key == REQUEST_ID);
        if let Some(id) = id.and_then(|(_, id)| id.as_str()) {
            line += &format!(" {REQUEST_ID}={}", one_line(id));
        }
        match self.journal {
            true => line,
            false => format!("{} {:5} {line}", now(), self.level),
        }
    }

    fn json(&self) -> serde_json::Result<String> {
        let mut text = Vec::new();
        let mut writer = serde_json::Serializer::new(&mut text);
        let mut object = writer.serialize_map(None)?;
        object.serialize_entry("time", &now())?;
        object.serialize_entry("level", self.level.as_str())?;
        if let Some(name) = &self.name {
            object.serialize_entry("logger", name)?;
        }
        object.serialize_entry("target", self.target)?;
        object.serialize_entry("message", &self.message)?;
        if self.repeated > 0 {
            object.serialize_entry("repeated", &self.repeated)?;
        }
        for (key, value) in &self.fields {
            object.serialize_entry(key, value)?;
        }
        object.end()?;
        Ok(visible(&String::from_utf8_lossy(&text)))
    }
}

/// The whole line with its end.
impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.journal {
            let priority = match self.level {
                Level::Error => 3,
                Level::Warn => 4,
                Level::Info => 6,
                Level::Debug | Level::Trace => 7,
            };
            write!(formatter, "<{priority}>")?;
        }
        let line = match self.format {
            LogFormat::Text => self.text(),
            LogFormat::Json => self.json().map_err(|_| fmt::Error)?,
        };
        writeln!(formatter, "{line}")
    }
}

/// Collects fields as JSON.
struct Fields<'f>(&'f mut Vec<(String, serde_json::Value)>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = if let Some(text) = value.to_borrowed_str() {
            text.into()
        } else if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(number) = value.to_f64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            match value.to_string() {
                // What an `Option` without a value looks like.
                none if none == "None" => return Ok(()),
                text => text.into(),
            }
        };
        if !RESERVED.contains(&key.as_str())
            && !self.0.iter().any(|(known, _)| known == key.as_str())
        {
            self.0.push((key.as_str().to_owned(), value));
        }
        Ok(())
    }
}

fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    rfc3339(seconds, now.subsec_millis() * 1_000_000)
}

/// Takes the colours that Rocket adds from a message.
pub fn uncoloured(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, code)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        match code.find(|c: char| c.is_ascii_alphabetic()) {
            Some(end) => rest = &code[end + 1..],
            None => rest = code,
        }
    }
    plain + rest
}

/// Takes the query from Rocket's name of a request, and the content type behind it, which are the
/// client's.
pub fn without_query(message: &str) -> &str {
    match message.find(" /") {
        Some(path) if !message.starts_with("Matched") => {
            let end = message[path + 1..].find(['?', ' ']).map(|end| path + 1 + end);
            &message[..end.unwrap_or(message.len())]
        }
        _ => message,
    }
}

fn shortened(message: &str) -> String {
    let whole = message.char_indices().nth(MAX_MESSAGE).is_none();
    if whole {
        message.to_owned()
    } else {
        message.chars().take(MAX_MESSAGE).chain(['…']).collect()
    }
}

/// Whether a character would end a line, colour it or forge another.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A message without what would end its line.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        match is_harmful(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// JSON in which the same is escaped in JSON's own way; it stands in strings alone.
fn visible(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        match is_harmful(c) {
            true => line += &format!("\\u{:04x}", u32::from(c)),
            false => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat, message: &str) -> Line<'static> {
        Line::new(format, false, Level::Error, "dewar::x", message, None)
    }

    #[test]
    fn nobody_forges_a_line() {
        assert_eq!(one_line("a\nERROR b\u{2028}c\u{1b}]x"), "a\\nERROR b\\u{2028}c\\u{1b}]x");
        assert_eq!(one_line(&uncoloured("\u{1b}[31mred\u{1b}[0m ü")), "red ü");
        let forged = "a\r\n{\"level\":\"x\"}\u{2028}\u{85}\u{7f}\u{1b}";
        let json = line(LogFormat::Json, forged).to_string();
        assert_eq!(json.chars().filter(|c| is_harmful(*c)).count(), 1, "{json:?}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(object["message"], forged);
    }

    #[test]
    fn rockets_name_of_a_request_loses_its_query() {
        for (message, expected) in [
            ("GET /login?next=secret text/html:", "GET /login"),
            ("GET /login text/secret:", "GET /login"),
            ("No matching routes for POST /a/b?token=secret.", "No matching routes for POST /a/b"),
            ("Matched: (form) GET /login?<next>", "Matched: (form) GET /login?<next>"),
            ("Response succeeded.", "Response succeeded."),
        ] {
            assert_eq!(without_query(message), expected);
        }
    }

    #[test]
    fn fields_are_keys_of_their_own_and_take_no_other_ones_place() {
        let fields: &[(&str, Value<'_>)] = &[
            ("request_id", Value::from("4f\n")),
            ("status", Value::from(503_u16)),
            ("duration_ms", Value::from(1.5)),
            ("message", Value::from("forged")),
            ("request_id", Value::from("again")),
        ];
        let mut json = line(LogFormat::Json, "told");
        json.add(&fields);
        json.repeated = 3;
        let object: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
        assert_eq!((&object["message"], &object["level"]), (&"told".into(), &"ERROR".into()));
        assert_eq!((&object["status"], &object["duration_ms"]), (&503.into(), &1.5.into()));
        assert_eq!((&object["request_id"], &object["repeated"]), (&"4f\n".into(), &3.into()));
        assert!(object["time"].as_str().unwrap().ends_with('Z'));
        let mut text = line(LogFormat::Text, "told");
        text.add(&fields);
        assert!(text.to_string().ends_with(" ERROR told request_id=4f\\n\n"), "{text}");
    }

    #[test]
    fn an_absent_value_leaves_no_field_and_a_long_message_is_cut() {
        let mut json = line(LogFormat::Json, &"é".repeat(10_000));
        let none: Option<&str> = None;
        json.add(&[("request_id", Value::from_debug(&none))].as_slice());
        let object: serde_json::Value = serde_json::from_str(&json.to_string()).unwrap();
        assert!(object.get("request_id").is_none());
        assert_eq!(object["message"].as_str().unwrap().chars().count(), MAX_MESSAGE + 1);
    }
}
