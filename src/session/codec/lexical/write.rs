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
}
