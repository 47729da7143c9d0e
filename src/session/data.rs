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
/// The layer's key for when the session began, in seconds since 1970.
pub(super) const CREATED: &str = "_created";
/// The layer's key for when the session was changed last, in seconds since 1970.
pub(super) const SAVED: &str = "_saved";

/// The layer's key for when the session got the id that it has, in seconds since 1970.
pub(super) const ROTATED: &str = "_rotated";

const STAMPS: [&str; 3] = [CREATED, SAVED, ROTATED];

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
    /// Takes the flash messages that were shown, the oldest first, where they are still there.
    TakeFlashes(Vec<Value>),
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
            Self::TakeFlashes(shown) => write!(formatter, "TakeFlashes({})", shown.len()),
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
                // The id stays the one it was.
                let rotated = values.remove(ROTATED).map(|at| (Value::from(ROTATED), at));
                let kept = [(Value::from(PERMANENT), permanent)].into_iter().chain(rotated);
                *values = Map::from_iter(kept);
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
            Self::TakeFlashes(shown) => {
                if let Some(Value::List(flashes)) = values.get_mut(FLASHES) {
                    flashes.drain(..still_there(flashes, shown));
                    if flashes.is_empty() {
                        values.remove(FLASHES);
                    }
                }
            }
        }
        Ok(())
    }
}

/// How many of the messages that were shown are still the oldest of `flashes`. Messages are appended
/// at one end and taken from the other, so those of the shown that are left are the last of them.
fn still_there(flashes: &[Value], shown: &[Value]) -> usize {
    // A store's record has a list where the tuple was that was put in.
    let same = |(a, b): (&Value, &Value)| match (a, b) {
        (Value::Tuple(a) | Value::List(a), Value::Tuple(b) | Value::List(b)) => a == b,
        (a, b) => a == b,
    };
    (0..shown.len())
        .map(|taken| &shown[taken..])
        .find(|left| left.len() <= flashes.len() && flashes.iter().zip(*left).all(same))
        .map_or(0, <[Value]>::len)
}

/// Whether the values count as no session in a store: Flask-Session ignores [`PERMANENT`] here, and
/// so are the layer's own stamps.
pub(super) fn is_empty(values: &Map) -> bool {
    values.len() == stamps(values) + usize::from(values.contains_key(PERMANENT))
}

/// The same for a session in its cookie, where Flask counts [`PERMANENT`].
pub(super) fn is_blank(values: &Map) -> bool {
    values.len() == stamps(values)
}

fn stamps(values: &Map) -> usize {
    STAMPS.iter().filter(|key| values.contains_key(key)).count()
}

/// Takes the stamps out, as of a session that has ended: the next one begins anew.
pub(super) fn unstamp(values: &mut Map) {
    for key in STAMPS {
        values.remove(key);
    }
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

        assert!(is_empty(&values(&[(CREATED, 1), (PERMANENT, 1), (SAVED, 1)])));
        assert!(is_blank(&values(&[(CREATED, 1)])) && !is_blank(&values(&[(PERMANENT, 1)])));

        let mut native = values(&[(PERMANENT, 1), ("a", 1)]);
        Change::Clear { keep_permanence: false }.apply(&mut native).unwrap();
        assert!(native.is_empty());
    }

    #[test]
    fn a_flash_is_taken_by_who_showed_it_and_no_other() {
        let flash = |text: &str| Value::List(vec!["message".into(), text.into()]);
        let take = |stored: &[&str], shown: &[&str]| {
            let list = Value::List(stored.iter().map(|text| flash(text)).collect());
            let mut stored = Map::from_iter([(Value::from(FLASHES), list)]);
            let shown =
                shown.iter().map(|text| Value::Tuple(vec!["message".into(), (*text).into()]));
            Change::TakeFlashes(shown.collect()).apply(&mut stored).unwrap();
            match stored.get(FLASHES) {
                Some(Value::List(left)) => left.clone(),
                _ => Vec::new(),
            }
        };
        assert_eq!(take(&["a", "b"], &["a", "b"]), []);
        assert_eq!(take(&["a", "b", "new"], &["a", "b"]), [flash("new")]);
        assert_eq!(take(&["new"], &["a"]), [flash("new")], "another request has shown it too");
        assert_eq!(take(&["b", "new"], &["a", "b"]), [flash("new")], "of one of them");
        assert_eq!(take(&["a", "b"], &["b"]), [flash("a"), flash("b")]);
        assert_eq!(take(&[], &["a"]), []);
    }
}
