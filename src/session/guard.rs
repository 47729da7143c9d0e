//! What handlers hold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocket::request::{FromRequest, Outcome};
use rocket::tokio::sync::{Mutex as AsyncMutex, OnceCell};
use rocket::{Ignite, Request, Rocket, Sentinel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backend::{Backend, CookieChange, Opened, Plan, Stored};
use super::data::{Change, PERMANENT, is_permanent};
use super::error::Error;
use super::fairing::Sessions;
use super::flash::FlashMessage;
use super::value::{Map, Value};

/// The visitor's session: Flask's `session` object as a request guard.
///
/// Take it as `&Session`. The first guard of a request reads the store once; every method works
/// on what was read, and the [`Sessions`] fairing saves the changes once, with the response. A
/// visitor without a session has an empty one, which is neither stored nor announced by a cookie
/// until something is put in.
///
/// ```
/// # use dewar::session::{Error, Session};
/// # use rocket::{get, post};
/// #[get("/visits")]
/// fn visits(session: &Session) -> Result<String, Error> {
///     session.modify("visits", |visits: &mut u32| *visits += 1)?;
///     Ok(format!("visit {}", session.get::<u32>("visits")?.unwrap_or_default()))
/// }
///
/// #[post("/logout")]
/// fn logout(session: &Session) {
///     session.clear();
/// }
/// ```
///
/// The guard fails with 503 when the store cannot be read. Do not take `Option<&Session>`: it
/// would make an outage look like a visitor without a session.
#[derive(Debug)]
pub struct Session {
    backend: Arc<Backend>,
    state: Mutex<State>,
    committing: AsyncMutex<()>,
}

#[derive(Debug)]
pub(super) struct State {
    stored: Stored,
    pub(super) values: Map,
    pub(super) changes: Vec<Change>,
    new: bool,
    accessed: bool,
    pub(super) modified: bool,
    /// Whether what made it modified has been saved already.
    saved: bool,
    regenerate: bool,
    pub(super) flashes: Option<Vec<FlashMessage>>,
    cookie: CookieChange,
    save_failed: bool,
}

/// A request's session, once something has asked for it.
#[derive(Default)]
struct Slot(OnceCell<Result<Session, Error>>);

impl State {
    /// Notes a change that has been made on the values.
    pub(super) fn record(&mut self, change: Change) {
        self.changes.push(change);
        self.mark();
    }

    fn mark(&mut self) {
        self.modified = true;
        self.saved = false;
    }
}

impl Session {
    /// The session of a request, for fairings and guards of one's own.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read, [`Error::NoFairing`] without [`Sessions`].
    pub async fn of<'r>(request: &'r Request<'_>) -> Result<&'r Self, Error> {
        let slot = request.local_cache(Slot::default);
        let open = || async {
            let sessions = request.rocket().state::<Sessions>().ok_or(Error::NoFairing)?;
            let backend = sessions.backend()?;
            let opened = backend.open(request.headers()).await?;
            Ok(Self::new(backend, opened))
        };
        // Told here, so that it is told once however many guards ask.
        let told = || async { open().await.inspect_err(|error| log::error!("{error}")) };
        slot.0.get_or_init(told).await.as_ref().map_err(Error::clone)
    }

    /// What the request's guards opened, if any did.
    pub(super) fn opened<'r>(request: &'r Request<'_>) -> Option<&'r Result<Self, Error>> {
        request.local_cache(Slot::default).0.get()
    }

    fn new(backend: Arc<Backend>, opened: Opened) -> Self {
        let Opened { stored, values, moved } = opened;
        let state = State {
            new: matches!(stored, Stored::New) && !moved,
            stored,
            values,
            changes: Vec::new(),
            accessed: false,
            modified: moved,
            saved: false,
            regenerate: false,
            flashes: None,
            cookie: CookieChange::Keep,
            save_failed: false,
        };
        Self { backend, state: Mutex::new(state), committing: AsyncMutex::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Values are replaced whole, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.accessed = true;
        state
    }

    pub(super) fn change(&self, change: Change) -> Result<(), Error> {
        let mut state = self.look();
        change.apply(&mut state.values)?;
        state.record(change);
        Ok(())
    }

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
        change.apply(&mut state.values)?;
        state.changes.push(change);
        Ok(())
    }

    /// Takes `key` out and tells whether it was there: Python's `pop`.
    pub fn remove(&self, key: &str) -> bool {
        let mut state = self.look();
        let there = state.values.remove(key).is_some();
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
        let _ = clear.apply(&mut state.values);
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
        self.look().values.clone()
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
        self.state().new
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

    /// Saves now instead of with the response, for a handler that must know.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be written, [`Error::Ended`] when the session was
    /// ended meanwhile. The response will then set no session cookie.
    pub async fn save(&self) -> Result<(), Error> {
        self.commit().await.inspect_err(|_| self.state().save_failed = true)
    }

    /// Commits what is pending. A request commits one at a time.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        let _alone = self.committing.lock().await;
        let (plan, taken) = {
            let state = self.state();
            if state.save_failed {
                return Ok(());
            }
            let plan = Plan {
                stored: state.stored.clone(),
                values: state.values.clone(),
                changes: state.changes.clone(),
                modified: state.modified && !state.saved,
                regenerate: state.regenerate,
            };
            (plan, state.changes.len())
        };
        let regenerate = plan.regenerate;
        let settled = self.backend.commit(plan).await?;
        let mut state = self.state();
        let taken = taken.min(state.changes.len());
        state.changes.drain(..taken);
        // What came in meanwhile is for the next commit.
        state.saved = state.changes.is_empty();
        state.regenerate &= !regenerate;
        state.stored = settled.stored;
        if state.changes.is_empty() {
            state.values = settled.values;
        }
        if !matches!(settled.cookie, CookieChange::Keep) {
            state.cookie = settled.cookie;
        }
        Ok(())
    }

    /// The `Set-Cookie` header's value, if the response needs one.
    pub(super) fn cookie_header(&self) -> Option<String> {
        let state = self.state();
        let cookie = &self.backend.settings().cookie;
        match &state.cookie {
            _ if state.save_failed => None,
            CookieChange::Keep => None,
            CookieChange::Set(value, expires) => Some(cookie.set(value, *expires)),
            CookieChange::Remove => Some(cookie.remove()),
        }
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

fn value_error(key: &str, source: super::value::ValueError) -> Error {
    Error::Value { key: key.into(), source }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for &'r Session {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        match Session::of(request).await {
            Ok(session) => Outcome::Success(session),
            Err(error) => Outcome::Error((error.status(), error)),
        }
    }
}

/// Refuses the launch of an application that takes sessions without the fairing.
impl Sentinel for &Session {
    fn abort(rocket: &Rocket<Ignite>) -> bool {
        let missing = rocket.state::<Sessions>().is_none();
        if missing {
            log::error!("a route takes `&Session`; attach `Sessions::fairing()`");
        }
        missing
    }
}
