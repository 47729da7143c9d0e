//! The application's tables in its SQLite file, made and kept up to date by the embedded
//! migrations.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::sqlite::{self, Database};

/// In order; a file's `user_version` is how many it has had. A released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_accounts.sql"),
    include_str!("../migrations/0002_students.sql"),
];

/// What can go wrong with the application's database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The SQLite file.
    #[error(transparent)]
    Sqlite(#[from] sqlite::Error),
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
}

/// The application's database: accounts and students.
#[derive(Clone, Debug)]
pub struct Db {
    database: Arc<Database>,
}

impl Db {
    /// Opens the file and brings its tables up to date, making both where they are missing.
    ///
    /// # Errors
    /// When the file cannot be used, or is of a newer version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let database = Database::open(path)?;
        let found = database.write_blocking(migrate)?;
        if found > MIGRATIONS.len() {
            let known = MIGRATIONS.len();
            return Err(Error::Newer { path: path.into(), found, known });
        }
        Ok(Self { database })
    }

    /// The SQLite file.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }
}

/// Runs what is missing, all of it or nothing, and answers the number the file had.
fn migrate(connection: &Connection) -> rusqlite::Result<usize> {
    let found: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(found) {
        connection.execute_batch(migration)?;
    }
    if found < MIGRATIONS.len() {
        connection.pragma_update(None, "user_version", MIGRATIONS.len())?;
    }
    Ok(found)
}

/// Whether a file holds this application's tables, none newer than this version knows.
///
/// # Errors
/// When the file cannot be read as a database.
pub fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: usize = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('accounts', 'students')",
        [],
        |row| row.get(0),
    )?;
    Ok(tables == 2 && (1..=MIGRATIONS.len()).contains(&version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new.db");
        drop(Db::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Db::open(&path), Err(Error::Newer { found: 99, .. })));
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 99);
    }

    #[test]
    fn opening_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("same.db");
        let first = Db::open(&path).unwrap();
        let again = Db::open(&path).unwrap();
        assert!(Arc::ptr_eq(first.database(), again.database()));
        assert!(again.database().read_blocking(is_ours).unwrap());
    }
}
