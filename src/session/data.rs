//! A session's values and the changes a request makes to them, recorded so that they can be made
//! again on whatever the store holds by then.

use std::fmt;
use std::sync::Arc;

use super::error::Error;
use super::value::{Map, Value};

/// Flask's key for "outlives the browser".
pub(super) const PERMANENT: &str = "_permanent";
/// Flask's key for flash messages.
pub(super) const FLASHES: &str = "_flashes";

/// Computes a key's new value from the one it has.
pub(super) type Modifier = Arc<dyn Fn(Option<&Value>) -> Result<Value, Error> + Send + Sync>;

/// One change of a session.
#[derive(Clone)]
pub(super) enum Change {
    Insert(String, Value),
    SetDefault(String, Value),
    Modify(String, Modifier),
    Remove(String),
    Clear {
        keep_permanence: bool,
    },
    /// Appends a category and a message to the flash messages.
    Flash(String, String),
    /// Takes the given number of the oldest flash messages: those that were shown.
    TakeFlashes(usize),
}

/// Names the change and its key, never a value.
impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert(key, _) => write!(formatter, "Insert({key:?})"),
            Self::SetDefault(key, _) => write!(formatter, "SetDefault({key:?})"),
            Self::Modify(key, _) => write!(formatter, "Modify({key:?})"),
            Self::Remove(key) => write!(formatter, "Remove({key:?})"),
            Self::Clear { .. } => formatter.write_str("Clear"),
            Self::Flash(..) => formatter.write_str("Flash"),
            Self::TakeFlashes(count) => write!(formatter, "TakeFlashes({count})"),
        }
    }
}

impl Change {
    /// Makes the change. The values are as they were when it fails.
    pub(super) fn apply(&self, values: &mut Map) -> Result<(), Error> {
        match self {
            Self::Insert(key, value) => {
                values.insert(key.as_str(), value.clone());
            }
            Self::SetDefault(key, value) => {
                if !values.contains_key(key) {
                    values.insert(key.as_str(), value.clone());
                }
            }
            Self::Modify(key, modifier) => {
                let value = modifier(values.get(key))?;
                values.insert(key.as_str(), value);
            }
            Self::Remove(key) => {
                values.remove(key);
            }
            Self::Clear { keep_permanence: false } => *values = Map::new(),
            Self::Clear { keep_permanence: true } => {
                let permanent = values.remove(PERMANENT).unwrap_or(Value::Bool(false));
                *values = Map::from_iter([(Value::from(PERMANENT), permanent)]);
            }
            Self::Flash(category, message) => {
                let flash = Value::Tuple(vec![category.as_str().into(), message.as_str().into()]);
                match values.get_mut(FLASHES) {
                    Some(Value::List(flashes)) => flashes.push(flash),
                    _ => {
                        values.insert(FLASHES, Value::List(vec![flash]));
                    }
                }
            }
            Self::TakeFlashes(count) => {
                if let Some(Value::List(flashes)) = values.get_mut(FLASHES)
                    && flashes.len() > *count
                {
                    flashes.drain(..count);
                } else {
                    values.remove(FLASHES);
                }
            }
        }
        Ok(())
    }
}

/// Whether the values count as no session: Flask-Session ignores [`PERMANENT`] here.
pub(super) fn is_empty(values: &Map) -> bool {
    values.is_empty() || values.len() == 1 && values.contains_key(PERMANENT)
}

/// Whether the session outlives the browser, by Python's truth of the stored value.
pub(super) fn is_permanent(values: &Map) -> bool {
    match values.get(PERMANENT) {
        Some(Value::Bool(permanent)) => *permanent,
        Some(Value::Int(number)) => *number != 0,
        Some(Value::Str(text)) => !text.is_empty(),
        _ => false,
    }
}

/// Makes `changes` in order on `values`.
pub(super) fn replay(values: &mut Map, changes: &[Change]) -> Result<(), Error> {
    changes.iter().try_for_each(|change| change.apply(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(entries: &[(&str, i128)]) -> Map {
        entries.iter().map(|(key, n)| (Value::from(*key), Value::Int(*n))).collect()
    }

    fn increment(key: &str) -> Change {
        Change::Modify(
            key.into(),
            Arc::new(|value| match value {
                Some(Value::Int(n)) => Ok(Value::Int(n + 1)),
                _ => Ok(Value::Int(1)),
            }),
        )
    }

    #[test]
    fn changes_of_different_keys_both_win_on_replay() {
        let mut stored = values(&[("theirs", 2)]);
        replay(&mut stored, &[Change::Insert("ours".into(), Value::Int(1))]).unwrap();
        assert_eq!(stored, values(&[("theirs", 2), ("ours", 1)]));
    }

    #[test]
    fn a_replayed_modification_sees_the_value_of_others() {
        let mut stored = values(&[("n", 41)]);
        replay(&mut stored, &[increment("n"), increment("m")]).unwrap();
        assert_eq!(stored, values(&[("n", 42), ("m", 1)]));
    }

    #[test]
    fn clearing_keeps_the_permanence() {
        let mut stored = values(&[(PERMANENT, 1), ("a", 1)]);
        Change::Clear { keep_permanence: true }.apply(&mut stored).unwrap();
        assert_eq!(stored, values(&[(PERMANENT, 1)]));
        assert!(is_empty(&stored) && is_permanent(&stored));

        let mut browser_length = values(&[("a", 1)]);
        Change::Clear { keep_permanence: true }.apply(&mut browser_length).unwrap();
        assert!(is_empty(&browser_length) && !is_permanent(&browser_length));

        let mut native = values(&[(PERMANENT, 1), ("a", 1)]);
        Change::Clear { keep_permanence: false }.apply(&mut native).unwrap();
        assert!(native.is_empty());
    }

    #[test]
    fn a_flash_that_came_meanwhile_is_not_taken_with_those_shown() {
        let flash = |text: &str| Change::Flash("message".into(), text.into());
        let mut stored = Map::new();
        replay(&mut stored, &[flash("shown"), flash("new"), Change::TakeFlashes(1)]).unwrap();
        let Some(Value::List(left)) = stored.get(FLASHES) else { panic!("no flashes left") };
        assert_eq!(left, &[Value::Tuple(vec!["message".into(), "new".into()])]);
        Change::TakeFlashes(1).apply(&mut stored).unwrap();
        assert!(is_empty(&stored));
    }
}
