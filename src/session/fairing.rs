//! Makes the layer part of an application: settings and store at ignition, sweeping while it
//! runs, saving with each response.

use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use figment::Figment;
use rocket::fairing::{self, Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::{Build, Catcher, Data, Orbit, Request, Response, Rocket};

use super::backend::{Backend, SWEEP_AT_ONCE};
use super::error::Error;
use super::guard::Session;
use super::request_id::request_id;
use super::settings::{Settings, SettingsError};
use super::store::ended::Ended;
use super::store::{self, Measured, Store, Watch};

const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long a step of sweeping is to take at most, and how many records one may have.
const STEP: Duration = Duration::from_millis(2);
const STEPS: RangeInclusive<usize> = 16..=256;

/// The fairing of the session layer, and the handle to its settings and store.
///
/// ```no_run
/// # use dewar::session::Sessions;
/// let rocket = rocket::build().attach(Sessions::fairing());
/// ```
///
/// Attach Rocket's `Shield` after it, if at all by hand: the 503 page that replaces a response
/// whose session could not be saved needs its headers too.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    backend: Arc<RwLock<Option<Arc<Backend>>>>,
    own_store: Option<Arc<Ended>>,
    watch: Option<Arc<dyn Watch>>,
}

/// Why settings or the store could not be put in force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SetupError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Sessions {
    /// A fairing that takes its settings and its store from the application's figment, at ignition.
    /// Whoever wants to tell of a failure by themselves [reloads](Self::reload) it before it is
    /// attached; the ignition with the same figment then changes nothing.
    pub fn fairing() -> Self {
        Self::default()
    }

    /// A fairing with a store of one's own, in place of the one that the settings name. They are
    /// checked all the same, and `SESSION_MIGRATE_FROM` is not used.
    pub fn with_store(store: Arc<dyn Store>) -> Self {
        Self { own_store: Some(Arc::new(Ended::new(store))), ..Self::default() }
    }

    /// The same fairing, which tells `watch` of each operation on the stores that the settings
    /// name. To be called before they are opened.
    pub fn watched_by(mut self, watch: Option<Arc<dyn Watch>>) -> Self {
        self.watch = watch;
        self
    }

    /// Reads the settings again and puts them in force for the requests that follow. Sessions
    /// stay; the store is opened anew only when its settings have changed.
    ///
    /// # Errors
    /// When the settings are wrong or a new store cannot be opened. The old ones stay in force.
    pub fn reload(&self, figment: &Figment) -> Result<(), SetupError> {
        let settings = Settings::from_figment(figment)?;
        let current = self.backend().ok();
        let backend = match &self.own_store {
            Some(store) => Backend::new(settings, Some(Arc::clone(store)), None),
            None => open(settings, current.as_deref(), self.watch.as_ref())?,
        };
        let backend = Some(Arc::new(backend));
        *self.backend.write().unwrap_or_else(PoisonError::into_inner) = backend;
        Ok(())
    }

    /// The store in force; `None` where sessions live in cookies.
    ///
    /// # Errors
    /// [`Error::NoFairing`] before ignition.
    pub fn store(&self) -> Result<Option<Arc<dyn Store>>, Error> {
        Ok(self.backend()?.store().map(|store| Arc::clone(store) as Arc<dyn Store>))
    }

    /// A copy of the settings in force.
    ///
    /// # Errors
    /// [`Error::NoFairing`] before ignition.
    pub fn settings(&self) -> Result<Settings, Error> {
        Ok(self.backend()?.settings().clone())
    }

    /// Answers when sessions can be read. Used by health checks.
    ///
    /// # Errors
    /// [`Error::Store`] when the store does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        match self.store()? {
            Some(store) => store.ping().await,
            None => Ok(()),
        }
    }

    pub(super) fn backend(&self) -> Result<Arc<Backend>, Error> {
        let backend = self.backend.read().unwrap_or_else(PoisonError::into_inner);
        backend.clone().ok_or(Error::NoFairing)
    }

    async fn sweep(self) {
        // A store on the network is connected to now, so that what is wrong with it is in the log.
        if let Err(error) = self.ping().await {
            log::warn!("{error}");
        }
        loop {
            rocket::tokio::time::sleep(SWEEP_EVERY).await;
            let Ok(backend) = self.backend() else { continue };
            let mut next = Some(&*backend);
            while let Some(backend) = next {
                if let Some(store) = backend.store() {
                    apart(sweep_out(Arc::clone(store))).await;
                }
                next = backend.migrate_from();
            }
        }
    }
}

/// Sweeps in a task of its own, so that a store that panics ends this sweep and not those to come.
async fn apart(sweep: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = rocket::tokio::spawn(sweep).await {
        log::error!("a sweep was not finished: {error}");
    }
}

/// Removes what has expired, in steps so short that nobody notices one, and rests for twice as long
/// after each: so that it takes no more than a third of what a store can do, however much has
/// gathered.
async fn sweep_out(store: Arc<Ended>) {
    let mut at_once = SWEEP_AT_ONCE;
    loop {
        let began = Instant::now();
        match store.sweep(at_once).await {
            Ok(swept) if swept == at_once => {
                let took = began.elapsed();
                rocket::tokio::time::sleep(2 * took).await;
                at_once = next_step(at_once, took);
            }
            Ok(_) => return,
            Err(error) => return log::warn!("{error}; sweeping again in a minute"),
        }
    }
}

/// How many records to sweep after so many took so long.
fn next_step(at_once: usize, took: Duration) -> usize {
    match took {
        _ if took > STEP => (at_once / 2).max(*STEPS.start()),
        _ if took < STEP / 4 => (at_once * 2).min(*STEPS.end()),
        _ => at_once,
    }
}

/// The settings' backend, and the one that it moves sessions from; on the stores of `current`
/// where those are the same, and with what is owed to those that are opened anew.
fn open(
    mut settings: Settings,
    current: Option<&Backend>,
    watch: Option<&Arc<dyn Watch>>,
) -> Result<Backend, Error> {
    let from = settings.migrate_from.take();
    let from = from.map(|from| open(*from, current, watch)).transpose()?;
    let current = current.and_then(|current| current.at(&settings));
    let same = current.filter(|it| it.settings().store_timeout == settings.store_timeout);
    let store = match same {
        Some(same) => same.store().cloned(),
        None => store::connect(&settings)?.map(|store| {
            let store = match watch {
                Some(watch) => Arc::new(Measured::new(store, settings.store.name(), watch.clone())),
                None => store,
            };
            Arc::new(match current.and_then(Backend::store) {
                Some(former) => former.reopened(store),
                None => Ended::new(store),
            })
        }),
    };
    Ok(Backend::new(settings, store, from))
}

#[rocket::async_trait]
impl Fairing for Sessions {
    fn info(&self) -> Info {
        let kind = Kind::Ignite | Kind::Liftoff | Kind::Request | Kind::Response | Kind::Singleton;
        Info { name: "Sessions", kind }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        match self.reload(rocket.figment()) {
            Ok(()) => Ok(rocket.manage(self.clone())),
            Err(error) => {
                log::error!("{error}");
                Err(rocket)
            }
        }
    }

    async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
        let (sweep, shutdown) = (self.clone().sweep(), rocket.shutdown());
        rocket::tokio::spawn(async move {
            rocket::tokio::select! {
                () = sweep => {}
                () = shutdown => {}
            }
        });
    }

    /// With `SESSION_EAGER` every request has its session opened, so that each restarts its
    /// lifetime. What cannot be opened fails where somebody asks for it.
    async fn on_request(&self, request: &mut Request<'_>, _data: &mut Data<'_>) {
        if self.backend().is_ok_and(|backend| backend.settings().eager) {
            let _ = Session::of(request).await;
        }
    }

    /// Flask's table: untouched, nothing; looked at, `Vary: Cookie`; changed, saved and the
    /// cookie set; permanent, the cookie's expiry moved; emptied, ended and the cookie removed.
    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let Some(opened) = Session::opened(request) else { return };
        let committed = match opened {
            Ok(session) => session.commit_at_the_end().await,
            Err(error) => Err(error.clone()),
        };
        match (opened, committed) {
            (Ok(session), Ok(())) => {
                if let Some(cookie) = session.cookie_header() {
                    response.adjoin_raw_header("Set-Cookie", cookie);
                    vary_by_cookie(response);
                } else if session.accessed() {
                    vary_by_cookie(response);
                }
            }
            // The page was right when it was made, and the session is gone: nothing to tell.
            (Ok(_), Err(Error::Ended)) => vary_by_cookie(response),
            (Ok(_), Err(error)) => {
                log::error!(request_id = request_id(request.headers()); "{error}");
                *response = error_page(error.status(), request).await;
                after_failure(response);
            }
            // The guard has failed already, and a catcher has answered; or nobody asked for it.
            (Err(_), _) => after_failure(response),
        }
    }
}

fn after_failure(response: &mut Response<'_>) {
    vary_by_cookie(response);
    if response.status() == Status::ServiceUnavailable
        && !response.headers().contains("Retry-After")
    {
        response.set_raw_header("Retry-After", "2");
    }
}

/// Adds `Cookie` to the one `Vary` header, keeping what is there.
fn vary_by_cookie(response: &mut Response<'_>) {
    let named: Vec<String> = response
        .headers()
        .get("Vary")
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    if named.iter().any(|name| name == "*" || name.eq_ignore_ascii_case("cookie")) {
        return;
    }
    let all = named.into_iter().chain(["Cookie".into()]).collect::<Vec<_>>().join(", ");
    response.set_header(Header::new("Vary", all));
}

/// The page that the application's own catcher gives for `status`.
async fn error_page<'r>(status: Status, request: &'r Request<'_>) -> Response<'r> {
    let path = request.uri().path();
    let below = |catcher: &&Catcher| {
        let base = catcher.base.path().as_str().trim_end_matches('/').to_owned();
        path.as_str()
            .strip_prefix(&base)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let best = request
        .rocket()
        .catchers()
        .filter(|catcher| catcher.code.is_none_or(|code| code == status.code))
        .filter(below)
        .max_by_key(|catcher| (catcher.base.path().as_str().len(), catcher.code.is_some()));
    let page = match best {
        Some(catcher) => catcher.handler.handle(status, request).await.ok(),
        None => None,
    };
    page.unwrap_or_else(|| Response::build().status(status).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_takes_steps_that_nobody_notices() {
        let after = |milliseconds, at_once| next_step(at_once, Duration::from_millis(milliseconds));
        assert_eq!([after(0, 32), after(1, 32), after(9, 32)], [64, 32, 16]);
        assert_eq!((after(0, 256), after(9, 16)), (256, 16));
    }

    #[rocket::async_test]
    async fn a_sweep_that_panics_ends_alone() {
        for _ in 0..2 {
            apart(async { panic!("as a store might") }).await;
        }
    }
}
