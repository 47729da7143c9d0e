//! What a pickle makes on its way, and the value that comes of it.

use super::class::Class;
use super::is_hashable;
use crate::session::codec::DecodeError;
use crate::session::codec::DecodeError::{NotPickle, Refused, TooDeep, TooLarge};
use crate::session::value::{MAX_DEPTH, Value};

/// The place of an object in the order of their making. A container holds places, and several may
/// hold the same one.
pub type Place = usize;

/// One of the objects. Lists and dictionaries may still grow when others hold them already.
pub enum Object {
    Value(Value),
    List(Vec<Place>),
    Tuple(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    Class(Class),
    /// A `timedelta` of whole seconds.
    Span(i64),
    /// A `timezone`, in seconds east of UTC.
    Zone(i64),
    /// A `UUID` that waits for its state.
    BlankUuid,
}

/// The value at `place`, of a pickle of `len` bytes.
///
/// What is held in several places is counted in each, so that a short pickle cannot unfold to a
/// huge value. Without that none comes near to the limit.
pub fn unfold(objects: &[Object], place: Place, len: usize) -> Result<Value, DecodeError> {
    let mut allowance = len.saturating_mul(10).saturating_add(256 * 1024);
    copy(objects, place, 0, &mut allowance)
}

fn copy(
    objects: &[Object],
    place: Place,
    depth: usize,
    allowance: &mut usize,
) -> Result<Value, DecodeError> {
    let object = objects.get(place).ok_or(NotPickle)?;
    let cost = match object {
        Object::Value(Value::Str(text) | Value::Markup(text)) => text.len(),
        Object::Value(Value::Bytes(bytes)) => bytes.len(),
        Object::Value(Value::BigInt(number)) => number.as_str().len(),
        Object::List(_) | Object::Tuple(_) | Object::Dict(_) if depth >= MAX_DEPTH => {
            return Err(TooDeep);
        }
        _ => 0,
    };
    *allowance = allowance.checked_sub(8 + cost).ok_or(TooLarge)?;
    let mut copy = |place: Place| copy(objects, place, depth + 1, allowance);
    Ok(match object {
        Object::Value(value) => value.clone(),
        Object::List(items) => {
            Value::List(items.iter().copied().map(copy).collect::<Result<_, _>>()?)
        }
        Object::Tuple(items) => {
            Value::Tuple(items.iter().copied().map(copy).collect::<Result<_, _>>()?)
        }
        Object::Dict(entries) => {
            let entry = |(key, value): &(Place, Place)| {
                let key = copy(*key)?;
                is_hashable(&key).then_some(()).ok_or(NotPickle)?;
                Ok((key, copy(*value)?))
            };
            Value::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
        }
        Object::Class(_) => return Err(Refused("a class".into())),
        Object::Span(_) => return Err(Refused("a timedelta".into())),
        Object::Zone(_) => return Err(Refused("a timezone".into())),
        Object::BlankUuid => return Err(NotPickle),
    })
}
