//! The one writing connection: whatever waits is written in one transaction.
//!
//! A commit costs a wait for the disk, whether it holds one change or a hundred. While one is
//! under way the next changes gather, so throughput grows with the load and every answer still
//! means "on the disk".

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rocket::tokio::sync::oneshot;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::file::Identity;
use super::reserve::Reserve;
use super::wal::Wal;
use super::{BUSY_TIMEOUT, Error};

/// A longer transaction would make its first change wait too long.
const GROUP_CHANGES: usize = 256;
const GROUP_TIME: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    reserve: Arc<Mutex<Reserve>>,
}

impl Writer {
    /// Opens the writing connection and starts its thread.
    pub(super) fn start(path: &Path, wal: Arc<Wal>) -> Result<Self, Error> {
        let connection = Open::new(path, &wal)?;
        let (queue, jobs) = mpsc::channel();
        let reserve = Arc::new(Mutex::new(Reserve::of(path)));
        let worker = Worker {
            path: path.into(),
            connection: Some(connection),
            jobs,
            wal,
            reserve: Arc::clone(&reserve),
        };
        let thread = std::thread::Builder::new()
            .name("dewar-writer".into())
            .spawn(move || worker.run())
            .map_err(|source| Error::file(path, source))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), reserve })
    }

    pub(super) fn keep_reserve(&self, bytes: u64) -> io::Result<bool> {
        lock(&self.reserve).keep(bytes)
    }

    /// `urgent` is what may use the reserve.
    pub(super) async fn submit<T, F>(&self, change: F, urgent: bool) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.enqueue(change, urgent)?.await.ok()
    }

    pub(super) fn submit_blocking<T, F>(&self, change: F) -> Option<Result<T, Error>>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let mut answer = self.enqueue(change, false)?;
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

    fn enqueue<T, F>(&self, change: F, urgent: bool) -> Option<oneshot::Receiver<Result<T, Error>>>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let job = Change { change, result: None, reply, deadline, urgent };
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
    /// Whether it may use the reserve.
    fn is_urgent(&self) -> bool;
    /// Runs the change and keeps its result; false when it failed and must be undone. It may be
    /// run again when its transaction was undone.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Whether there was no space for it.
    fn met_a_full_disk(&self) -> bool;
    /// Answers: the change's result if the transaction was committed, or else why not.
    fn answer(self: Box<Self>, path: &Path, committed: Result<(), Error>);
}

struct Change<T, F> {
    change: F,
    result: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T, Error>>,
    deadline: Instant,
    urgent: bool,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_urgent(&self) -> bool {
        self.urgent
    }

    fn run(&mut self, connection: &Connection) -> bool {
        // A panic in a change must not end the thread that all others depend on.
        self.result = catch_unwind(AssertUnwindSafe(|| (self.change)(connection))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn met_a_full_disk(&self) -> bool {
        matches!(&self.result, Some(Err(error)) if is_full(error))
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
    fn new(path: &Path, wal: &Wal) -> Result<Self, Error> {
        let identity = Identity::of(path)?;
        wal.part(path, identity);
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
                     PRAGMA journal_size_limit = 8388608;",
                )?;
                // Fails on a read-only file now instead of at the first sign-in.
                connection.execute_batch("BEGIN IMMEDIATE; COMMIT;")?;
                Ok(connection)
            })
            .map_err(|error| Error::sqlite(path, error))?;
        wal.join(path, identity);
        Ok(Self { connection, identity })
    }
}

struct Worker {
    path: PathBuf,
    connection: Option<Open>,
    jobs: Receiver<Box<dyn Job>>,
    wal: Arc<Wal>,
    reserve: Arc<Mutex<Reserve>>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            self.group(first);
        }
    }

    /// Writes `first` and whatever else waits in one transaction.
    fn group(&mut self, first: Box<dyn Job>) {
        // The rest of the space is for what ends sessions.
        let short = lock(&self.reserve).is_spent();
        let first = match short && !first.is_urgent() {
            true => return first.answer(&self.path, Err(Error::Full(self.path.clone()))),
            false => first,
        };
        let mut jobs = vec![first];
        let committed = self.transaction(&mut jobs, !short);
        let full = matches!(&committed, Err(Error::Full(_)));
        let (again, done): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.is_urgent() && (full || job.met_a_full_disk()));
        self.answer(done, &committed);
        if !again.is_empty() {
            self.make_room();
            let mut again = again;
            let committed = self.transaction(&mut again, false);
            self.answer(again, &committed);
        }
    }

    fn answer(&self, jobs: Vec<Box<dyn Job>>, committed: &Result<(), Error>) {
        for job in jobs {
            job.answer(&self.path, committed.clone());
        }
    }

    /// Runs `jobs`, and more from the queue if `open`, which are added to them.
    fn transaction(&mut self, jobs: &mut Vec<Box<dyn Job>>, open: bool) -> Result<(), Error> {
        let deadline = jobs.first().map_or_else(Instant::now, |first| first.deadline());
        self.begin(deadline)?;
        let Some(Open { connection, .. }) = &self.connection else { return Ok(()) };
        let began = Instant::now();
        let mut ran = 0;
        loop {
            if ran == jobs.len() {
                let more = open && ran < GROUP_CHANGES && began.elapsed() < GROUP_TIME;
                let Some(job) = more.then(|| self.jobs.try_recv().ok()).flatten() else { break };
                jobs.push(job);
            }
            let kept = run_in_savepoint(connection, jobs[ran].as_mut());
            ran += 1;
            // SQLite itself ends the transaction on a full disk or an I/O error.
            if !kept && connection.is_autocommit() {
                break;
            }
        }
        let committed = match connection.is_autocommit() {
            true if jobs.iter().any(|job| job.met_a_full_disk()) => {
                Err(Error::Full(self.path.clone()))
            }
            true => Err(Error::Interrupted),
            false => run(connection, "COMMIT").map_err(|error| Error::sqlite(&self.path, error)),
        };
        if committed.is_err() {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            // After a failed commit or fsync nothing is known of this connection's pages.
            self.connection = None;
        }
        committed
    }

    /// Spends the reserve, and has the log written back so that its file can be used again from
    /// its beginning.
    fn make_room(&mut self) {
        lock(&self.reserve).spend();
        if self.connection.is_none() {
            self.connection = Open::new(&self.path, &self.wal).ok();
        }
        if let Some(open) = &self.connection {
            let written = open.connection.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()));
            if let Err(error) = written {
                log::warn!("{}: the log was not written back: {error}", self.path.display());
            }
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
            None => Open::new(&self.path, &self.wal)?,
        };
        let wait = deadline.saturating_duration_since(Instant::now());
        let begun = open
            .connection
            .busy_timeout(wait.max(Duration::from_millis(1)))
            .and_then(|()| run(&open.connection, "BEGIN IMMEDIATE"))
            .map_err(|error| Error::sqlite(&self.path, error));
        if matches!(begun, Ok(()) | Err(Error::Busy(_))) {
            self.connection = Some(open);
        }
        begun
    }
}

/// Runs one change so that its failure undoes it alone.
fn run_in_savepoint(connection: &Connection, job: &mut dyn Job) -> bool {
    if run(connection, "SAVEPOINT change").is_err() {
        return false;
    }
    let is_sound = job.run(connection) || run(connection, "ROLLBACK TO change").is_ok();
    is_sound && run(connection, "RELEASE change").is_ok()
}

/// Runs a statement that is prepared once: reading its text costs more than what it does.
fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn lock(reserve: &Mutex<Reserve>) -> MutexGuard<'_, Reserve> {
    reserve.lock().unwrap_or_else(PoisonError::into_inner)
}
