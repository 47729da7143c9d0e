//! What is kept of the counters in a SQLite file, so that a restart is no fresh start for who
//! guesses. Nobody waits for it: what comes while one write is under way goes into the next.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocket::tokio::runtime::Handle;
use rusqlite::{Connection, params};

use super::{CAPACITY, MEMORY};
use crate::sqlite::{Database, Error};

/// What has happened to a counter.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// It has come to this number.
    Failed(u32),
    /// It was set to 0.
    Forgiven,
    /// The pair has signed in.
    Known,
}

/// What the file says, each with its age.
pub struct Found {
    pub tries: Vec<(i64, u32, Duration)>,
    pub known: Vec<(i64, Duration)>,
}

/// The file, and what is to be written to it.
#[derive(Debug)]
pub struct Kept {
    file: Arc<Database>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// A pair can both be known and count failures of its own.
    changes: HashMap<(i64, bool), (Change, i64)>,
    is_writing: bool,
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn forgotten(now: i64) -> i64 {
    now - i64::try_from(MEMORY.as_millis()).unwrap_or(i64::MAX)
}

impl Kept {
    pub fn new(file: &Arc<Database>) -> Self {
        Self { file: Arc::clone(file), waiting: Arc::default() }
    }

    /// Reads what still counts.
    pub fn load(&self) -> Result<Found, Error> {
        let now = now();
        let age = move |last: i64| {
            Duration::from_millis(u64::try_from(now.saturating_sub(last)).unwrap_or(0))
        };
        self.file.read_blocking(|connection| {
            let tries = connection
                .prepare(
                    "SELECT key, failed, last FROM sign_in_tries WHERE last > ?1 \
                     ORDER BY last DESC LIMIT ?2",
                )?
                .query_map(params![forgotten(now), CAPACITY], |row| {
                    Ok((row.get(0)?, row.get(1)?, age(row.get(2)?)))
                })?
                .collect::<Result<_, _>>()?;
            let known = connection
                .prepare("SELECT key, last FROM sign_in_known ORDER BY last DESC LIMIT ?1")?
                .query_map([CAPACITY], |row| Ok((row.get(0)?, age(row.get(1)?))))?
                .collect::<Result<_, _>>()?;
            Ok(Found { tries, known })
        })
    }

    /// Has changes written, soon.
    pub fn write(&self, changes: Vec<(i64, Change)>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let now = now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, change) in changes {
            let is_known = matches!(change, Change::Known);
            waiting.changes.insert((key, is_known), (change, now));
        }
        if !mem::replace(&mut waiting.is_writing, true) {
            runtime.spawn(write_all(Arc::clone(&self.file), Arc::clone(&self.waiting)));
        }
    }

    /// Removes what does not count any more.
    pub async fn sweep(&self) -> Result<(), Error> {
        let forgotten = forgotten(now());
        self.file
            .write(move |connection| {
                connection.execute("DELETE FROM sign_in_tries WHERE last <= ?1", [forgotten])?;
                connection.execute(
                    "DELETE FROM sign_in_known WHERE last <= \
                     (SELECT last FROM sign_in_known ORDER BY last DESC LIMIT 1 OFFSET ?1)",
                    [CAPACITY],
                )
            })
            .await?;
        Ok(())
    }
}

async fn write_all(file: Arc<Database>, waiting: Arc<Mutex<Waiting>>) {
    loop {
        let changes = {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = mem::take(&mut waiting.changes);
            if changes.is_empty() {
                waiting.is_writing = false;
                return;
            }
            changes
        };
        let written = file.write(move |connection| {
            changes.iter().try_for_each(|((key, _), change)| apply(connection, *key, *change))
        });
        if let Err(error) = written.await {
            log::warn!("a restart will forget some failed sign-ins: {error}");
        }
    }
}

fn apply(connection: &Connection, key: i64, (change, at): (Change, i64)) -> rusqlite::Result<()> {
    match change {
        Change::Failed(failed) => connection
            .prepare_cached("INSERT OR REPLACE INTO sign_in_tries VALUES (?1, ?2, ?3)")?
            .execute(params![key, failed, at]),
        Change::Forgiven => {
            connection.prepare_cached("DELETE FROM sign_in_tries WHERE key = ?1")?.execute([key])
        }
        Change::Known => connection
            .prepare_cached("INSERT OR REPLACE INTO sign_in_known VALUES (?1, ?2)")?
            .execute([key, at]),
    }?;
    Ok(())
}
