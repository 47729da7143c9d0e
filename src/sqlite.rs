//! One SQLite file, read by many connections and written by one.
//!
//! Below both the session store and the application's tables, which usually share a file.

mod error;
mod file;
mod reserve;
mod wal;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};

pub use error::Error;
pub use file::is_same_file;
use file::{Identity, prepare};
use wal::Wal;
use writer::Writer;

/// How long a request waits for a lock that another process holds.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const READERS: u32 = 8;

/// How long the readers trust that the file under the name is still theirs: asking costs a quarter
/// of a short query.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

type Pool = r2d2::Pool<SqliteConnectionManager>;

/// How often the file was used since it was opened. Each read or write of this project is one
/// statement or a fixed few, so tests hold the cost of a page against these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Reads.
    pub reads: u64,
    /// Writes, however many share a transaction.
    pub writes: u64,
}

/// A SQLite file in WAL mode, durable at each answered write.
///
/// When the file is damaged, replaced or out of reach, calls fail, and the next call tries with
/// new connections: it is right again as soon as the file is.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    readers: RwLock<Option<Readers>>,
    writer: Writer,
    wal: Arc<Wal>,
    reads: AtomicU64,
    writes: AtomicU64,
}

#[derive(Debug)]
struct Readers {
    pool: Pool,
    identity: Identity,
    /// When the file under the name was last seen to be this one, in milliseconds after `opened`.
    seen: AtomicU64,
    opened: Instant,
}

impl Readers {
    fn age(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the file was looked at a moment ago.
    fn are_fresh(&self) -> bool {
        let since = self.age().saturating_sub(self.seen.load(Ordering::Relaxed));
        Duration::from_millis(since) < LOOK_AGAIN
    }

    fn are_of(&self, identity: Identity) -> bool {
        let same = self.identity == identity;
        if same {
            self.seen.store(self.age(), Ordering::Relaxed);
        }
        same
    }
}

/// The files that are open in this process, so that each has one writer.
static OPEN: Mutex<Vec<Weak<Database>>> = Mutex::new(Vec::new());

impl Database {
    /// Opens `path`, making the file (readable by its owner alone) where it is missing. Whoever
    /// opens the same file again in this process gets the same handle.
    ///
    /// # Errors
    /// When the file cannot be opened, made or written, or is no database.
    pub fn open(path: &Path) -> Result<Arc<Self>, Error> {
        let path = prepare(path)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|database| database.strong_count() > 0);
        if let Some(database) =
            open.iter().filter_map(Weak::upgrade).find(|database| database.path == path)
        {
            return Ok(database);
        }
        Wal::look(&path);
        let wal = Arc::new(Wal::default());
        let writer = Writer::start(&path, Arc::clone(&wal))?;
        let database = Arc::new(Self {
            readers: RwLock::new(None),
            writer,
            wal,
            path,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        });
        database.readers()?;
        open.push(Arc::downgrade(&database));
        Ok(database)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How often the file was used.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
        }
    }

    /// Runs a short query at once, on the calling task: a look-up by key costs less than the way
    /// to another thread. Only when the file is locked, or all connections are in use, does it go
    /// to a thread that may wait.
    ///
    /// # Errors
    /// When the query fails, or the file stays locked for [`BUSY_TIMEOUT`].
    pub async fn read<T, F>(self: &Arc<Self>, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        if let Ok(readers) = self.readers()
            && let Some(connection) = readers.try_get()
        {
            self.reads.fetch_add(1, Ordering::Relaxed);
            match query(&connection) {
                Err(error) if is_busy(&error) => {
                    self.reads.fetch_sub(1, Ordering::Relaxed);
                }
                result => return self.checked(result),
            }
        }
        self.read_long(query).await
    }

    /// Runs a query that may take long on a thread of its own.
    ///
    /// # Errors
    /// When the query fails, or the file stays locked for [`BUSY_TIMEOUT`].
    pub async fn read_long<T, F>(self: &Arc<Self>, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let database = Arc::clone(self);
        rocket::tokio::task::spawn_blocking(move || database.read_blocking(query))
            .await
            .unwrap_or(Err(Error::Interrupted))
    }

    /// [`read_long`](Self::read_long) for callers outside an async runtime.
    ///
    /// # Errors
    /// When the query fails, or the file stays locked for [`BUSY_TIMEOUT`].
    pub fn read_blocking<T>(
        &self,
        query: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let connection = self.readers()?.get().map_err(|error| Error::Pool(error.to_string()))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| self.error(error))?;
        let result = query(&connection);
        let reset = connection.busy_timeout(Duration::ZERO);
        self.checked(result.and_then(|value| reset.map(|()| value)))
    }

    /// Runs `change` in the writer's next transaction and answers when that is on the disk. If it
    /// fails, what it did is undone; the others in the transaction are not concerned. A change whose
    /// transaction was undone may be run again.
    ///
    /// # Errors
    /// When the change or the commit fails, or the file stays locked for [`BUSY_TIMEOUT`].
    pub async fn write<T, F>(&self, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(change, false).await
    }

    /// [`write`](Self::write) for what ends sessions: on a full disk it may use the space that is
    /// kept for that ([`keep_reserve`](Self::keep_reserve)).
    ///
    /// # Errors
    /// When the change or the commit fails, or the file stays locked for [`BUSY_TIMEOUT`].
    pub async fn write_urgent<T, F>(&self, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(change, true).await
    }

    async fn submit<T, F>(&self, change: F, urgent: bool) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let answer = self.writer.submit(change, urgent).await.unwrap_or(Err(Error::Interrupted));
        answer.inspect_err(|error| self.forget_if_fatal(error))
    }

    /// Reads all of it, if the file has no more than `most` bytes, and looks whether it is sound.
    ///
    /// # Errors
    /// [`Error::Corrupt`], with SQLite's first finding, which names a page; or when it cannot be
    /// read.
    pub fn check(&self, most: u64) -> Result<(), Error> {
        let length = std::fs::metadata(&self.path).map_err(|e| Error::file(&self.path, e))?.len();
        if length > most {
            return Ok(());
        }
        let found: String = self.read_blocking(|connection| {
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        })?;
        match &*found {
            "ok" => Ok(()),
            _ => {
                let detail = found.lines().map(str::trim).collect::<Vec<_>>().join(" ");
                Err(Error::Corrupt { path: self.path.clone(), detail })
            }
        }
    }

    /// Warns of a log beside the file that cannot be written back, because another process reads on
    /// and on.
    pub fn look_at_the_log(&self) {
        Wal::measure(&self.path);
    }

    /// Keeps this many bytes of the disk in a file beside the database, its name with `-reserve`
    /// after it, readable by its owner alone. On a full disk it is removed so that sessions can be
    /// ended, and until there is space to make it again nothing but that is written. 0 keeps none
    /// and removes the file. False where that would be more than a quarter of what is free: then
    /// none is kept.
    ///
    /// # Errors
    /// When the file cannot be made or removed. None is kept then.
    pub fn keep_reserve(&self, bytes: u64) -> Result<bool, Error> {
        self.writer.keep_reserve(bytes).map_err(|source| Error::file(&self.path, source))
    }

    /// [`write`](Self::write) for callers outside an async runtime.
    ///
    /// # Errors
    /// When the change or the commit fails, or the file stays locked for [`BUSY_TIMEOUT`].
    pub fn write_blocking<T, F>(&self, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let answer = self.writer.submit_blocking(change).unwrap_or(Err(Error::Interrupted));
        answer.inspect_err(|error| self.forget_if_fatal(error))
    }

    /// The pool, opened anew when there is none or the file under its name is another one.
    fn readers(&self) -> Result<Pool, Error> {
        let open = self.readers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = open.as_ref().filter(|readers| readers.are_fresh()) {
            return Ok(readers.pool.clone());
        }
        let identity = Identity::of(&self.path)?;
        if let Some(readers) = open.as_ref().filter(|readers| readers.are_of(identity)) {
            return Ok(readers.pool.clone());
        }
        drop(open);
        let mut open = self.readers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = open.as_ref().filter(|readers| readers.are_of(identity)) {
            return Ok(readers.pool.clone());
        }
        self.wal.part(&self.path, identity);
        let pool = open_pool(&self.path)?;
        *open = Some(Readers {
            pool: pool.clone(),
            identity,
            seen: AtomicU64::new(0),
            opened: Instant::now(),
        });
        Ok(pool)
    }

    fn checked<T>(&self, result: rusqlite::Result<T>) -> Result<T, Error> {
        result.map_err(|error| self.error(error))
    }

    fn error(&self, error: rusqlite::Error) -> Error {
        let error = Error::sqlite(&self.path, error);
        self.forget_if_fatal(&error);
        error
    }

    /// Connections that met damage or an I/O error may hold stale pages: drop them all.
    fn forget_if_fatal(&self, error: &Error) {
        if error.is_fatal_to_connections() {
            *self.readers.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn open_pool(path: &Path) -> Result<Pool, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let manager = SqliteConnectionManager::file(path).with_flags(flags).with_init(|connection| {
        connection.busy_timeout(Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.execute_batch(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        )
    });
    r2d2::Pool::builder()
        .max_size(READERS)
        .min_idle(Some(0))
        .test_on_check_out(false)
        .connection_timeout(BUSY_TIMEOUT)
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .build(manager)
        .map_err(|error| Error::Pool(error.to_string()))
}
