//! Numbers, strings and lists in each library's own spelling.

use crate::session::codec::EncodeError;
use crate::session::value::{MAX_DEPTH, Value};

/// Which library's spelling to write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::session::codec) enum Style {
    /// Python's `json`, ASCII alone: Flask's cookie.
    Python,
    /// msgspec: Flask-Session's records.
    Msgspec,
}

/// Writes what both spell as JSON has it; false for everything else.
pub(in crate::session::codec) fn write_plain(
    out: &mut String,
    value: &Value,
    style: Style,
) -> bool {
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
pub(in crate::session::codec) fn write_list(
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

pub(in crate::session::codec) fn write_string(out: &mut String, text: &str, style: Style) {
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

/// `number` in Python's or msgspec's layout.
fn float(number: f64, style: Style) -> String {
    if !number.is_finite() {
        return match style {
            Style::Msgspec => "null".into(),
            Style::Python if number.is_nan() => "NaN".into(),
            Style::Python if number > 0.0 => "Infinity".into(),
            Style::Python => "-Infinity".into(),
        };
    }
    let scientific = shortest(number);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let smallest = if style == Style::Python { -4 } else { -5 };
    match (exponent, style) {
        _ if (smallest..16).contains(&exponent) => positional(digits, exponent),
        (_, Style::Msgspec) => format!("{digits}e{exponent}"),
        (_, Style::Python) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

/// The shortest digits that read back as `number`, as `d.ddde±x`. Of two that are as near the last
/// digit is even, as both libraries have it; Rust's own shortest form rounds up.
fn shortest(number: f64) -> String {
    let shortest = format!("{number:e}");
    let decimals = shortest
        .split_once('e')
        .and_then(|(digits, _)| digits.split_once('.'))
        .map_or(0, |(_, decimals)| decimals.len());
    let nearest = format!("{number:.decimals$e}");
    // Beside a power of two the nearest may be out of reach, and a farther one within.
    if nearest.parse() == Ok(number) { nearest } else { shortest }
}

/// `d.ddd` times ten to the power of `exponent`, with a point and without zeros to no purpose.
fn positional(digits: &str, exponent: i32) -> String {
    let sign = if digits.starts_with('-') { "-" } else { "" };
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let padded = format!("{digits:0<width$}", width = exponent + 2);
            let (whole, decimals) = padded.split_at(exponent + 1);
            format!("{sign}{whole}.{decimals}")
        }
        Err(_) => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            format!("{sign}0.{zeros}{digits}")
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
            (-12.345, "-12.345", "-12.345"),
            (1e15 + 0.25, "1000000000000000.2", "1000000000000000.2"),
            (1e15 + 0.75, "1000000000000000.8", "1000000000000000.8"),
            (2f64.powi(-44), "5.684341886080802e-14", "5.684341886080802e-14"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308", "2.2250738585072014e-308"),
            (f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e308"),
            (f64::NAN, "NaN", "null"),
            (f64::NEG_INFINITY, "-Infinity", "null"),
        ] {
            assert_eq!(float(number, Style::Python), python);
            assert_eq!(float(number, Style::Msgspec), msgspec);
        }
    }
}
