//! The value of an expression that needs no program to run: literals, arithmetic on numbers,
//! `timedelta(…)`, and the names of constants further up.

use indexmap::IndexMap;

use super::number::{calculate, number};
use super::scope::Scope;
use super::text::{self, Text};
use super::token::{Kind, Token};
use crate::cli::flask_config::value::Value;

/// How deep brackets, signs and the values of names may nest.
pub const MAX_DEPTH: usize = 64;

/// Why an expression has no value here, as the end of a sentence that a name begins.
pub type Reason = &'static str;

pub const NO_LITERAL: Reason = "is not a literal";
pub const TOO_LARGE: Reason = "is too large a number";
const TOO_DEEP: Reason = "is nested too deeply";

/// Reads `tokens` as one expression, or as several with commas, which are a tuple.
///
/// # Errors
/// Why it has no value here.
pub fn evaluate(tokens: &[Token<'_>], scope: &mut Scope) -> Result<Value, Reason> {
    let mut reader = Reader { tokens, at: 0, depth: 0, scope };
    let value = match reader.items(None)? {
        (mut values, false) => values.pop().ok_or(NO_LITERAL)?,
        (values, true) => Value::List(values),
    };
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(NO_LITERAL),
    }
}

struct Reader<'r> {
    tokens: &'r [Token<'r>],
    at: usize,
    depth: usize,
    scope: &'r mut Scope,
}

impl<'r> Reader<'r> {
    fn peek(&self) -> Option<&'r Token<'r>> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<&'r Token<'r>, Reason> {
        let token = self.peek().ok_or(NO_LITERAL)?;
        self.at += 1;
        Ok(token)
    }

    /// Takes the next token if it is this operator.
    fn take(&mut self, op: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(op));
        self.at += usize::from(found);
        found
    }

    /// Takes the first of these operators that is next.
    fn take_one(&mut self, ops: &[&'static str]) -> Option<&'static str> {
        ops.iter().copied().find(|op| self.take(op))
    }

    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Reason>,
    ) -> Result<T, Reason> {
        if self.depth >= MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Expressions to the closing bracket or the end, and whether there was a comma.
    fn items(&mut self, close: Option<&str>) -> Result<(Vec<Value>, bool), Reason> {
        let (mut values, mut comma) = (Vec::new(), false);
        loop {
            let ended = match close {
                Some(close) => self.take(close),
                None => self.peek().is_none(),
            };
            if ended {
                return Ok((values, comma));
            }
            if !values.is_empty() && !comma {
                return Err(NO_LITERAL);
            }
            values.push(self.expression()?);
            match self.take(",") {
                true => comma = true,
                false => {
                    return match close.is_none_or(|close| self.take(close)) {
                        true => Ok((values, comma)),
                        false => Err(NO_LITERAL),
                    };
                }
            }
        }
    }

    fn expression(&mut self) -> Result<Value, Reason> {
        if !self.peek().is_some_and(|token| token.is_name("not")) {
            return self.sum();
        }
        self.at += 1;
        match self.deeper(Self::expression)? {
            Value::Bool(value) => Ok(Value::Bool(!value)),
            _ => Err(NO_LITERAL),
        }
    }

    fn sum(&mut self) -> Result<Value, Reason> {
        let mut value = self.product()?;
        while let Some(op) = self.take_one(&["+", "-"]) {
            value = calculate(op, &value, &self.product()?)?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Value, Reason> {
        let mut value = self.signed()?;
        while let Some(op) = self.take_one(&["*", "/", "//"]) {
            value = calculate(op, &value, &self.signed()?)?;
        }
        Ok(value)
    }

    /// A sign weighs less than a power on its right: `-2 ** 2` is -4, `2 ** -1` is 0.5.
    fn signed(&mut self) -> Result<Value, Reason> {
        if let Some(op) = self.take_one(&["+", "-"]) {
            let value = self.deeper(Self::signed)?;
            return calculate(op, &Value::Int(0), &value);
        }
        let base = self.atom()?;
        match self.take("**") {
            true => calculate("**", &base, &self.deeper(Self::signed)?),
            false => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Value, Reason> {
        let token = self.next()?;
        match (token.kind, token.text) {
            (Kind::Number, text) => number(text),
            (Kind::Text, text) => self.text(text),
            (Kind::Op, "(") => self.deeper(|reader| {
                let (mut values, comma) = reader.items(Some(")"))?;
                match (values.len(), comma) {
                    (1, false) => values.pop().ok_or(NO_LITERAL),
                    _ => Ok(Value::List(values)),
                }
            }),
            (Kind::Op, "[") => {
                self.deeper(|reader| reader.items(Some("]"))).map(|(values, _)| Value::List(values))
            }
            (Kind::Op, "{") => self.deeper(Self::braces),
            (Kind::Name, "True") => Ok(Value::Bool(true)),
            (Kind::Name, "False") => Ok(Value::Bool(false)),
            (Kind::Name, "None") => Ok(Value::None),
            (Kind::Name, name) => self.name(name),
            _ => Err(NO_LITERAL),
        }
    }

    /// Adjacent string literals.
    fn text(&mut self, first: &str) -> Result<Value, Reason> {
        let mut value = text::read(first)?;
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Text) {
            self.at += 1;
            match (&mut value, text::read(token.text)?) {
                (Text::Str(value), Text::Str(more)) => value.push_str(&more),
                (Text::Bytes(value), Text::Bytes(more)) => value.extend(more),
                _ => return Err("mixes bytes and text"),
            }
        }
        Ok(match value {
            Text::Str(text) => Value::Text(text),
            Text::Bytes(bytes) => Value::Bytes(bytes),
        })
    }

    /// A dictionary or a set, behind its brace.
    fn braces(&mut self) -> Result<Value, Reason> {
        let first = self.at;
        let mut values = IndexMap::new();
        while !self.take("}") {
            let key = self.expression()?;
            if !self.take(":") {
                // No dictionary then, if this is the first.
                (values.is_empty()).then_some(()).ok_or(NO_LITERAL)?;
                self.at = first;
                return self.items(Some("}")).map(|(values, _)| Value::List(values));
            }
            let Value::Text(key) = key else {
                return Err("has keys that are no text");
            };
            let value = self.expression()?;
            values.insert(key, value);
            if !self.take(",") && !self.peek().is_some_and(|token| token.is("}")) {
                return Err(NO_LITERAL);
            }
        }
        Ok(Value::Dict(values))
    }

    /// A constant, or `timedelta(…)`, under whatever name its module has.
    fn name(&mut self, first: &str) -> Result<Value, Reason> {
        let mut last = first;
        while self.take(".") {
            last = self.next()?.text;
        }
        if last == "timedelta" && self.take("(") {
            return self.deeper(Self::timedelta);
        }
        match std::ptr::eq(last, first) {
            true => self.scope.constant(first, self.depth).ok_or(NO_LITERAL),
            false => Err(NO_LITERAL),
        }
    }

    fn timedelta(&mut self) -> Result<Value, Reason> {
        const MICROSECONDS: [(&str, i128); 7] = [
            ("days", 86_400_000_000),
            ("seconds", 1_000_000),
            ("microseconds", 1),
            ("milliseconds", 1_000),
            ("minutes", 60_000_000),
            ("hours", 3_600_000_000),
            ("weeks", 604_800_000_000),
        ];
        let mut total = 0_i128;
        let mut position = 0;
        while !self.take(")") {
            let named = self.tokens.get(self.at + 1).is_some_and(|token| token.is("="));
            let unit = match (named, self.peek()) {
                (true, Some(name)) => {
                    self.at += 2;
                    MICROSECONDS.iter().find(|(unit, _)| *unit == name.text)
                }
                _ => MICROSECONDS.get(position),
            };
            let (_, unit) = unit.ok_or(NO_LITERAL)?;
            position += 1;
            let part = match self.expression()? {
                Value::Int(number) => number.checked_mul(*unit),
                // Saturates, and is refused as too large then.
                Value::Float(number) if !number.is_nan() => {
                    Some((number * *unit as f64).round_ties_even() as i128)
                }
                _ => return Err(NO_LITERAL),
            };
            total = part.and_then(|part| total.checked_add(part)).ok_or(TOO_LARGE)?;
            if !self.take(",") && !self.peek().is_some_and(|token| token.is(")")) {
                return Err(NO_LITERAL);
            }
        }
        // Python's own bound: a thousand million days.
        match total.unsigned_abs() < 86_400_000_000 * 1_000_000_000 {
            true => Ok(Value::Span(total)),
            false => Err(TOO_LARGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokenize;
    use super::*;

    fn value(source: &str) -> Result<Value, Reason> {
        let mut scope = Scope::default();
        scope.set("DEBUG", Some(&Value::Bool(false)));
        scope.set("DAY", Some(&Value::Int(86_400)));
        scope.set("GONE", None);
        evaluate(&tokenize(source).unwrap().all, &mut scope)
    }

    fn int(value: i128) -> Value {
        Value::Int(value)
    }

    fn text(value: &str) -> Value {
        Value::Text(value.into())
    }

    #[test]
    fn literals_have_the_value_that_python_gives_them() {
        for (source, expected) in [
            ("1_000", int(1_000)),
            ("0xFF", int(255)),
            ("0b_101", int(5)),
            ("0O17", int(15)),
            ("000", int(0)),
            ("1_0.5e-1", Value::Float(1.05)),
            ("1.", Value::Float(1.0)),
            (".5", Value::Float(0.5)),
            ("True", Value::Bool(true)),
            ("None", Value::None),
            ("'a' \"b\" r'\\c'", text("ab\\c")),
            ("('a'\n 'b')", text("ab")),
            ("b'a' b'\\x00'", Value::Bytes(b"a\0".to_vec())),
            ("()", Value::List(vec![])),
            ("(1)", int(1)),
            ("(1,)", Value::List(vec![int(1)])),
            ("1, 2", Value::List(vec![int(1), int(2)])),
            ("1,", Value::List(vec![int(1)])),
            (
                "['a', ('b',), []]",
                Value::List(vec![text("a"), Value::List(vec![text("b")]), Value::List(vec![])]),
            ),
            ("{1, 2,}", Value::List(vec![int(1), int(2)])),
            ("{}", Value::Dict(IndexMap::new())),
            (
                "{'a': 1, 'b': {'c': None},}",
                Value::Dict(IndexMap::from([
                    ("a".into(), int(1)),
                    ("b".into(), Value::Dict(IndexMap::from([("c".into(), Value::None)]))),
                ])),
            ),
        ] {
            assert_eq!(value(source), Ok(expected), "{source}");
        }
    }

    #[test]
    fn arithmetic_is_pythons() {
        for (source, expected) in [
            ("60 * 60 * 24", int(86_400)),
            ("16 * 1024 ** 2", int(16 << 20)),
            ("1 + 2 * 3 - -4", int(11)),
            ("-2 ** 2", int(-4)),
            ("2 ** -1", Value::Float(0.5)),
            ("2 ** 3 ** 2", int(512)),
            ("7 // 2", int(3)),
            ("-7 // 2", int(-4)),
            ("7 // -2", int(-4)),
            ("1 / 2", Value::Float(0.5)),
            ("7.5 // 2", Value::Float(3.0)),
            ("2 // 1e-3", Value::Float(1999.0)),
            ("-2 // 1e-3", Value::Float(-2000.0)),
            ("(1 + 2) * 3", int(9)),
            ("DAY * 31", int(2_678_400)),
            ("not DEBUG", Value::Bool(true)),
            ("not not DEBUG", Value::Bool(false)),
        ] {
            assert_eq!(value(source), Ok(expected), "{source}");
        }
    }

    #[test]
    fn timedeltas_are_added_up() {
        for (source, seconds) in [
            ("timedelta(31)", 2_678_400.0),
            ("datetime.timedelta(days=7, hours=-1)", 601_200.0),
            ("dt.timedelta(1, 30, 500000, 250, 1, 1, 1)", 694_890.75),
            ("timedelta(minutes=DAY // 60)", 86_400.0),
            ("timedelta(hours=1.5,)", 5_400.0),
            ("timedelta()", 0.0),
        ] {
            assert_eq!(value(source), Ok(Value::Span((seconds * 1e6) as i128)), "{source}");
        }
    }

    #[test]
    fn what_needs_a_program_to_run_is_no_literal() {
        for source in [
            "",
            "x",
            "GONE",
            "f()",
            "a.b",
            "'a'.upper()",
            "[x for x in 'a']",
            "1 if DEBUG else 2",
            "'a' or 'b'",
            "not 1",
            "not",
            "1 < 2",
            "f'{x}'",
            "lambda: 1",
            "*a",
            "[*a]",
            "{**a}",
            "{1: 2}",
            "{'a'}['a']",
            "[1 2]",
            "1 2",
            "1j",
            "012",
            "1__0",
            "0x",
            "0b2",
            "'a' b'b'",
            "'a' + 'b'",
            "True + 1",
            "timedelta(years=1)",
            "timedelta('1')",
            "timedelta(1)(2)",
            "timedelta.max",
            "1 / 0",
            "0 ** -1",
            "(-1) ** 0.5",
            "2 ** 2 ** 100",
            "9 ** 99",
            "10 ** 39",
            "1 // 0",
            "timedelta(days=10 ** 9)",
            "timedelta(1e300)",
            "$",
            "(1,,)",
            "{'a': 1 'b': 2}",
            "{'a': 1, 'b'}",
            "{'a', 'b': 1}",
            ",",
            "timedelta(1 2)",
            "-'a'",
        ] {
            assert!(value(source).is_err(), "{source}: {:?}", value(source));
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("{'a': ", "}")] {
            let source = format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
            assert_eq!(value(&source), Err(TOO_DEEP), "{open}");
        }
        assert_eq!(value(&format!("2{}", " ** 1".repeat(5_000))), Err(TOO_DEEP));
    }
}
