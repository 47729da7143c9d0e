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
/// What is held in several places costs an allowance from the second on, so that a short pickle
/// cannot unfold to a huge value. Without that none comes near to the limit.
pub fn unfold(objects: &[Object], place: Place, len: usize) -> Result<Value, DecodeError> {
    let allowance = len.saturating_mul(10).saturating_add(256 * 1024);
    let mut unfolding = Unfolding { allowance, seen: vec![false; objects.len()] };
    copy(objects, place, 0, &mut unfolding)
}

struct Unfolding {
    allowance: usize,
    seen: Vec<bool>,
}

impl Unfolding {
    /// Takes what the object at `place` costs, with `extra` bytes outside of it.
    fn pay(&mut self, place: Place, extra: usize) -> Result<(), DecodeError> {
        /// A value, and its share of the list that holds it.
        const VALUE: usize = 2 * size_of::<Value>();
        let seen = self.seen.get_mut(place).ok_or(NotPickle)?;
        if std::mem::replace(seen, true) {
            self.allowance = self.allowance.checked_sub(VALUE + extra).ok_or(TooLarge)?;
        }
        Ok(())
    }
}

fn copy(
    objects: &[Object],
    place: Place,
    depth: usize,
    unfolding: &mut Unfolding,
) -> Result<Value, DecodeError> {
    let object = objects.get(place).ok_or(NotPickle)?;
    let extra = match object {
        Object::Value(Value::Str(text) | Value::Markup(text)) => text.len(),
        Object::Value(Value::Bytes(bytes)) => bytes.len(),
        Object::Value(Value::BigInt(number)) => number.as_str().len(),
        Object::List(_) | Object::Tuple(_) | Object::Dict(_) if depth >= MAX_DEPTH => {
            return Err(TooDeep);
        }
        _ => 0,
    };
    unfolding.pay(place, extra)?;
    let mut copy = |place: Place| copy(objects, place, depth + 1, unfolding);
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
