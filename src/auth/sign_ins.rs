//! The registry of sign-ins: one row for each, which its session names.
//!
//! A session counts as long as its row is there. So one sign-in can be ended from another, wherever
//! sessions live, in visitors' cookies as in a store.

mod postgresql;
mod sqlite;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;

use super::accounts::Account;
use super::audit::{Event, Note};
use super::client::{Client, Trace};
use super::password::PasswordHash;
use crate::db::{Db, Error, Revision};
use crate::session::{self, Settings, unix_now};

/// How often, at most, a sign-in's last use is written, in seconds.
const SEEN_EVERY: i64 = 5 * 60;
/// How long writing that is left alone after it has failed, in seconds.
const REST: i64 = 60;
/// How long a row outlives its session, in seconds: nodes' clocks differ.
const GRACE: i64 = 60;
/// How many rows one statement removes, so that nothing else waits for long.
const SWEEP_AT_ONCE: i64 = 500;
/// How many sign-ins are listed, the newest ones.
const LISTED: i64 = 100;

/// The random name of one sign-in. It is no secret: nobody signs in with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignInId(String);

impl SignInId {
    /// 128 random bits.
    fn generate() -> Result<Self, session::Error> {
        let mut random = [0; 16];
        SysRng
            .try_fill_bytes(&mut random)
            .map_err(|error| session::Error::Random(error.to_string()))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The name in a text, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (text.len() == 22 && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SignInId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One sign-in, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Its name.
    pub id: SignInId,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// When it was last used, to within five minutes.
    pub last_seen: i64,
    /// The client's address then, if it is recorded.
    pub address: Option<String>,
    /// The client's `User-Agent` then, if it is recorded.
    pub agent: Option<String>,
}

/// Whose session a sign-in is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    pub name: String,
    pub last_seen: i64,
    pub students: Option<Revision>,
}

/// A row to be added.
struct New {
    id: SignInId,
    account: i64,
    created: i64,
    expires: i64,
    trace: Trace,
}

impl New {
    fn row(account: i64, settings: &Settings, client: Client<'_>) -> Result<Self, session::Error> {
        let created = unix_now();
        Ok(Self {
            id: SignInId::generate()?,
            account,
            created,
            expires: expires(created, settings),
            trace: client.trace(),
        })
    }
}

/// Why there is no sign-in.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    #[error(transparent)]
    Random(#[from] session::Error),
    #[error(transparent)]
    Database(#[from] Error),
}

/// When a session that was used at `seen` has ended by itself, whenever it was used before that was
/// written.
fn expires(seen: i64, settings: &Settings) -> i64 {
    let lifetime = settings.longest_unused().as_secs();
    seen.saturating_add_unsigned(lifetime).saturating_add(SEEN_EVERY)
}

/// The sign-ins of a database's accounts.
#[derive(Clone, Debug)]
pub struct SignIns {
    db: Db,
    /// Until when writing the last use rests, in seconds since 1970.
    rests_until: Arc<AtomicI64>,
}

impl SignIns {
    /// The sign-ins of a database's accounts.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone(), rests_until: Arc::default() }
    }

    /// The account's sign-ins that have not ended, the last used first, at most a hundred.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self, account: i64) -> Result<Vec<SignIn>, Error> {
        let now = unix_now();
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::list(file, account, now).await?),
            Db::Postgresql(server) => Ok(postgresql::list(server, account, now).await?),
        }
    }

    /// Every sign-in that has not been ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all(&self) -> Result<Vec<SignInId>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::all(file).await?),
            Db::Postgresql(server) => Ok(postgresql::all(server).await?),
        }
    }

    /// Ends one sign-in of the account, and tells whether there was such a one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end(
        &self,
        account: i64,
        id: &SignInId,
        client: Client<'_>,
    ) -> Result<bool, Error> {
        let note = Note::by_visitor(Event::SessionEnded, client);
        Ok(self.delete(account, Which::One(id.clone()), note).await? > 0)
    }

    /// Ends all sign-ins of the account but one, and tells how many those were. (A session of a
    /// build without the registry, which has not been here since, is not known: a new password
    /// ends it.)
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_others(
        &self,
        account: i64,
        but: &SignInId,
        client: Client<'_>,
    ) -> Result<u64, Error> {
        let note = Note::by_visitor(Event::OtherSessionsEnded, client);
        self.delete(account, Which::AllBut(but.clone()), note).await
    }

    /// Ends the account's sign-in as its owner wishes who is there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out(
        &self,
        account: i64,
        id: &SignInId,
        client: Client<'_>,
    ) -> Result<(), Error> {
        let note = Note::by_visitor(Event::SignOut, client);
        self.delete(account, Which::One(id.clone()), note).await?;
        Ok(())
    }

    /// Sets a new password in the place of the hash `old`, ends all sessions of the account but
    /// keeps the row of one, and gives the epoch in which that one is to go on; `None` when the
    /// password was changed meanwhile.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn change_password(
        &self,
        account: i64,
        keep: &SignInId,
        old: String,
        new: PasswordHash,
        client: Client<'_>,
    ) -> Result<Option<i64>, Error> {
        let note = Note::by_visitor(Event::PasswordChanged, client);
        let change = PasswordChange { account, keep: keep.clone(), old, new };
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::change_password(file, change, note).await?),
            Db::Postgresql(server) => {
                Ok(postgresql::change_password(server, &change, &note).await?)
            }
        }
    }

    /// Forgets sign-ins whose sessions were ended where sessions live.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget(&self, ids: Vec<SignInId>) -> Result<(), Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::forget(file, ids).await?),
            Db::Postgresql(server) => Ok(postgresql::forget(server, &ids).await?),
        }
    }

    /// Removes the rows of sessions that have ended by themselves.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sweep(&self) -> Result<(), Error> {
        let over = unix_now() - GRACE;
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::sweep(file, over).await?),
            Db::Postgresql(server) => Ok(postgresql::sweep(server, over).await?),
        }
    }

    /// The account and the sign-in that a session names, read at once, if both count.
    pub(super) async fn visitor(
        &self,
        account: i64,
        epoch: i64,
        id: &SignInId,
    ) -> Result<Option<Visitor>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::visitor(file, account, epoch, id.clone()).await?),
            Db::Postgresql(server) => Ok(postgresql::visitor(server, account, epoch, id).await?),
        }
    }

    /// Makes the row of a sign-in, before its session.
    pub(super) async fn begin(
        &self,
        account: &Account,
        settings: &Settings,
        client: Client<'_>,
    ) -> Result<SignInId, BeginError> {
        let new = New::row(account.id, settings, client)?;
        let (id, name) = (new.id.clone(), account.name.clone());
        let note = Note::by_visitor(Event::SignIn, client);
        match &self.db {
            Db::Sqlite(file) => sqlite::begin(file, new, note, name).await.map_err(Error::from)?,
            Db::Postgresql(server) => {
                postgresql::begin(server, &new, &note).await.map_err(Error::from)?;
            }
        }
        Ok(id)
    }

    /// Makes the row of a session of a build that had none, if the account is as the session says.
    pub(super) async fn adopt(
        &self,
        account: i64,
        epoch: i64,
        settings: &Settings,
        client: Client<'_>,
    ) -> Result<Option<(SignInId, Visitor)>, BeginError> {
        let new = New::row(account, settings, client)?;
        let (id, last_seen) = (new.id.clone(), new.created);
        let name = match &self.db {
            Db::Sqlite(file) => sqlite::adopt(file, new, epoch).await.map_err(Error::from)?,
            Db::Postgresql(server) => {
                postgresql::adopt(server, &new, epoch).await.map_err(Error::from)?
            }
        };
        Ok(name.map(|name| (id, Visitor { name, last_seen, students: None })))
    }

    /// Notes that a sign-in is in use, if that was not done for a while. No page waits for it, and
    /// none fails by it.
    pub(super) fn seen(
        &self,
        id: &SignInId,
        last_seen: i64,
        settings: impl FnOnce() -> Option<Settings>,
        client: Client<'_>,
    ) {
        let now = unix_now();
        if now - last_seen < SEEN_EVERY || now < self.rests_until.load(Ordering::Relaxed) {
            return;
        }
        let Some(settings) = settings() else { return };
        let (sign_ins, id, trace) = (self.clone(), id.clone(), client.trace());
        let (due, expires) = (now - SEEN_EVERY, expires(now, &settings));
        rocket::tokio::spawn(async move {
            let seen = Seen { id, now, due, expires, trace };
            let written = match &sign_ins.db {
                Db::Sqlite(file) => sqlite::seen(file, seen).await.map_err(Error::from),
                Db::Postgresql(server) => {
                    postgresql::seen(server, &seen).await.map_err(Error::from)
                }
            };
            if let Err(error) = written {
                sign_ins.rests_until.store(now + REST, Ordering::Relaxed);
                log::warn!("when a session was last seen could not be written: {error}");
            }
        });
    }

    async fn delete(&self, account: i64, which: Which, note: Note) -> Result<u64, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::delete(file, account, which, note).await?),
            Db::Postgresql(server) => Ok(postgresql::delete(server, account, &which, &note).await?),
        }
    }
}

/// Which of an account's rows.
enum Which {
    One(SignInId),
    AllBut(SignInId),
}

impl Which {
    /// The condition on a row, and the value of its parameter.
    fn condition(&self, parameter: &str) -> (String, &str) {
        match self {
            Self::One(id) => (format!("id = {parameter}"), id.as_str()),
            Self::AllBut(id) => (format!("id <> {parameter}"), id.as_str()),
        }
    }
}

/// A use to be written, unless one was since `due`.
struct Seen {
    id: SignInId,
    now: i64,
    due: i64,
    expires: i64,
    trace: Trace,
}

/// A new password, from one of the account's own sessions.
struct PasswordChange {
    account: i64,
    keep: SignInId,
    old: String,
    new: PasswordHash,
}

const COLUMNS: &str = "id, created, last_seen, address, agent";
