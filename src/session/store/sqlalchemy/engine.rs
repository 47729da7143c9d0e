//! What the store asks of a database engine.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::sqlite::expiry_text;
use super::statements::{Name, Statement};
use crate::session::clock;
use crate::sql;
use crate::sqlite;

/// A database that runs the store's statements.
#[rocket::async_trait]
pub(super) trait Engine: Send + Sync + fmt::Debug {
    /// The rows of a query.
    async fn fetch(&self, statement: &Statement, values: Values<'_>) -> Result<Vec<Row>, Failure>;

    /// How many rows a statement found to change: none where it would make a `session_id` double.
    async fn change(&self, statement: &Statement, values: Values<'_>) -> Result<usize, Failure>;

    /// Runs statements without parameters.
    async fn script(&self, statements: &str) -> Result<(), Failure>;
}

/// A row of the table.
pub(super) struct Row {
    pub id: i64,
    pub key: String,
    pub data: Vec<u8>,
    /// How long it will live from now on.
    pub left: Option<Duration>,
}

/// What stands for the parameters of a statement.
#[derive(Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub key: &'a str,
    pub to: &'a str,
    pub data: &'a [u8],
    pub expected: &'a [u8],
    /// In microseconds.
    pub ttl: i64,
    pub prefix: &'a str,
    pub after: i64,
    pub limit: i64,
}

/// One of [`Values`].
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    Integer(i64),
}

impl<'a> Values<'a> {
    pub fn get(&self, name: Name) -> Value<'a> {
        match name {
            Name::Key => Value::Text(self.key.into()),
            Name::To => Value::Text(self.to.into()),
            Name::Data => Value::Bytes(self.data),
            Name::Expected => Value::Bytes(self.expected),
            Name::Ttl => Value::Integer(self.ttl),
            Name::Time => Value::Text(expiry_text(clock::now()).into()),
            Name::End => {
                let ttl = Duration::from_micros(self.ttl.unsigned_abs());
                Value::Text(expiry_text(clock::now() + ttl).into())
            }
            Name::Prefix => Value::Text(self.prefix.into()),
            Name::After => Value::Integer(self.after),
            Name::Limit => Value::Integer(self.limit),
        }
    }
}

/// Why a statement was not run. Neither keys nor values are told, nor the URL's password.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The table is missing.
    #[error(
        "the table of the sessions is missing: bring it back, or restart to begin with an empty one"
    )]
    NoTable,
    /// The server did not run it.
    #[error(transparent)]
    Sql(sql::Error),
    /// The SQLite file cannot be read or written.
    #[error(transparent)]
    Sqlite(sqlite::Error),
}

impl From<sqlite::Error> for Failure {
    fn from(error: sqlite::Error) -> Self {
        match &error {
            // SQLite has no code of its own for this.
            sqlite::Error::Sqlite { source, .. }
                if source.to_string().starts_with("no such table") =>
            {
                Self::NoTable
            }
            _ => Self::Sqlite(error),
        }
    }
}

impl From<sql::Error> for Failure {
    fn from(error: sql::Error) -> Self {
        match error {
            sql::Error::NoTable(_) => Self::NoTable,
            error => Self::Sql(error),
        }
    }
}
