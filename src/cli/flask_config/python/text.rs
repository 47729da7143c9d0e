//! The value of a string or bytes literal.

use std::iter::Peekable;
use std::str::Chars;

/// What adjacent literals give together.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Text {
    /// A `str`.
    Str(String),
    /// A `bytes`.
    Bytes(Vec<u8>),
}

/// Reads a literal as the tokenizer cut it: prefix, quotes, content, quotes.
///
/// # Errors
/// Why it has no value here.
pub fn read(literal: &str) -> Result<Text, &'static str> {
    let open = literal.find(['"', '\'']).ok_or("is no string")?;
    let (prefix, quoted) = literal.split_at(open);
    let prefix = prefix.to_ascii_lowercase();
    if prefix.contains(['f', 't']) {
        return Err("is put together when the program runs");
    }
    let quotes =
        match quoted.len() >= 6 && (quoted.starts_with("\"\"\"") || quoted.starts_with("'''")) {
            true => 3,
            false => 1,
        };
    let content = quoted.get(quotes..quoted.len().saturating_sub(quotes)).ok_or("is no string")?;
    // Python sees one kind of line break, whatever the file has.
    let content = content.replace("\r\n", "\n").replace('\r', "\n");
    let raw = prefix.contains('r');
    match prefix.contains('b') {
        true => bytes(&content, raw).map(Text::Bytes),
        false if raw => Ok(Text::Str(content)),
        false => unescape(&content).map(Text::Str),
    }
}

fn bytes(content: &str, raw: bool) -> Result<Vec<u8>, &'static str> {
    let mut value = Vec::with_capacity(content.len());
    let mut rest = content.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, raw) {
            ('\\', false) => match escape(&mut rest)? {
                // Of a code above 255 Python keeps the low byte.
                Escape::Code(code) => value.push((code & 0xff) as u8),
                Escape::Nothing => {}
                Escape::Unknown => value.push(b'\\'),
            },
            _ => value.push(
                u8::try_from(c)
                    .ok()
                    .filter(u8::is_ascii)
                    .ok_or("is bytes with letters beyond ASCII")?,
            ),
        }
    }
    Ok(value)
}

fn unescape(content: &str) -> Result<String, &'static str> {
    let mut value = String::with_capacity(content.len());
    let mut rest = content.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            value.push(c);
            continue;
        }
        let code = match (escape(&mut rest)?, rest.peek().copied()) {
            (Escape::Code(code), _) => code,
            (Escape::Nothing, _) => continue,
            (Escape::Unknown, Some('u')) => long(&mut rest, 4)?,
            (Escape::Unknown, Some('U')) => long(&mut rest, 8)?,
            (Escape::Unknown, Some('N')) => return Err("names a character with \\N{…}"),
            (Escape::Unknown, _) => u32::from('\\'),
        };
        value.push(char::from_u32(code).ok_or("holds half a surrogate pair")?);
    }
    Ok(value)
}

fn long(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Result<u32, &'static str> {
    rest.next();
    hexadecimal(rest, digits)
}

enum Escape {
    Code(u32),
    /// A line break that does not count.
    Nothing,
    /// The backslash stands for itself, and nothing behind it was taken.
    Unknown,
}

/// What bytes and strings have in common, behind a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<Escape, &'static str> {
    let Some(&c) = rest.peek() else { return Ok(Escape::Unknown) };
    let code = match c {
        '\n' => {
            rest.next();
            return Ok(Escape::Nothing);
        }
        '\\' | '\'' | '"' => u32::from(c),
        'a' => 7,
        'b' => 8,
        't' => 9,
        'n' => 10,
        'v' => 11,
        'f' => 12,
        'r' => 13,
        'x' => {
            rest.next();
            return hexadecimal(rest, 2).map(Escape::Code);
        }
        '0'..='7' => {
            let mut code = 0;
            for _ in 0..3 {
                let Some(digit) = rest.peek().and_then(|c| c.to_digit(8)) else { break };
                code = code * 8 + digit;
                rest.next();
            }
            return Ok(Escape::Code(code));
        }
        _ => return Ok(Escape::Unknown),
    };
    rest.next();
    Ok(Escape::Code(code))
}

fn hexadecimal(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Result<u32, &'static str> {
    let mut code = 0_u32;
    for _ in 0..digits {
        let digit = rest.next().and_then(|c| c.to_digit(16)).ok_or("has an escape cut short")?;
        code = code << 4 | digit;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(literal: &str) -> String {
        match read(literal) {
            Ok(Text::Str(text)) => text,
            other => panic!("{literal}: {other:?}"),
        }
    }

    #[test]
    fn strings_have_the_value_that_python_gives_them() {
        for (literal, value) in [
            (r"'a\'\n\t\\'", "a'\n\t\\"),
            (r#"u"\x41\u00e9\U0001F600""#, "Aé😀"),
            (r"'\0\12\1234\777'", "\0\nS4\u{1ff}"),
            (r"'\q\ \8'", r"\q\ \8"),
            (r"r'\n\''", r"\n\'"),
            ("'a\\\nb\\\r\nc'", "abc"),
            ("'''a\r\nb'c''d'''", "a\nb'c''d"),
            (r"'\a\b\f\v\r'", "\x07\x08\x0c\x0b\r"),
            ("''", ""),
            ("''''''", ""),
        ] {
            assert_eq!(text(literal), value, "{literal}");
        }
    }

    #[test]
    fn bytes_have_the_value_that_python_gives_them() {
        for (literal, value) in [
            (r"b'\xff\u0041\N'", &b"\xff\\u0041\\N"[..]),
            (r"Rb'\xff'", br"\xff"),
            (r#"b'_5#y2L"F4Q8z\n\xec]/'"#, b"_5#y2L\"F4Q8z\n\xec]/"),
            (r"b'\777'", b"\xff"),
        ] {
            assert_eq!(read(literal), Ok(Text::Bytes(value.to_vec())), "{literal}");
        }
    }

    #[test]
    fn what_has_no_value_here_says_why() {
        for literal in
            [r"f'a'", r"'\ud800'", r"'\N{DASH}'", r"'\x4'", r"b'é'", r"b'\x'", r"'\U00110000'"]
        {
            assert!(read(literal).is_err(), "{literal}");
        }
    }
}
