//! What handlers hold.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocket::request::{FromRequest, Outcome};
use rocket::tokio::sync::{Mutex as AsyncMutex, OnceCell};
use rocket::{Ignite, Request, Rocket, Sentinel};

use super::backend::{Backend, CookieChange, Opened, Plan, Stored};
use super::data::Change;
use super::error::Error;
use super::fairing::Sessions;
use super::flash::FlashMessage;
use super::request_id::{LogClient, request_id};
use super::value::Map;

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
pub struct Session {
    pub(super) backend: Arc<Backend>,
    request_id: Option<Arc<str>>,
    state: Mutex<State>,
    committing: AsyncMutex<()>,
}

pub(super) struct State {
    stored: Stored,
    pub(super) values: Arc<Map>,
    pub(super) changes: Vec<Change>,
    pub(super) new: bool,
    pub(super) accessed: bool,
    pub(super) modified: bool,
    /// Whether what made it modified has been saved already.
    pub(super) saved: bool,
    pub(super) regenerate: bool,
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

    /// The values, to be changed.
    pub(super) fn values_mut(&mut self) -> &mut Map {
        Arc::make_mut(&mut self.values)
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
        let id = request_id(request.headers());
        let open = || async {
            let sessions = request.rocket().state::<Sessions>().ok_or(Error::NoFairing)?;
            let backend = sessions.backend()?;
            let opened = backend.open(request.headers(), id).await?;
            if opened.forged {
                let LogClient(client) = request.local_cache(|| LogClient(None));
                let client = client.map(|client| client.to_string());
                log::warn!(
                    event = "bad_signature", client, request_id = id;
                    "no key made the signature of a session cookie{}",
                    client.iter().map(|client| format!(" from {client}")).collect::<String>()
                );
            }
            Ok(Self::new(backend, opened, id.map(Arc::from)))
        };
        // Told here, so that it is told once however many guards ask.
        let told =
            || async { open().await.inspect_err(|error| log::error!(request_id = id; "{error}")) };
        slot.0.get_or_init(told).await.as_ref().map_err(Error::clone)
    }

    /// What the request's guards opened, if any did.
    pub(super) fn opened<'r>(request: &'r Request<'_>) -> Option<&'r Result<Self, Error>> {
        request.local_cache(Slot::default).0.get()
    }

    fn new(backend: Arc<Backend>, opened: Opened, request_id: Option<Arc<str>>) -> Self {
        let Opened { stored, values, moved, .. } = opened;
        let state = State {
            new: matches!(stored, Stored::New) && !moved,
            stored,
            values: Arc::new(values),
            changes: Vec::new(),
            accessed: false,
            modified: moved,
            saved: false,
            regenerate: false,
            flashes: None,
            cookie: CookieChange::Keep,
            save_failed: false,
        };
        Self { backend, request_id, state: Mutex::new(state), committing: AsyncMutex::new(()) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
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
        change.apply(state.values_mut())?;
        state.record(change);
        Ok(())
    }

    /// Saves now instead of with the response, for a handler that must know.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be written, [`Error::Ended`] when the session was
    /// ended meanwhile. The response will then set no session cookie.
    pub async fn save(&self) -> Result<(), Error> {
        let saved = self.commit().await;
        self.state().save_failed = saved.is_err();
        saved
    }

    /// Commits what is still pending at the end of the request. Whose handler was told of a failure
    /// has answered for it.
    pub(super) async fn commit_at_the_end(&self) -> Result<(), Error> {
        let failed = self.state().save_failed;
        match failed {
            true => Ok(()),
            false => self.commit().await,
        }
    }

    /// Commits what is pending. A request commits one at a time.
    async fn commit(&self) -> Result<(), Error> {
        let _alone = self.committing.lock().await;
        let (plan, pending) = {
            let mut state = self.state();
            // Taken out, so that what comes in meanwhile is told apart and is for the next commit.
            let changes = std::mem::take(&mut state.changes);
            let saved = std::mem::replace(&mut state.saved, true);
            let regenerate = std::mem::take(&mut state.regenerate);
            let plan = Plan {
                stored: state.stored.clone(),
                values: Arc::clone(&state.values),
                changes: changes.clone(),
                modified: state.modified && !saved,
                regenerate,
                request_id: self.request_id.clone(),
            };
            (plan, Pending { session: self, changes, saved, regenerate })
        };
        // A change inside a value, which is saved along with something else alone.
        let is_left =
            !plan.modified && !plan.regenerate && !self.backend.settings().refresh_each_request;
        let settled = self.backend.commit(plan).await?;
        match is_left {
            true => drop(pending),
            false => pending.settle(),
        }
        let mut state = self.state();
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

/// What a commit is about to do. Where it fails, or its handler stops waiting for it, it is still to
/// be done.
struct Pending<'s> {
    session: &'s Session,
    changes: Vec<Change>,
    saved: bool,
    regenerate: bool,
}

impl Pending<'_> {
    fn settle(mut self) {
        self.changes.clear();
        (self.saved, self.regenerate) = (true, false);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        // Unless all of it was cleared meanwhile.
        if !state.changes.iter().any(|change| matches!(change, Change::Clear { .. })) {
            state.changes.splice(0..0, self.changes.drain(..));
        }
        state.saved &= self.saved;
        state.regenerate |= self.regenerate;
    }
}

/// Shows nothing of what it holds.
impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
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
