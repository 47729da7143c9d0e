//! Opens one request's session and commits its changes, wherever sessions live.

mod cookie;
mod migration;
mod record;
mod server;

use std::sync::Arc;
use std::time::SystemTime;

use rocket::http::HeaderMap;

use super::data::{Change, is_blank, is_empty};
use super::error::Error;
use super::settings::Settings;
use super::signing::SESSION_SALT;
use super::store::ended::Ended;
use super::value::Map;
use cookie::Cookie;
use record::Live;
use server::Server;

/// How many expired records are swept in one go, until it is seen how long that takes.
pub(super) const SWEEP_AT_ONCE: usize = 32;

/// Where sessions live, with the settings in force.
#[derive(Debug)]
pub(super) enum Backend {
    /// In signed cookies.
    Cookie(Cookie),
    /// In a store.
    Server(Server),
}

/// What is known of a session outside this request.
#[derive(Clone)]
pub(super) enum Stored {
    /// Nothing yet.
    New,
    /// It came in a cookie that was signed at this second since 1970.
    Signed(i64),
    /// The store holds this record, as it was read or written last.
    Live(Live),
    /// Nothing any more: the session was ended while the request ran.
    Ended,
}

/// What the response tells the browser.
#[derive(Clone)]
pub(super) enum CookieChange {
    Keep,
    Set(String, Option<SystemTime>),
    Remove,
}

/// A request's session as it begins.
pub(super) struct Opened {
    pub(super) stored: Stored,
    pub(super) values: Map,
    /// Whether it comes from `SESSION_MIGRATE_FROM`, so that the cookie has to be sent anew.
    pub(super) moved: bool,
    /// Whether there was a cookie that somebody has changed or made up, or that a key signed which
    /// is gone.
    pub(super) forged: bool,
}

impl Opened {
    fn new(stored: Stored, values: Map) -> Self {
        Self { stored, values, moved: false, forged: false }
    }
}

/// What a request wants done.
pub(super) struct Plan {
    pub(super) stored: Stored,
    pub(super) values: Arc<Map>,
    pub(super) changes: Vec<Change>,
    pub(super) modified: bool,
    pub(super) regenerate: bool,
    /// For the log.
    pub(super) request_id: Option<Arc<str>>,
}

/// How things stand after a commit.
pub(super) struct Settled {
    pub(super) stored: Stored,
    pub(super) values: Arc<Map>,
    pub(super) cookie: CookieChange,
}

impl Backend {
    /// The backend that `settings` name; `store` where they name one, and the backend that
    /// sessions are moved from, where they name one.
    pub(super) fn new(
        settings: Settings,
        store: Option<Arc<Ended>>,
        migrate_from: Option<Self>,
    ) -> Self {
        match store {
            Some(store) => Self::Server(Server::new(settings, store, migrate_from.map(Box::new))),
            None => {
                let signer = settings.signer(SESSION_SALT);
                Self::Cookie(Cookie { settings: Arc::new(settings), signer })
            }
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        match self {
            Self::Cookie(cookie) => &cookie.settings,
            Self::Server(server) => &server.settings,
        }
    }

    pub(super) fn store(&self) -> Option<&Arc<Ended>> {
        match self {
            Self::Cookie(_) => None,
            Self::Server(server) => Some(&server.store),
        }
    }

    /// Where sessions are moved from.
    pub(super) fn migrate_from(&self) -> Option<&Self> {
        match self {
            Self::Cookie(_) => None,
            Self::Server(server) => server.migrate_from.as_deref(),
        }
    }

    /// This one or the one that it moves sessions from: whichever keeps them where the settings say,
    /// under the same keys.
    pub(super) fn at(&self, settings: &Settings) -> Option<&Self> {
        let own = self.settings();
        let is_same = own.store == settings.store
            && (&own.key_prefix, own.hash_ids) == (&settings.key_prefix, settings.hash_ids);
        match is_same {
            true => Some(self),
            false => self.migrate_from()?.at(settings),
        }
    }

    /// The session that the request's cookie names or holds, or a new one.
    /// `request_id` is for the log.
    pub(super) async fn open(
        &self,
        headers: &HeaderMap<'_>,
        request_id: Option<&str>,
    ) -> Result<Opened, Error> {
        match self {
            Self::Cookie(cookie) => Ok(cookie.open(headers, request_id)),
            Self::Server(server) => server.open(headers, request_id).await,
        }
    }

    /// Does what the request wants, once. On an error the stored session is as it was.
    pub(super) async fn commit(&self, plan: Plan) -> Result<Settled, Error> {
        match self {
            Self::Cookie(cookie) => cookie.commit(plan),
            Self::Server(server) => server.commit(plan).await,
        }
    }

    /// Whether the values count as no session: Flask-Session does not count [`PERMANENT`] alone.
    ///
    /// [`PERMANENT`]: super::data::PERMANENT
    pub(super) fn is_empty(&self, values: &Map) -> bool {
        match self {
            Self::Cookie(_) => is_blank(values),
            Self::Server(_) => is_empty(values),
        }
    }

    /// The change that empties a session: Flask-Session keeps how long it lasts, Flask does not.
    pub(super) fn clear(&self) -> Change {
        Change::Clear { keep_permanence: matches!(self, Self::Server(_)) }
    }
}
