//! Numbers, and Python's arithmetic on them.

use super::literal::{NO_LITERAL, Reason, TOO_LARGE};
use crate::cli::flask_config::value::Value;

/// Reads a number.
///
/// # Errors
/// When it is none, or beyond what is counted here.
pub fn number(text: &str) -> Result<Value, Reason> {
    if text.ends_with('_') || text.contains("__") {
        return Err(NO_LITERAL);
    }
    let digits = text.replace('_', "").to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            return whole(digits, radix);
        }
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Python has no number that begins with 0 but is not it.
        let octal = digits.starts_with('0') && digits.bytes().any(|byte| byte != b'0');
        return if octal { Err(NO_LITERAL) } else { whole(&digits, 10) };
    }
    let float = digits.bytes().all(|byte| byte.is_ascii_digit() || b".e+-".contains(&byte));
    match digits.parse() {
        Ok(number) if float => Ok(Value::Float(number)),
        _ => Err(NO_LITERAL),
    }
}

fn whole(digits: &str, radix: u32) -> Result<Value, Reason> {
    match digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        true => Err(NO_LITERAL),
        false => i128::from_str_radix(digits, radix).map(Value::Int).map_err(|_| TOO_LARGE),
    }
}

/// What two numbers give, as Python calculates.
///
/// # Errors
/// When they are no numbers, or there is no result.
pub fn calculate(op: &str, left: &Value, right: &Value) -> Result<Value, Reason> {
    let (a, b) = match (left, right) {
        (Value::Int(a), Value::Int(b)) => match whole_result(op, *a, *b) {
            Some(result) => return result.map(Value::Int).ok_or(TOO_LARGE),
            None => (*a as f64, *b as f64),
        },
        (Value::Int(a), Value::Float(b)) => (*a as f64, *b),
        (Value::Float(a), Value::Int(b)) => (*a, *b as f64),
        (Value::Float(a), Value::Float(b)) => (*a, *b),
        _ => return Err(NO_LITERAL),
    };
    let result = match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" if b != 0.0 => a / b,
        "//" if b != 0.0 => floor_division(a, b),
        "**" if a != 0.0 || b >= 0.0 => a.powf(b),
        _ => return Err("divides by zero"),
    };
    match result.is_nan() {
        true => Err(NO_LITERAL),
        false => Ok(Value::Float(result)),
    }
}

/// Exact where the rounded quotient is not: 2 // 0.001 is 1999, because 0.001 is a little more.
fn floor_division(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let quotient = (a - rest) / b - f64::from(rest != 0.0 && (b < 0.0) != (rest < 0.0));
    let floor = quotient.floor();
    floor + f64::from(quotient - floor > 0.5)
}

/// What two whole numbers give, if that is a whole number; `None` within when it is too large.
fn whole_result(op: &str, a: i128, b: i128) -> Option<Option<i128>> {
    Some(match op {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "**" if b >= 0 => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        "//" if b != 0 => a.checked_div(b).map(|quotient| {
            // Python rounds towards minus infinity.
            quotient - i128::from(a % b != 0 && (a < 0) != (b < 0))
        }),
        _ => return None,
    })
}
