//! MongoDB's expressions, as far as the store has them.

use std::cmp::Ordering;

use mongodb::bson::{Bson, DateTime, Document};

use super::command::{Refusal, refusal};

/// Of a field that is not there; nothing else is of this type here.
const MISSING: Bson = Bson::Undefined;

/// The value of an expression over a document. A field that is not there is `undefined`.
pub fn value(expression: &Bson, of: &Document, now: DateTime) -> Result<Bson, Refusal> {
    match expression {
        Bson::String(text) if text == "$$NOW" => Ok(now.into()),
        Bson::String(text) if text.starts_with("$$") => {
            Err(refusal(17276, "Use of undefined variable"))
        }
        Bson::String(text) if text.starts_with('$') => {
            Ok(of.get(&text[1..]).cloned().unwrap_or(MISSING))
        }
        Bson::Document(document) => operator(document, of, now),
        Bson::Array(_) => Err(refusal(9, "arrays are not known to the stand-in")),
        other => Ok(other.clone()),
    }
}

fn operator(expression: &Document, of: &Document, now: DateTime) -> Result<Bson, Refusal> {
    let Some((name, argument)) = expression.iter().next().filter(|_| expression.len() == 1) else {
        return Err(refusal(15983, "An object representing an expression must have one field"));
    };
    if name == "$literal" {
        return Ok(argument.clone());
    }
    let Bson::Array(arguments) = argument else {
        return Err(refusal(16020, "an expression takes a list here"));
    };
    let values: Result<Vec<_>, _> = arguments.iter().map(|one| value(one, of, now)).collect();
    Ok(match (&**name, &values?[..]) {
        ("$gt", [a, b]) => (order(a, b) == Ordering::Greater).into(),
        ("$not", [a]) => (!is_true(a)).into(),
        ("$cond", [condition, then, otherwise]) => {
            if is_true(condition) {
                then.clone()
            } else {
                otherwise.clone()
            }
        }
        ("$add", [Bson::DateTime(time), Bson::Int64(more)]) => {
            DateTime::from_millis(time.timestamp_millis() + more).into()
        }
        ("$subtract", [Bson::DateTime(a), Bson::DateTime(b)]) => {
            (a.timestamp_millis() - b.timestamp_millis()).into()
        }
        ("$subtract", [Bson::Undefined | Bson::Null, _]) => Bson::Null,
        ("$add" | "$subtract", _) => return Err(refusal(14, "not of types that go together")),
        _ => return Err(refusal(168, "Unrecognized expression")),
    })
}

pub fn is_true(value: &Bson) -> bool {
    !matches!(
        value,
        Bson::Undefined | Bson::Null | Bson::Boolean(false) | Bson::Int32(0) | Bson::Int64(0)
    )
}

/// MongoDB's order of all values: of their types first.
pub fn order(a: &Bson, b: &Bson) -> Ordering {
    match (a, b) {
        (Bson::DateTime(a), Bson::DateTime(b)) => a.cmp(b),
        (Bson::String(a), Bson::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => a.bytes().cmp(&b.bytes()),
        (Bson::Binary(a), Bson::Binary(b)) => {
            let key = |it: &mongodb::bson::Binary| {
                (it.bytes.len(), u8::from(it.subtype), it.bytes.clone())
            };
            key(a).cmp(&key(b))
        }
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => place(a).cmp(&place(b)),
        },
    }
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}

/// The place of a type in the order.
pub fn place(value: &Bson) -> u8 {
    match value {
        Bson::Undefined => 0,
        Bson::Null => 1,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 2,
        Bson::String(_) => 3,
        Bson::Document(_) => 4,
        Bson::Array(_) => 5,
        Bson::Binary(_) => 6,
        Bson::ObjectId(_) => 7,
        Bson::Boolean(_) => 8,
        Bson::DateTime(_) => 9,
        other => panic!("a value like {other} is not known to the stand-in"),
    }
}
