//! JSON as text: a reader as lax as Python's, and writers of numbers and strings in each
//! library's own spelling.

use super::{DecodeError, EncodeError};
use crate::session::value::{BigInt, MAX_DEPTH, Map, Value};

/// Which library's spelling to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Python's `json`, ASCII alone: Flask's cookie.
    Python,
    /// msgspec: Flask-Session's records.
    Msgspec,
}

/// Writes what both spell as JSON has it; false for everything else.
pub(super) fn write_plain(out: &mut String, value: &Value, style: Style) -> bool {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::BigInt(value) => out.push_str(value.as_str()),
        Value::Float(value) => out.push_str(&float(*value, style)),
        Value::Str(text) => write_string(out, text, style),
        _ => return false,
    }
    true
}

/// Writes a list, each item by `write` one level deeper.
pub(super) fn write_list(
    out: &mut String,
    items: &[Value],
    depth: usize,
    write: fn(&mut String, &Value, usize) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    if depth >= MAX_DEPTH {
        return Err(EncodeError::TooDeep);
    }
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item, depth + 1)?;
    }
    out.push(']');
    Ok(())
}

pub(super) fn write_string(out: &mut String, text: &str, style: Style) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            ' '..='~' => out.push(c),
            _ if style == Style::Msgspec && c >= ' ' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// The shortest digits that read back as `number`, in Python's or msgspec's layout.
fn float(number: f64, style: Style) -> String {
    if !number.is_finite() {
        return match style {
            Style::Msgspec => "null".into(),
            Style::Python if number.is_nan() => "NaN".into(),
            Style::Python if number > 0.0 => "Infinity".into(),
            Style::Python => "-Infinity".into(),
        };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let smallest = if style == Style::Python { -4 } else { -5 };
    match (exponent, style) {
        _ if number == 0.0 || (smallest..16).contains(&exponent) => {
            let positional = format!("{number}");
            if positional.contains('.') { positional } else { positional + ".0" }
        }
        (_, Style::Msgspec) => format!("{digits}e{exponent}"),
        (_, Style::Python) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

/// Reads one JSON text: any integers, `NaN` and `Infinity` where `lax`, the last of repeated keys,
/// lone surrogates as U+FFFD. `object` sees each finished object and may turn it into another
/// value.
pub(super) fn read(
    text: &str,
    lax: bool,
    object: impl Fn(Map) -> Result<Value, DecodeError>,
) -> Result<Value, DecodeError> {
    let mut reader = Reader { text, at: 0, lax, object };
    let value = reader.value(0)?;
    reader.blanks();
    match reader.at == text.len() {
        true => Ok(value),
        false => Err(DecodeError::NotJson),
    }
}

struct Reader<'a, F> {
    text: &'a str,
    at: usize,
    lax: bool,
    object: F,
}

impl<F: Fn(Map) -> Result<Value, DecodeError>> Reader<'_, F> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, literal: &str) -> bool {
        let there = self.text.as_bytes()[self.at..].starts_with(literal.as_bytes());
        if there {
            self.at += literal.len();
        }
        there
    }

    fn expect(&mut self, literal: &str) -> Result<(), DecodeError> {
        self.blanks();
        self.take(literal).then_some(()).ok_or(DecodeError::NotJson)
    }

    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.blanks();
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(DecodeError::TooDeep),
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Value::Str(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Value, DecodeError> {
        for (literal, value) in
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
        {
            if self.take(literal) {
                return Ok(value);
            }
        }
        if self.lax && self.take("NaN") {
            Ok(Value::Float(f64::NAN))
        } else if self.lax && self.take("Infinity") {
            Ok(Value::Float(f64::INFINITY))
        } else {
            Err(DecodeError::NotJson)
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.expect("{")?;
        let mut map = Map::new();
        self.blanks();
        if !self.take("}") {
            loop {
                self.blanks();
                let key = self.string()?;
                self.expect(":")?;
                map.insert(Value::Str(key), self.value(depth + 1)?);
                self.blanks();
                if !self.take(",") {
                    break;
                }
            }
            self.expect("}")?;
        }
        (self.object)(map)
    }

    fn list(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.expect("[")?;
        let mut items = Vec::new();
        self.blanks();
        if !self.take("]") {
            loop {
                items.push(self.value(depth + 1)?);
                self.blanks();
                if !self.take(",") {
                    break;
                }
            }
            self.expect("]")?;
        }
        Ok(Value::List(items))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, DecodeError> {
        let start = self.at;
        let negative = self.take("-");
        if negative && self.lax && self.take("Infinity") {
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || leading_zero && whole > 1 {
            return Err(DecodeError::NotJson);
        }
        let mut is_float = false;
        if self.take(".") {
            is_float = true;
            if self.digits() == 0 {
                return Err(DecodeError::NotJson);
            }
        }
        if self.take("e") || self.take("E") {
            is_float = true;
            let _ = self.take("+") || self.take("-");
            if self.digits() == 0 {
                return Err(DecodeError::NotJson);
            }
        }
        let text = &self.text[start..self.at];
        if !is_float {
            return BigInt::parse(text).ok_or(DecodeError::NotJson);
        }
        let number: f64 = text.parse().map_err(|_| DecodeError::NotJson)?;
        match number.is_finite() || self.lax {
            true => Ok(Value::Float(number)),
            false => Err(DecodeError::NotJson),
        }
    }

    fn string(&mut self) -> Result<String, DecodeError> {
        if !self.take("\"") {
            return Err(DecodeError::NotJson);
        }
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or(DecodeError::NotJson)?;
            out.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                _ => return Err(DecodeError::NotJson),
            }
        }
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let escaped = self.peek().ok_or(DecodeError::NotJson)?;
        self.at += 1;
        Ok(match escaped {
            b'"' | b'\\' | b'/' => escaped.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                let low_follows = (0xd800..0xdc00).contains(&unit)
                    && self.text.as_bytes()[self.at..].starts_with(b"\\u");
                if !low_follows {
                    return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let before = self.at;
                self.at += 2;
                let low = self.unit()?;
                if !(0xdc00..0xe000).contains(&low) {
                    self.at = before;
                    return Ok(char::REPLACEMENT_CHARACTER);
                }
                char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
                    .unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(DecodeError::NotJson),
        })
    }

    fn unit(&mut self) -> Result<u32, DecodeError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(DecodeError::NotJson)?;
        let hex = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).map_err(|_| DecodeError::NotJson)?;
        self.at += 4;
        match hex {
            true => u32::from_str_radix(digits, 16).map_err(|_| DecodeError::NotJson),
            false => Err(DecodeError::NotJson),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelt_as_each_library_spells_them() {
        for (number, python, msgspec) in [
            (0.0, "0.0", "0.0"),
            (-0.0, "-0.0", "-0.0"),
            (1.0, "1.0", "1.0"),
            (0.1, "0.1", "0.1"),
            (1e15, "1000000000000000.0", "1000000000000000.0"),
            (1e16, "1e+16", "1e16"),
            (1e22, "1e+22", "1e22"),
            (1e-4, "0.0001", "0.0001"),
            (1e-5, "1e-05", "0.00001"),
            (1e-7, "1e-07", "1e-7"),
            (1.5e300, "1.5e+300", "1.5e300"),
            (5e-324, "5e-324", "5e-324"),
            (f64::NAN, "NaN", "null"),
            (f64::NEG_INFINITY, "-Infinity", "null"),
        ] {
            assert_eq!(float(number, Style::Python), python);
            assert_eq!(float(number, Style::Msgspec), msgspec);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let plain = |map| Ok(Value::Map(map));
        for bad in [
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "-",
            "1.",
            "1e",
            ".5",
            "+1",
            "tru",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "1 2",
            "[1 2]",
            "'a'",
            "\u{feff}1",
            "--1",
            "-Infinit",
        ] {
            assert!(read(bad, true, plain).is_err(), "{bad}");
        }
        assert!(read("NaN", false, plain).is_err() && read("1e999", false, plain).is_err());
        assert!(read(&"[".repeat(100_000), true, plain).is_err());
    }

    #[test]
    fn escapes_are_undone() {
        let read = |text| read(text, true, |map| Ok(Value::Map(map))).unwrap();
        assert_eq!(read(r#""\ud83d\ude00\u00e9\/\n""#), Value::from("😀é/\n"));
        assert_eq!(read(r#""\ud800x\udc00""#), Value::from("\u{fffd}x\u{fffd}"));
        assert_eq!(read(r#""\ud800\u0041""#), Value::from("\u{fffd}A"));
        assert_eq!(read("-0"), Value::Int(0));
    }
}
