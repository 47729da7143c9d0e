//! Sessions in a table of a SQLite file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Cursor, Forward, Listed, Merge, Page, Record, Replacement, Store};
use crate::session::clock;
use crate::session::error::Error;
use crate::session::token::StoreKey;
use crate::sqlite::{self, Database};

const SCHEMA: &str = include_str!("sqlite.sql");

/// Sessions in the table `sessions` of a SQLite file, in WAL mode.
///
/// Reads run on a pool of connections, at once on the calling task unless the file is locked;
/// writes go through one connection that groups those waiting into one transaction and answers
/// each when it is on the disk (`synchronous = FULL`).
#[derive(Debug)]
pub struct SqliteStore {
    database: Arc<Database>,
}

impl SqliteStore {
    /// Opens the file, making it and the table where they are missing. A file that is open
    /// already in this process is shared with whoever opened it.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let database = Database::open(path).map_err(|error| Error::store("open", error))?;
        database
            .write_blocking(|connection| connection.execute_batch(SCHEMA))
            .map_err(|error| Error::store("open", error))?;
        Ok(Self { database })
    }

    /// The file's handle.
    pub fn database(&self) -> &Arc<Database> {
        &self.database
    }
}

/// Milliseconds since 1970 by the layer's clock, the table's unit of time.
fn now() -> i64 {
    i64::try_from(clock::since_epoch().as_millis()).unwrap_or(i64::MAX)
}

fn deadline(ttl: Duration) -> i64 {
    now().saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}

fn time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

fn current(connection: &Connection, key: &StoreKey) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT data FROM sessions WHERE id = ?1 AND expires > ?2")?
        .query_row(params![key.as_str(), now()], |row| row.get(0))
        .optional()
}

/// Puts `replacement` in the place of a record known to be live, inside the writer's transaction.
fn put(
    connection: &Connection,
    key: &StoreKey,
    replacement: &Replacement,
) -> rusqlite::Result<bool> {
    let changed = match replacement {
        Replacement::Bytes { bytes, ttl } => connection
            .prepare_cached("UPDATE sessions SET data = ?2, expires = ?3 WHERE id = ?1")?
            .execute(params![key.as_str(), bytes, deadline(*ttl)])?,
        Replacement::Moved { key: to, bytes, ttl, forward } => {
            if to != key && current(connection, to)?.is_some() {
                return Ok(false);
            }
            remove_expired(connection, to)?;
            let moved = connection
                .prepare_cached(
                    "UPDATE sessions SET id = ?2, data = ?3, expires = ?4 WHERE id = ?1",
                )?
                .execute(params![key.as_str(), to.as_str(), bytes, deadline(*ttl)])?;
            if let Some(Forward { bytes, ttl }) = forward.as_ref().filter(|_| to != key) {
                insert(connection, key, bytes, *ttl)?;
            }
            moved
        }
        Replacement::Removed => connection
            .prepare_cached("DELETE FROM sessions WHERE id = ?1")?
            .execute(params![key.as_str()])?,
    };
    Ok(changed == 1)
}

/// Writes a record where none is.
fn insert(
    connection: &Connection,
    key: &StoreKey,
    bytes: &[u8],
    ttl: Duration,
) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO sessions (id, data, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![key.as_str(), bytes, deadline(ttl)])?;
    Ok(inserted == 1)
}

/// Makes room for a new record where an expired one has not been swept yet.
fn remove_expired(connection: &Connection, key: &StoreKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM sessions WHERE id = ?1 AND expires <= ?2")?
        .execute(params![key.as_str(), now()])?;
    Ok(())
}

fn failed(operation: &'static str) -> impl Fn(sqlite::Error) -> Error {
    move |error| Error::store(operation, error)
}

#[rocket::async_trait]
impl Store for SqliteStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let key = key.clone();
        let row: Option<(Vec<u8>, i64)> = self
            .database
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT data, expires FROM sessions WHERE id = ?1")?
                    .query_row(params![key.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .await
            .map_err(failed("load"))?;
        let now = now();
        Ok(row.filter(|(_, expires)| *expires > now).map(|(bytes, expires)| {
            let left = u64::try_from(expires - now).unwrap_or(0);
            Record { bytes, expires_in: Some(Duration::from_millis(left)) }
        }))
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        let (key, bytes) = (key.clone(), bytes.to_vec());
        self.database
            .write(move |connection| {
                remove_expired(connection, &key)?;
                insert(connection, &key, &bytes, ttl)
            })
            .await
            .map_err(failed("save"))
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        let (key, expected, replacement) = (key.clone(), expected.to_vec(), replacement.clone());
        let is_end = matches!(replacement, Replacement::Removed);
        let change = move |connection: &Connection| match current(connection, &key)? {
            Some(bytes) if bytes == expected => put(connection, &key, &replacement),
            _ => Ok(false),
        };
        let changed = match is_end {
            true => self.database.write_urgent(change).await,
            false => self.database.write(change).await,
        };
        changed.map_err(failed("save"))
    }

    /// Merges inside the writer's transaction, so that requests for one session never collide.
    async fn update(&self, key: &StoreKey, _expected: &[u8], merge: Merge) -> Result<bool, Error> {
        let key = key.clone();
        self.database
            .write(move |connection| match current(connection, &key)? {
                None => Ok(Ok(false)),
                Some(bytes) => match merge(&bytes) {
                    Ok(replacement) => put(connection, &key, &replacement).map(Ok),
                    Err(error) => Ok(Err(error)),
                },
            })
            .await
            .map_err(failed("save"))?
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        let key = key.clone();
        self.database
            .write(move |connection| {
                let touched = connection
                    .prepare_cached(
                        "UPDATE sessions SET expires = ?2 WHERE id = ?1 AND expires > ?3",
                    )?
                    .execute(params![key.as_str(), deadline(ttl), now()])?;
                Ok(touched == 1)
            })
            .await
            .map_err(failed("refresh"))
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        let key = key.clone();
        self.database
            .write_urgent(move |connection| put(connection, &key, &Replacement::Removed))
            .await
            .map_err(failed("delete"))?;
        Ok(())
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let swept = self
            .database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions \
                         WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
                    )?
                    .execute(params![now(), most])
            })
            .await
            .map_err(failed("sweep"))?;
        // Once at the end, which is once a minute.
        if swept < limit {
            self.database.look_at_the_log();
        }
        Ok(swept)
    }

    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        let prefix = prefix.to_owned();
        let after = from.map_or_else(String::new, |cursor| cursor.0.clone());
        let count = i64::try_from(limit).unwrap_or(i64::MAX);
        let sessions: Vec<Listed> = self
            .database
            .read_long(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT id, data, expires FROM sessions WHERE id > ?1 AND expires > ?2 \
                         AND substr(id, 1, length(?3)) = ?3 ORDER BY id LIMIT ?4",
                    )?
                    .query_map(params![after, now(), prefix, count], |row| {
                        Ok(Listed {
                            key: StoreKey::new(row.get::<_, String>(0)?),
                            bytes: row.get(1)?,
                            expires: Some(time(row.get(2)?)),
                        })
                    })?
                    .collect()
            })
            .await
            .map_err(failed("list"))?;
        let last = sessions.last().filter(|_| sessions.len() == limit);
        let next = last.map(|last| Cursor(last.key.as_str().to_owned()));
        Ok(Some(Page { sessions, next }))
    }

    /// Reads the index on expiry alone.
    async fn live(&self) -> Result<Option<u64>, Error> {
        self.database
            .read_long(|connection| {
                connection
                    .prepare_cached("SELECT count(*) FROM sessions WHERE expires > ?1")?
                    .query_row(params![now()], |row| row.get(0))
            })
            .await
            .map(Some)
            .map_err(failed("count"))
    }

    async fn ping(&self) -> Result<(), Error> {
        self.database
            .read(|connection| {
                connection
                    .prepare_cached("SELECT 1 FROM sessions LIMIT 1")?
                    .query_row([], |_| Ok(()))
                    .optional()
            })
            .await
            .map_err(failed("load"))?;
        Ok(())
    }
}
