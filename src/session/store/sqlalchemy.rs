//! Sessions in Flask-Session's SQL table: PostgreSQL, MySQL, MariaDB or SQLite.
//!
//! One store for all of them. What differs is how a statement is put ([`statements`]) and how it
//! reaches the engine ([`engine`], and a file for each).

mod engine;
mod mysql;
mod postgresql;
mod sqlite;
mod statements;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use rocket::tokio::sync::{Mutex, OnceCell};

use super::{
    Cursor, Listed, Merge, Page, Record, Replacement, Store, move_in_steps, update_by_replacing,
};
use crate::session::clock;
use crate::session::error::Error;
use crate::session::token::StoreKey;
use crate::sql::{self, Postgresql, Url};
use engine::{Engine, Failure, Row, Values};
use statements::{Dialect, Statement, Statements};

pub use sqlite::expiry_text;

const TURNS: usize = 64;

/// Sessions in the table that Flask-Session's `sqlalchemy` type keeps, shared with it both ways.
///
/// Every operation is one statement, but for a write where an expired record stands in the way, and
/// a move that leaves something under the old key.
/// Whether a record has expired is told by the engine's clock in UTC (for SQLite, this machine's),
/// as several nodes share it; one without an expiry counts as expired, as in Flask-Session.
pub struct SqlalchemyStore {
    engine: Box<dyn Engine>,
    statements: Statements,
    table_is_there: OnceCell<()>,
    /// Each is for the keys of one hash.
    turns: [Mutex<()>; TURNS],
    hash: RandomState,
}

/// Shows where it is, nothing of the account.
impl fmt::Debug for SqlalchemyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("SqlalchemyStore").field(&self.engine).finish()
    }
}

impl SqlalchemyStore {
    /// A store in `table` of the database at `url`, written as SQLAlchemy writes it. The database
    /// is connected to, and the table made where it is missing, when the store is first used.
    /// `limit` is how long the engine may work on a statement.
    ///
    /// # Errors
    /// When the URL cannot be used, or a SQLite file cannot be opened.
    pub fn new(
        url: &str,
        table: &str,
        schema: Option<&str>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let found = Url::parse(url).and_then(|url| Some((Dialect::of(&url)?, url)));
        let (dialect, url) = found.ok_or_else(|| {
            let schemes = "postgresql://, mysql://, mariadb:// or sqlite://";
            let words = format!("the URL must begin with {schemes}");
            Error::store("open", sql::Error::Connection(words))
        })?;
        let engine: Result<Box<dyn Engine>, Failure> = match dialect {
            Dialect::Postgresql => Postgresql::new(&url, limit)
                .map(|engine| Box::new(engine) as _)
                .map_err(Failure::from),
            Dialect::Mysql => mysql::Mysql::new(&url, limit)
                .map(|engine| Box::new(engine) as _)
                .map_err(Failure::from),
            Dialect::Sqlite => sqlite::Sqlite::open(&url).map(|engine| Box::new(engine) as _),
        };
        Ok(Self {
            engine: engine.map_err(|error| Error::store("open", error))?,
            statements: Statements::new(dialect, table, schema),
            table_is_there: OnceCell::new(),
            turns: std::array::from_fn(|_| Mutex::new(())),
            hash: RandomState::new(),
        })
    }

    /// Makes the table if it is missing, once. One that goes missing later is an error: its
    /// sessions are not to be forgotten in silence.
    async fn table(&self) -> Result<(), Failure> {
        let look = || self.engine.fetch(&self.statements.load, Values::default());
        let make = async || match look().await {
            Err(Failure::NoTable) => {
                let made = self.engine.script(&self.statements.table).await;
                // Another node may have made it meanwhile, which is as good.
                look().await.map_err(|error| made.err().unwrap_or(error))
            }
            found => found,
        };
        self.table_is_there.get_or_try_init(async || make().await.map(drop)).await.map(drop)
    }

    async fn fetch(&self, statement: &Statement, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        self.table().await?;
        self.engine.fetch(statement, values).await
    }

    /// How many rows the statement changed. One that the engine undid to end a deadlock is given
    /// again.
    async fn change(&self, statement: &Statement, values: Values<'_>) -> Result<usize, Failure> {
        self.table().await?;
        for _ in 0..4 {
            match self.engine.change(statement, values).await {
                Err(Failure::Sql(sql::Error::Undone(_))) => {}
                result => return result,
            }
        }
        self.engine.change(statement, values).await
    }

    /// Runs a statement that puts a record under `key`, once more if an expired one was there.
    async fn claim(
        &self,
        key: &StoreKey,
        statement: &Statement,
        values: Values<'_>,
    ) -> Result<bool, Failure> {
        if self.change(statement, values).await? == 1 {
            return Ok(true);
        }
        let expired = Values { key: key.as_str(), ..Values::default() };
        Ok(self.change(&self.statements.remove_expired, expired).await? > 0
            && self.change(statement, values).await? == 1)
    }
}

fn failed(operation: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::store(operation, failure)
}

/// Microseconds, the finest time that the engines know, rounded up so that nothing expires early.
/// A thousand years at most, which every engine's calendar has room for.
fn microseconds(ttl: Duration) -> i64 {
    const LONGEST: i64 = 1000 * 365 * 86_400 * 1_000_000;
    i64::try_from(ttl.as_nanos().div_ceil(1000)).unwrap_or(LONGEST).min(LONGEST)
}

#[rocket::async_trait]
impl Store for SqlalchemyStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let values = Values { key: key.as_str(), ..Values::default() };
        let rows = self.fetch(&self.statements.load, values).await.map_err(failed("load"))?;
        Ok(rows.into_iter().next().map(|row| Record { bytes: row.data, expires_in: row.left }))
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        let ttl = microseconds(ttl);
        let values = Values { key: key.as_str(), data: bytes, ttl, ..Values::default() };
        self.claim(key, &self.statements.insert, values).await.map_err(failed("save"))
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        let seen = Values { key: key.as_str(), expected, ..Values::default() };
        let replaced = match replacement {
            Replacement::Bytes { bytes, ttl } => {
                let values = Values { data: bytes, ttl: microseconds(*ttl), ..seen };
                self.change(&self.statements.replace, values).await.map(|changed| changed == 1)
            }
            // No statement changes two rows in different ways.
            Replacement::Moved { key: to, bytes, ttl, forward: Some(forward) } if to != key => {
                let new = (to, &**bytes, *ttl);
                return move_in_steps(self, (key, expected), new, Some(forward)).await;
            }
            Replacement::Moved { key: to, bytes, ttl, .. } => {
                let ttl = microseconds(*ttl);
                let values = Values { to: to.as_str(), data: bytes, ttl, ..seen };
                self.claim(to, &self.statements.rename, values).await
            }
            Replacement::Removed => {
                self.change(&self.statements.remove, seen).await.map(|changed| changed == 1)
            }
        };
        replaced.map_err(failed("save"))
    }

    /// Requests of this process for one session take turns, so that a busy one waits on this side
    /// and not with every connection at the row's lock. Those of other processes are met as ever.
    async fn update(&self, key: &StoreKey, expected: &[u8], merge: Merge) -> Result<bool, Error> {
        let turn = self.hash.hash_one(key) % TURNS as u64;
        let _turn = self.turns[usize::try_from(turn).unwrap_or(0)].lock().await;
        update_by_replacing(self, key, expected, merge).await
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        let values = Values { key: key.as_str(), ttl: microseconds(ttl), ..Values::default() };
        let touched = self.change(&self.statements.touch, values).await;
        touched.map(|changed| changed == 1).map_err(failed("refresh"))
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        let values = Values { key: key.as_str(), ..Values::default() };
        self.change(&self.statements.delete, values).await.map_err(failed("delete"))?;
        Ok(())
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = Values { limit, ..Values::default() };
        self.change(&self.statements.sweep, values).await.map_err(failed("sweep"))
    }

    /// In the order of the table's own numbers, which a record keeps as long as it lives.
    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        let after = from.and_then(|cursor| cursor.0.parse().ok()).unwrap_or(i64::MIN);
        let count = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = Values { prefix, after, limit: count, ..Values::default() };
        let rows = self.fetch(&self.statements.list, values).await.map_err(failed("list"))?;
        let last = rows.last().filter(|_| rows.len() == limit);
        let next = last.map(|last| Cursor(last.id.to_string()));
        let now = clock::now();
        let sessions = rows.into_iter().map(|row| Listed {
            key: StoreKey::new(row.key),
            bytes: row.data,
            expires: row.left.and_then(|left| now.checked_add(left)),
        });
        Ok(Some(Page { sessions: sessions.collect(), next }))
    }

    async fn ping(&self) -> Result<(), Error> {
        self.fetch(&self.statements.load, Values::default()).await.map_err(failed("answer"))?;
        Ok(())
    }
}
