//! MongoDB's filters, projections and changes, as far as the store and Flask-Session have them.

use std::cmp::Ordering;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::command::{Refusal, refusal};
use super::expression::{is_true, order, place, value};

/// Whether a filter finds a document.
pub fn finds(filter: &Document, document: &Document, now: DateTime) -> Result<bool, Refusal> {
    for (name, condition) in filter {
        let found = match name.as_str() {
            "$expr" => is_true(&value(condition, document, now)?),
            name if name.starts_with('$') => return Err(refusal(2, "unknown top level operator")),
            name => holds(condition, document.get(name).unwrap_or(&Bson::Undefined))?,
        };
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(condition: &Bson, of: &Bson) -> Result<bool, Refusal> {
    let operators = match condition {
        Bson::Document(operators) if operators.keys().any(|key| key.starts_with('$')) => operators,
        equal => return Ok(order(equal, of) == Ordering::Equal),
    };
    for (name, bound) in operators {
        // Values of another type are never found by a comparison.
        let order = (place(of) == place(bound)).then(|| order(of, bound));
        let held = match (name.as_str(), bound) {
            ("$gt", _) => order == Some(Ordering::Greater),
            ("$gte", _) => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            ("$lt", _) => order == Some(Ordering::Less),
            ("$lte", _) => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            ("$in", Bson::Array(values)) => {
                values.iter().any(|one| self::order(one, of) == Ordering::Equal)
            }
            _ => return Err(refusal(2, "unknown operator")),
        };
        if !held {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The fields of a document that a projection asks for.
pub fn projected(
    document: &Document,
    projection: &Document,
    now: DateTime,
) -> Result<Document, Refusal> {
    if projection.is_empty() {
        return Ok(document.clone());
    }
    let wants = |name: &str| projection.get(name).map(|it| matches!(it, Bson::Int32(1)));
    let mut fields = doc! {};
    for (name, value) in document {
        if wants(name).unwrap_or(name == "_id") {
            fields.insert(name, value.clone());
        }
    }
    for (name, expression) in projection {
        if !matches!(expression, Bson::Int32(0 | 1)) {
            set(&mut fields, name, value(expression, document, now)?);
        }
    }
    Ok(fields)
}

/// A document as an update, by operators or by a pipeline, leaves it.
pub fn changed(document: &Document, change: &Bson, now: DateTime) -> Result<Document, Refusal> {
    let mut changed = document.clone();
    match change {
        Bson::Document(operators) => {
            for (name, fields) in operators {
                let ("$set", Bson::Document(fields)) = (name.as_str(), fields) else {
                    return Err(refusal(9, "Unknown modifier"));
                };
                changed.extend(fields.clone());
            }
        }
        Bson::Array(stages) => {
            for stage in stages {
                let Some(Ok(fields)) = stage.as_document().map(|it| it.get_document("$set")) else {
                    return Err(refusal(40324, "Unrecognized pipeline stage name"));
                };
                let before = changed.clone();
                for (name, expression) in fields {
                    set(&mut changed, name, value(expression, &before, now)?);
                }
            }
        }
        _ => return Err(refusal(9, "an update is operators or a pipeline")),
    }
    Ok(changed)
}

fn set(document: &mut Document, name: &str, value: Bson) {
    if value == Bson::Undefined {
        document.remove(name);
    } else {
        document.insert(name, value);
    }
}

/// The document that an upsert starts from: what its filter says of equality.
pub fn start(filter: &Document) -> Result<Document, Refusal> {
    if filter.contains_key("$expr") {
        return Err(refusal(224, "$expr is not allowed in the query predicate for an upsert"));
    }
    let equal = filter.iter().filter(|(_, condition)| condition.as_document().is_none());
    let mut start = doc! { "_id": ObjectId::new() };
    start.extend(equal.map(|(name, value)| (name.clone(), value.clone())));
    Ok(start)
}
