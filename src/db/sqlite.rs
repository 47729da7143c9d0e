//! The application's tables in a SQLite file.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::Error;
use crate::sqlite::Database;

/// In order; a file's `user_version` is how many it has had. A released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_accounts.sql"),
    include_str!("../../migrations/0002_students.sql"),
    include_str!("../../migrations/0003_sign_ins.sql"),
    include_str!("../../migrations/0004_audit.sql"),
    include_str!("../../migrations/0005_throttle.sql"),
    include_str!("../../migrations/0006_roster.sql"),
];

/// Opens the file and brings its tables up to date, making both where they are missing.
pub(super) fn open(path: &Path) -> Result<Arc<Database>, Error> {
    let database = Database::open(path)?;
    let found = database.write_blocking(migrate)?;
    if found > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        return Err(Error::Newer { path: path.into(), found, known });
    }
    Ok(database)
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
        drop(open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open(&path), Err(Error::Newer { found: 99, .. })));
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 99);
    }

    #[test]
    fn opening_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("same.db");
        let first = open(&path).unwrap();
        let again = open(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(again.read_blocking(is_ours).unwrap());
    }
}
