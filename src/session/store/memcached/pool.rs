//! The connections to one server.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rocket::tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::Connection;
use super::error::Failure;

/// The most connections to a server.
const MOST: usize = 16;
/// A connection that nobody used for so long may have been forgotten by what lies between.
const STALE: Duration = Duration::from_secs(60);

/// At most 16 connections to one server.
pub struct Pool {
    host: String,
    port: u16,
    room: Semaphore,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pool({}:{})", self.host, self.port)
    }
}

impl Pool {
    pub fn new(host: &str, port: u16) -> Self {
        let (host, room) = (host.to_owned(), Semaphore::new(MOST));
        Self { host, port, room, idle: Mutex::default() }
    }

    /// A connection for the caller alone, waited for while all are in use.
    pub async fn take(&self) -> Result<Taken<'_>, Failure> {
        // The semaphore is never closed.
        let permit = self.room.acquire().await.map_err(|_| Failure::Unexpected)?;
        let connection = match self.idle_one() {
            Some(connection) => connection,
            None => Connection::open(&self.host, self.port).await?,
        };
        Ok(Taken { connection, pool: self, _permit: permit })
    }

    fn idle_one(&self) -> Option<Connection> {
        let mut idle = self.lock();
        while let Some((connection, since)) = idle.pop() {
            if since.elapsed() < STALE && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropped, it is closed, as an answer may still be on its way.
pub struct Taken<'p> {
    connection: Connection,
    pool: &'p Pool,
    _permit: SemaphorePermit<'p>,
}

impl Taken<'_> {
    /// Leaves it to others. Everything that was asked must have been answered.
    pub fn give_back(self) {
        self.pool.lock().push((self.connection, Instant::now()));
    }
}

impl Deref for Taken<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
