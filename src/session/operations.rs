//! What handlers do with a session: Flask's `session` object, method by method.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::data::{Change, PERMANENT, is_permanent};
use super::error::Error;
use super::guard::Session;
use super::value::{Map, Value, ValueError};

impl Session {
    /// The value under `key`, or `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Value`] when the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let state = self.look();
        let value = state.values.get(key);
        value.map(Value::deserialize_into).transpose().map_err(|source| value_error(key, source))
    }

    /// Sets `key` to `value`. Of two requests that set one key at the same time the later to
    /// finish wins; with different keys both do.
    ///
    /// # Errors
    /// [`Error::Value`] when `value` cannot be serialised or nests too deeply.
    pub fn insert<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        let value = Value::from_serialize(value).map_err(|source| value_error(key, source))?;
        self.change(Change::Insert(key.into(), value))
    }

    /// The value under `key`, which is `default` if there was none: Python's `setdefault`.
    ///
    /// # Errors
    /// [`Error::Value`] when either value does not fit its type.
    pub fn set_default<T>(&self, key: &str, default: &T) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        if !self.contains_key(key) {
            let value = Value::from_serialize(default).map_err(|error| value_error(key, error))?;
            self.change(Change::SetDefault(key.into(), value))?;
        }
        let state = self.look();
        let value = state.values.get(key).unwrap_or(&Value::Null);
        value.deserialize_into().map_err(|source| value_error(key, source))
    }

    /// Changes the value under `key` in place, `T::default()` when there is none.
    ///
    /// When another request has changed the session meanwhile, `change` runs again on the value
    /// that is there then, so counters and appended lists lose nothing. It should depend on
    /// nothing but its argument.
    ///
    /// # Errors
    /// [`Error::Value`] when the value is not a `T`.
    pub fn modify<T, F>(&self, key: &str, change: F) -> Result<(), Error>
    where
        T: Default + Serialize + DeserializeOwned,
        F: Fn(&mut T) + Send + Sync + 'static,
    {
        self.change(modification(key, change))
    }

    /// Changes the value under `key` as [`modify`](Self::modify) does, but leaves the session
    /// unmarked, as Flask does when `session["list"].append(1)` changes something inside a value.
    ///
    /// Such a change is saved when the session is saved for another reason: something else
    /// modified it ([`set_modified`](Self::set_modified) will do), or this request restarts its
    /// lifetime. In a store that is every request while `SESSION_REFRESH_EACH_REQUEST` is on; in a
    /// cookie only those of a permanent session.
    ///
    /// # Errors
    /// [`Error::Value`] when the value is not a `T`.
    pub fn mutate<T, F>(&self, key: &str, change: F) -> Result<(), Error>
    where
        T: Default + Serialize + DeserializeOwned,
        F: Fn(&mut T) + Send + Sync + 'static,
    {
        let change = modification(key, change);
        let mut state = self.look();
        change.apply(state.values_mut())?;
        state.changes.push(change);
        Ok(())
    }

    /// Takes `key` out and tells whether it was there: Python's `pop`.
    pub fn remove(&self, key: &str) -> bool {
        let mut state = self.look();
        let there = state.values_mut().remove(key).is_some();
        if there {
            state.record(Change::Remove(key.into()));
        }
        there
    }

    /// Removes everything. If nothing is put in again, the session ends on the server and its
    /// cookie is removed: this is how to sign somebody out. (A session that lives in its cookie
    /// alone ends in this browser; a copy of the cookie stays good until its time is over.)
    pub fn clear(&self) {
        let mut state = self.look();
        let clear = self.backend.clear();
        // Clearing cannot fail.
        let _ = clear.apply(state.values_mut());
        state.changes.clear();
        state.record(clear);
    }

    /// Whether `key` is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.look().values.contains_key(key)
    }

    /// The number of keys, Flask's `_permanent` included.
    pub fn len(&self) -> usize {
        self.look().values.len()
    }

    /// Whether there is nothing in the session. In a store `_permanent` alone counts as nothing,
    /// as in Flask-Session.
    pub fn is_empty(&self) -> bool {
        self.backend.is_empty(&self.look().values)
    }

    /// The text keys in order, `_permanent` included.
    pub fn keys(&self) -> Vec<String> {
        let state = self.look();
        state.values.iter().filter_map(|(key, _)| Some(key.as_str()?.to_owned())).collect()
    }

    /// A copy of all values.
    pub fn values(&self) -> Map {
        Map::clone(&self.look().values)
    }

    /// Whether the session outlives the browser.
    pub fn permanent(&self) -> bool {
        is_permanent(&self.look().values)
    }

    /// Makes the session outlive the browser by `PERMANENT_SESSION_LIFETIME`, or end with it.
    pub fn set_permanent(&self, permanent: bool) {
        // An insertion cannot fail.
        let _ = self.change(Change::Insert(PERMANENT.into(), Value::Bool(permanent)));
    }

    /// Whether the visitor came without a live session.
    pub fn is_new(&self) -> bool {
        self.look().new
    }

    /// Whether something has looked into the session, so that the response varies by cookie.
    pub fn accessed(&self) -> bool {
        self.state().accessed
    }

    /// Whether something has changed the session: Flask's `session.modified`.
    pub fn modified(&self) -> bool {
        self.state().modified
    }

    /// Says whether the session is to be saved as a changed one: Flask's `session.modified = …`.
    ///
    /// `true` sends the cookie anew and restarts the lifetime though no value changed, and saves
    /// what [`mutate`](Self::mutate) changed; `false` takes the mark off again, and the changes
    /// are then saved as those of `mutate` are.
    pub fn set_modified(&self, modified: bool) {
        let mut state = self.look();
        state.modified = modified;
        state.saved = false;
    }

    /// Gives the session a new id when it is saved and ends the old one, keeping the data. Call
    /// it whenever the visitor's rights change, or else whoever planted or saw the old id shares
    /// the new rights (session fixation).
    pub fn regenerate(&self) {
        let mut state = self.look();
        state.regenerate = true;
    }
}

fn modification<T, F>(key: &str, change: F) -> Change
where
    T: Default + Serialize + DeserializeOwned,
    F: Fn(&mut T) + Send + Sync + 'static,
{
    let name = key.to_owned();
    Change::Modify(
        key.into(),
        Arc::new(move |value| {
            let mut value: T = value
                .map(Value::deserialize_into)
                .transpose()
                .map_err(|source| value_error(&name, source))?
                .unwrap_or_default();
            change(&mut value);
            Value::from_serialize(&value).map_err(|source| value_error(&name, source))
        }),
    )
}

fn value_error(key: &str, source: ValueError) -> Error {
    Error::Value { key: key.into(), source }
}
