//! The application's tables, in a SQLite file or on PostgreSQL, made and kept up to date by the
//! embedded migrations.

mod contents;
mod location;
mod postgresql;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::sql::{self, Postgresql};
use crate::sqlite::{self as file, Database};

pub use contents::{Checksum, Contents};
pub use location::Location;
pub use sqlite::is_ours;

/// What can go wrong with the application's database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SQLite file.
    #[error(transparent)]
    Sqlite(#[from] file::Error),
    /// The PostgreSQL server.
    #[error(transparent)]
    Postgresql(#[from] sql::Error),
    /// A newer version of the program has migrated the file.
    #[error(
        "{} is of a newer version of dewar (schema {found}, this one knows {known}); \
         run the newer version, or restore a backup", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's number.
        found: usize,
        /// The newest number this version knows.
        known: usize,
    },
    /// A newer version of the program has migrated the database on the server.
    #[error(
        "the database on PostgreSQL at {at} is of a newer version of dewar (schema {found}, this \
         one knows {known}); run the newer version"
    )]
    NewerServer {
        /// The server's address.
        at: String,
        /// Its schema's number.
        found: usize,
        /// The newest number this version knows.
        known: usize,
    },
}

/// A state of the table of students: another one after each change of a student. SQLite tells it with
/// whatever else is read, so that a page which shows students asks once for that and the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(pub(crate) i64);

/// The application's database: accounts and students.
#[derive(Clone, Debug)]
pub enum Db {
    /// In a SQLite file.
    Sqlite(Arc<Database>),
    /// On PostgreSQL, shared by as many nodes as there are.
    Postgresql(Arc<Postgresql>),
}

impl Db {
    /// Opens the database and brings its tables up to date, making them, and a file, where they
    /// are missing. `limit` is how long a server may take to answer.
    ///
    /// # Errors
    /// When the database cannot be used, or is of a newer version.
    pub fn open(location: &Location, limit: Duration) -> Result<Self, Error> {
        match location {
            Location::File(path) => Ok(Self::Sqlite(sqlite::open(path)?)),
            Location::Postgresql(url) => Ok(Self::Postgresql(postgresql::open(url, limit)?)),
        }
    }
}
