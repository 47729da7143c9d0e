//! What a session's former id leads to after a rotation, for requests that are under way with it.

use std::time::Duration;

use super::clock;
use super::codec::Format;
use super::error::Error;
use super::store::{Replacement, Store};
use super::token::StoreKey;
use super::value::{Map, Value};

/// Where the session is now.
const MOVED: &str = "_moved";
/// The last second, since 1970, in which it is looked for there. The record's own time to live is not
/// enough: a Flask application that shares the store may write the record again.
const UNTIL: &str = "_until";

/// How many forwards are followed in a row. An id that a rotation has just made may be replaced again
/// while the one before it is still good.
pub(super) const AT_MOST: usize = 8;

/// How often a session is tried to be ended that moves meanwhile.
const TRIES: usize = 16;

/// Where a forward leads.
pub(super) enum Target {
    Key(StoreKey),
    /// Nowhere: its time is over.
    Nowhere,
}

/// The values of a forward to `key`, good for `grace` from `now` on.
pub(super) fn values(key: &StoreKey, now: Duration, grace: Duration) -> Map {
    let until = now.saturating_add(grace).as_secs();
    Map::from_iter([
        (Value::from(MOVED), Value::from(key.as_str())),
        (Value::from(UNTIL), Value::Int(until.into())),
    ])
}

/// Where the values lead, if they are no session but a forward.
pub(super) fn target(values: &Map) -> Option<Target> {
    let (Some(Value::Str(key)), Some(Value::Int(until))) = (values.get(MOVED), values.get(UNTIL))
    else {
        return None;
    };
    Some(match *until >= i128::from(clock::since_epoch().as_secs()) {
        true => Target::Key(StoreKey::new(key.as_str())),
        false => Target::Nowhere,
    })
}

/// Whether the values of a record are no session but lead to one.
pub(crate) fn is_forward(values: &Map) -> bool {
    target(values).is_some()
}

/// Ends the session that was seen under `key` with `bytes`, wherever it has moved meanwhile.
pub(crate) async fn end(
    store: &dyn Store,
    format: Format,
    key: &StoreKey,
    bytes: &[u8],
) -> Result<(), Error> {
    let (mut key, mut bytes) = (key.clone(), bytes.to_vec());
    for _ in 0..TRIES {
        if store.replace(&key, &bytes, &Replacement::Removed).await? {
            return Ok(());
        }
        let record = match store.load(&key).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(()),
            Err(error) => {
                // It is to be ended at least where it was.
                return store.delete(&key).await.and(Err(error));
            }
        };
        bytes = record.bytes;
        match format.decode(&bytes).ok().as_ref().and_then(target) {
            Some(Target::Key(to)) => {
                let Some(record) = store.load(&to).await? else { return Ok(()) };
                (key, bytes) = (to, record.bytes);
            }
            Some(Target::Nowhere) => return Ok(()),
            None => {}
        }
    }
    store.delete(&key).await
}
