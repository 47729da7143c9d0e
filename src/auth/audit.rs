//! The audit trail: what happened to accounts and sessions, who did it and from where.
//!
//! An entry is written in the transaction of what it tells of. Failed sign-ins are the exception:
//! strangers make as many as they like, so a bounded number a minute is written, aside, and the
//! rest is counted. That leaves no difference between names that exist and names that do not.

mod event;
mod flood;
pub(super) mod postgresql;
pub(super) mod sqlite;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::tokio::runtime::Handle;
use serde::Serialize;

use super::accounts::{Account, Accounts};
use super::agent;
use super::client::Client;
use crate::db::{Db, Error};
use crate::session::unix_now;
use flood::Flood;

pub use event::{Actor, Event};

/// How many entries that strangers cause are kept of each kind, the newest ones.
const KEPT_FAILURES: i64 = 100_000;
/// How many entries one statement removes, so that nothing else waits for long.
pub(super) const SWEEP_AT_ONCE: i64 = 500;

/// One entry, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number: later ones are higher.
    #[serde(skip)]
    pub id: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// An [`Event`]'s name.
    pub event: String,
    /// An [`Actor`]'s name.
    pub actor: String,
    /// The number of the account that it is about.
    pub account: Option<i64>,
    /// That account's name then.
    pub name: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// The client's browser and system in words.
    pub agent: Option<String>,
    /// The request's `X-Request-Id`.
    pub request: Option<String>,
    /// More in words.
    pub detail: Option<String>,
}

/// What is to be written. Whose account it is about the statement tells that writes it.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub at: i64,
    pub event: Event,
    pub actor: Actor,
    pub address: Option<String>,
    pub agent: Option<String>,
    pub request: Option<String>,
    pub detail: Option<String>,
}

impl Note {
    /// Of what a command does.
    pub fn by_operator(event: Event) -> Self {
        Self {
            at: unix_now(),
            event,
            actor: Actor::Operator,
            address: None,
            agent: None,
            request: None,
            detail: None,
        }
    }

    /// Of what a visitor does.
    pub fn by_visitor(event: Event, client: Client<'_>) -> Self {
        let trace = client.trace();
        Self {
            actor: Actor::Visitor,
            address: trace.address,
            agent: trace.agent.as_deref().map(agent::words),
            request: trace.request,
            ..Self::by_operator(event)
        }
    }

    pub fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those from then on, in seconds since 1970.
    pub since: Option<i64>,
    /// Those about accounts of this name, in any case, removed ones included.
    pub name: Option<String>,
    /// Those of one kind.
    pub event: Option<Event>,
    /// Those after this [`Entry::id`].
    pub after: i64,
    /// At most so many, the newest.
    pub limit: u32,
}

/// The audit trail of a database.
#[derive(Clone, Debug)]
pub struct Audit {
    db: Db,
    flood: Arc<Mutex<Flood>>,
}

impl Audit {
    /// The audit trail of a database.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone(), flood: Arc::default() }
    }

    /// Notes what a command has done, and at whose account, if at any.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn by_operator(
        &self,
        event: Event,
        whose: Option<(i64, String)>,
        detail: &str,
    ) -> Result<(), Error> {
        self.write(Note::by_operator(event).with(detail), whose).await
    }

    /// Notes a failure of a client at an account, if there is one, without waiting. Of too many in
    /// a minute their number is noted.
    pub fn failure(
        &self,
        event: Event,
        account: Option<&Account>,
        client: Client<'_>,
        detail: Option<&str>,
    ) {
        let network = super::throttle::network(client.address);
        let admitted = self.flood().admit(event, account.map(|one| one.id), network, unix_now());
        self.write_aside(admitted.summaries, None);
        if admitted.is_written {
            let mut note = Note::by_visitor(event, client);
            note.detail = detail.map(str::to_owned);
            let whose = account.map(|account| (account.id, account.name.clone()));
            self.write_aside([note], whose);
        }
    }

    /// Notes that a client has to wait before it tries the account of a name once more.
    pub fn throttled(&self, accounts: &Accounts, name: &str, client: Client<'_>) {
        let network = super::throttle::network(client.address);
        let admitted = self.flood().admit(Event::Throttled, None, network, unix_now());
        self.write_aside(admitted.summaries, None);
        let Ok(runtime) = Handle::try_current() else { return };
        if admitted.is_written {
            let (audit, accounts, name) = (self.clone(), accounts.clone(), name.to_owned());
            let note = Note::by_visitor(Event::Throttled, client);
            runtime.spawn(async move {
                // The name is written down only where it is an account's.
                let found = accounts.find_by_name(&name).await.ok().flatten();
                let whose = found.map(|(account, _)| (account.id, account.name));
                audit.write_or_tell(note, whose).await;
            });
        }
    }

    /// The newest entries that are wanted, the newest last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Entry>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::list(file, filter).await?),
            Db::Postgresql(server) => Ok(postgresql::list(server, &filter).await?),
        }
    }

    /// Notes what was counted in minutes that are over, and removes what is older than `lifetime`
    /// and what strangers have caused beyond a bound.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sweep(&self, lifetime: Duration) -> Result<(), Error> {
        let summaries = self.flood().settle(unix_now());
        for summary in summaries {
            self.write(summary, None).await?;
        }
        let oldest = unix_now().saturating_sub_unsigned(lifetime.as_secs());
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::sweep(file, oldest, KEPT_FAILURES).await?),
            Db::Postgresql(server) => Ok(postgresql::sweep(server, oldest, KEPT_FAILURES).await?),
        }
    }

    async fn write(&self, note: Note, whose: Option<(i64, String)>) -> Result<(), Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(file
                .write(move |connection| sqlite::insert(connection, &note, whose.as_ref()))
                .await?),
            Db::Postgresql(server) => Ok(postgresql::insert(server, &note, whose.as_ref()).await?),
        }
    }

    async fn write_or_tell(&self, note: Note, whose: Option<(i64, String)>) {
        let event = note.event;
        if let Err(error) = self.write(note, whose).await {
            log::warn!("{} is not in the audit trail: {error}", event.name());
        }
    }

    fn write_aside(
        &self,
        notes: impl IntoIterator<Item = Note> + Send + 'static,
        whose: Option<(i64, String)>,
    ) {
        let notes: Vec<_> = notes.into_iter().collect();
        if let (Ok(runtime), false) = (Handle::try_current(), notes.is_empty()) {
            let audit = self.clone();
            runtime.spawn(async move {
                for note in notes {
                    audit.write_or_tell(note, whose.clone()).await;
                }
            });
        }
    }

    fn flood(&self) -> std::sync::MutexGuard<'_, Flood> {
        self.flood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The columns of an [`Entry`], in its order.
const COLUMNS: &str = "id, at, event, actor, account, name, address, agent, request, detail";
