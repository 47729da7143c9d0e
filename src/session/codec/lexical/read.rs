//! A reader of JSON as lax as Python's.

use crate::session::codec::DecodeError;
use crate::session::value::{BigInt, MAX_DEPTH, Map, Value};

/// Reads one JSON text: any integers, `NaN` and `Infinity` where `lax`, the last of repeated keys,
/// lone surrogates as U+FFFD. `object` sees each finished object and may turn it into another
/// value.
pub(in crate::session::codec) fn read(
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
            // All three kinds of end are ASCII, so the text is cut between characters.
            let rest = &self.text[self.at..];
            let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..b' ');
            let plain = rest.as_bytes().iter().position(ends).ok_or(DecodeError::NotJson)?;
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
