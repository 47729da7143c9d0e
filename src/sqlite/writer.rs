//! The one writing connection: whatever waits is written in one transaction.
//!
//! A commit costs a wait for the disk, whether it holds one change or a hundred. While one is
//! under way the next changes gather, so throughput grows with the load and every answer still
//! means "on the disk".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rocket::tokio::sync::oneshot;
use rusqlite::{Connection, OpenFlags};

use super::file::Identity;
use super::{BUSY_TIMEOUT, Error};

/// A longer transaction would make its first change wait too long.
const GROUP_CHANGES: usize = 256;
const GROUP_TIME: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the writing connection and starts its thread.
    pub(super) fn start(path: &Path) -> Result<Self, Error> {
        let connection = Open::new(path)?;
        let (queue, jobs) = mpsc::channel();
        let worker = Worker { path: path.into(), connection: Some(connection), jobs };
        let thread = std::thread::Builder::new()
            .name("dewar-writer".into())
            .spawn(move || worker.run())
            .map_err(|source| Error::File { path: path.into(), source })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) async fn submit<T, F>(&self, change: F) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.enqueue(change)?.await.ok()
    }

    pub(super) fn submit_blocking<T, F>(&self, change: F) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let mut answer = self.enqueue(change)?;
        // Not `blocking_recv`, which panics on a runtime's own threads, where fairings may run.
        loop {
            match answer.try_recv() {
                Ok(result) => return Some(result),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        }
    }

    fn enqueue<T, F>(&self, change: F) -> Option<oneshot::Receiver<Result<T, Error>>>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Change {
            change: Some(change),
            result: None,
            reply,
            deadline: Instant::now() + BUSY_TIMEOUT,
        };
        self.queue.as_ref()?.send(Box::new(job)).ok()?;
        Some(answer)
    }
}

/// Writes what is queued, then closes the connection, which checkpoints the log.
impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A change of any type, waiting for its transaction.
trait Job: Send {
    fn deadline(&self) -> Instant;
    /// Runs the change and keeps its result; false when it failed and must be undone.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers: the change's result if the transaction was committed, or else why not.
    fn answer(self: Box<Self>, path: &Path, committed: Result<(), Error>);
}

struct Change<T, F> {
    change: Option<F>,
    result: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T, Error>>,
    deadline: Instant,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(change) = self.change.take() else { return false };
        // A panic in a change must not end the thread that all others depend on.
        self.result = catch_unwind(AssertUnwindSafe(|| change(connection))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, path: &Path, committed: Result<(), Error>) {
        let answer = match (self.result, committed) {
            (Some(Err(error)), _) => Err(Error::sqlite(path, error)),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Interrupted),
        };
        // The request may have gone away; its change is written all the same.
        let _ = self.reply.send(answer);
    }
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    identity: Identity,
}

impl Open {
    fn new(path: &Path) -> Result<Self, Error> {
        let identity = Identity::of(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(BUSY_TIMEOUT)?;
                connection.set_prepared_statement_cache_capacity(64);
                // FULL: an answered write survives a loss of power. secure_delete: an ended
                // session leaves nothing in the file.
                connection.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; \
                     PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
                     PRAGMA journal_size_limit = 67108864;",
                )?;
                // Fails on a read-only file now instead of at the first sign-in.
                connection.execute_batch("BEGIN IMMEDIATE; COMMIT;")?;
                Ok(connection)
            })
            .map_err(|error| Error::sqlite(path, error))?;
        Ok(Self { connection, identity })
    }
}

struct Worker {
    path: PathBuf,
    connection: Option<Open>,
    jobs: Receiver<Box<dyn Job>>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            self.group(first);
        }
    }

    /// Writes `first` and whatever else waits in one transaction.
    fn group(&mut self, first: Box<dyn Job>) {
        if let Err(error) = self.begin(first.deadline()) {
            first.answer(&self.path, Err(error));
            return;
        }
        let Some(open) = &self.connection else { return };
        let began = Instant::now();
        let mut done = Vec::new();
        let mut next = Some(first);
        while let Some(mut job) = next {
            let kept = run_in_savepoint(&open.connection, job.as_mut());
            done.push(job);
            // SQLite itself ends the transaction on a full disk or an I/O error.
            let alive = kept || !open.connection.is_autocommit();
            next = match alive && done.len() < GROUP_CHANGES && began.elapsed() < GROUP_TIME {
                true => self.jobs.try_recv().ok(),
                false => None,
            };
        }
        let committed = match open.connection.is_autocommit() {
            true => Err(None),
            false => open.connection.execute_batch("COMMIT").map_err(Some),
        };
        let fatal = committed.is_err();
        if fatal && !open.connection.is_autocommit() {
            let _ = open.connection.execute_batch("ROLLBACK");
        }
        for job in done {
            let outcome = match &committed {
                Ok(()) => Ok(()),
                Err(Some(error)) => Err(Error::sqlite(&self.path, copy(error))),
                Err(None) => Err(Error::Interrupted),
            };
            job.answer(&self.path, outcome);
        }
        if fatal {
            // After a failed commit or fsync nothing is known of this connection's pages.
            self.connection = None;
        }
    }

    /// A transaction on a connection to the file that bears the name now.
    fn begin(&mut self, deadline: Instant) -> Result<(), Error> {
        let identity = Identity::of(&self.path);
        if self.connection.as_ref().map(|open| open.identity) != identity.as_ref().ok().copied() {
            self.connection = None;
        }
        identity?;
        let open = match self.connection.take() {
            Some(open) => open,
            None => Open::new(&self.path)?,
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        let begun = open
            .connection
            .busy_timeout(wait.max(Duration::from_millis(1)))
            .and_then(|()| open.connection.execute_batch("BEGIN IMMEDIATE"))
            .map_err(|error| Error::sqlite(&self.path, error));
        if matches!(begun, Ok(()) | Err(Error::Busy(_))) {
            self.connection = Some(open);
        }
        begun
    }
}

/// Runs one change so that its failure undoes it alone.
fn run_in_savepoint(connection: &Connection, job: &mut dyn Job) -> bool {
    if connection.execute_batch("SAVEPOINT change").is_err() {
        return false;
    }
    let end = match job.run(connection) {
        true => "RELEASE change",
        false => "ROLLBACK TO change; RELEASE change",
    };
    connection.execute_batch(end).is_ok()
}

/// rusqlite's errors are not `Clone`; a failed commit is told to each of its changes.
fn copy(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            rusqlite::Error::SqliteFailure(*code, message.clone())
        }
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other.to_string()),
        ),
    }
}
