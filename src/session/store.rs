//! Where sessions live: the contract every store keeps, and the list of stores there are.

pub(super) mod ended;
#[cfg(feature = "filesystem")]
pub mod filesystem;
mod measured;
#[cfg(feature = "memcached")]
pub mod memcached;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlalchemy")]
mod sqlalchemy;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(
    feature = "filesystem",
    feature = "memcached",
    feature = "mongodb",
    feature = "redis",
    feature = "sqlalchemy"
))]
mod timed;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::error::Error;
use super::settings::{Settings, StoreSettings};
use super::token::StoreKey;

#[cfg(feature = "filesystem")]
pub use filesystem::FilesystemStore;
pub(super) use measured::Measured;
pub use measured::{Operation, Watch};
#[cfg(feature = "memcached")]
pub use memcached::MemcachedStore;
#[cfg(feature = "mongodb")]
pub use mongodb::{MongodbStore, SessionDocument};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlalchemy")]
pub use sqlalchemy::{SqlalchemyStore, expiry_text};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

/// A live record as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// What was stored, byte for byte.
    pub bytes: Vec<u8>,
    /// How long it will live from now on, when the engine tells that along with the bytes.
    pub expires_in: Option<Duration>,
}

/// Shows the size, never the contents.
impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Record({} bytes, expires in {:?})", self.bytes.len(), self.expires_in)
    }
}

/// What a conditional write puts in a record's place.
#[derive(Clone)]
pub enum Replacement {
    /// Other bytes under the same key, living `ttl` from now on.
    Bytes {
        /// The new record.
        bytes: Vec<u8>,
        /// Its time to live.
        ttl: Duration,
    },
    /// The record moves to another key, in one step: at no time does a reader of either key find
    /// both, or neither, once the new key can be known to anybody.
    Moved {
        /// The new key.
        key: StoreKey,
        /// The new record.
        bytes: Vec<u8>,
        /// Its time to live.
        ttl: Duration,
        /// What is left under the old key, if anything.
        forward: Option<Forward>,
    },
    /// Nothing: the record goes.
    Removed,
}

/// A record that a moved one leaves behind.
#[derive(Clone)]
pub struct Forward {
    /// The record.
    pub bytes: Vec<u8>,
    /// Its time to live.
    pub ttl: Duration,
}

/// Turns the bytes a record holds now into what replaces them. It may be called several times.
pub type Merge = Arc<dyn Fn(&[u8]) -> Result<Replacement, Error> + Send + Sync>;

/// One session as a listing shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its key.
    pub key: StoreKey,
    /// Its record.
    pub bytes: Vec<u8>,
    /// When it expires, if the engine tells.
    pub expires: Option<SystemTime>,
}

/// Where a listing goes on, in the store's own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

/// A part of a listing.
#[derive(Clone, Debug)]
pub struct Page {
    /// Some of the sessions, perhaps none.
    pub sessions: Vec<Listed>,
    /// Where the next part begins, if there may be one.
    pub next: Option<Cursor>,
}

/// A place for sessions: bytes under keys, each with a time to live.
///
/// A store moves bytes and knows nothing of sessions; merging concurrent changes is done above
/// it, with the conditional writes. Every store keeps these promises, which the conformance suite
/// (`tests/conformance`) checks:
///
/// - A key is found by exact equality alone.
/// - An expired record is absent at once, whether swept or not, and a live one never expires
///   early. "Absent" is an answer, never an error.
/// - A method that answered has taken effect and stays so: through a crash, and, where the engine
///   can, through a loss of power.
/// - An error means the store could not tell; nothing is known of the write then, and the record
///   holds either what it held or what was written.
#[rocket::async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The live record under `key`.
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error>;

    /// Writes a record where no live one is; answers whether it did.
    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error>;

    /// Replaces the live record under `key` if it still holds exactly `expected`; answers whether
    /// it did. An absent record is never written, so that nothing brings a deleted session back.
    /// A move onto a key that holds a live record is refused too.
    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error>;

    /// Changes the live record under `key` by `merge`, whatever else changes it at the same time;
    /// false when there is none. `expected` is what the caller last saw there.
    ///
    /// The provided method replaces, reloads and merges again, a bounded number of times
    /// ([`Error::Contention`]). A store that can run `merge` inside a transaction does better.
    async fn update(&self, key: &StoreKey, expected: &[u8], merge: Merge) -> Result<bool, Error> {
        update_by_replacing(self, key, expected, merge).await
    }

    /// Gives the live record under `key` a new time to live; false when there is none.
    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error>;

    /// Ends the session under `key`. An absent one is fine.
    async fn delete(&self, key: &StoreKey) -> Result<(), Error>;

    /// Removes at most `limit` expired records and answers how many. Engines that expire records
    /// by themselves answer 0.
    async fn sweep(&self, limit: usize) -> Result<usize, Error>;

    /// About `limit` of the live sessions whose keys begin with `prefix`, from where an earlier
    /// page ended; `None` when the engine cannot enumerate.
    ///
    /// A session that lives throughout the listing is on some page, and may be on several; one
    /// that comes or goes meanwhile may be on none.
    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error>;

    /// How many live sessions there are, whatever their keys begin with, where the store can tell
    /// without looking at each. Used by metrics, a few times a minute.
    async fn live(&self) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    /// Answers when the store can be read. Used by health checks.
    async fn ping(&self) -> Result<(), Error>;
}

/// [`Store::update`] by trying to replace what was seen, and looking again.
async fn update_by_replacing<S: Store + ?Sized>(
    store: &S,
    key: &StoreKey,
    expected: &[u8],
    merge: Merge,
) -> Result<bool, Error> {
    let mut seen = expected.to_vec();
    for attempt in 0..64 {
        if store.replace(key, &seen, &merge(&seen)?).await? {
            return Ok(true);
        }
        if attempt > 2 {
            let jitter = rand::random_range(0..1_000 << attempt.min(6));
            rocket::tokio::time::sleep(Duration::from_micros(jitter)).await;
        }
        match store.load(key).await? {
            Some(record) => seen = record.bytes,
            None => return Ok(false),
        }
    }
    Err(Error::Contention)
}

/// A move in steps, for an engine that cannot change two records at once: the new record is written
/// where none is, then the old one ended or replaced if it still holds `expected`; if it does not,
/// the new one is removed again.
///
/// Nobody knows the new key before both are done. After an error between them the old record may be
/// gone already, so the new one has to stay; it expires.
#[cfg(any(feature = "mongodb", feature = "redis", feature = "sqlalchemy"))]
async fn move_in_steps<S: Store + ?Sized>(
    store: &S,
    (from, expected): (&StoreKey, &[u8]),
    (to, bytes, ttl): (&StoreKey, &[u8], Duration),
    forward: Option<&Forward>,
) -> Result<bool, Error> {
    if !store.create(to, bytes, ttl).await? {
        return Ok(false);
    }
    let left = match forward {
        Some(Forward { bytes, ttl }) => Replacement::Bytes { bytes: bytes.clone(), ttl: *ttl },
        None => Replacement::Removed,
    };
    let moved = store.replace(from, expected, &left).await?;
    if !moved {
        store.replace(to, bytes, &Replacement::Removed).await?;
    }
    Ok(moved)
}

/// Opens the store that the settings name; `None` where sessions live in cookies. A store on the
/// network is connected to when it is first used, and again whenever the connection is lost.
///
/// # Errors
/// When it cannot be reached or its table cannot be made.
pub fn connect(settings: &Settings) -> Result<Option<Arc<dyn Store>>, Error> {
    match &settings.store {
        StoreSettings::Cookie => Ok(None),
        #[cfg(feature = "filesystem")]
        StoreSettings::Filesystem(files) => {
            Ok(timed(settings, FilesystemStore::open(files.clone())?))
        }
        #[cfg(feature = "sqlite")]
        StoreSettings::Sqlite { path } => Ok(Some(Arc::new(SqliteStore::open(path)?))),
        #[cfg(feature = "redis")]
        StoreSettings::Redis { url } => {
            Ok(timed(settings, RedisStore::open(url.expose(), settings.store_timeout)?))
        }
        #[cfg(feature = "memcached")]
        StoreSettings::Memcached { servers } => Ok(timed(settings, MemcachedStore::open(servers)?)),
        #[cfg(feature = "mongodb")]
        StoreSettings::Mongodb { url, database, collection } => {
            let limit = settings.store_timeout;
            let store = MongodbStore::open(url.expose(), database, collection, limit)?;
            Ok(timed(settings, store))
        }
        #[cfg(feature = "sqlalchemy")]
        StoreSettings::Sqlalchemy { url, table, schema } => {
            let limit = settings.store_timeout;
            let store = SqlalchemyStore::new(url.expose(), table, schema.as_deref(), limit)?;
            Ok(timed(settings, store))
        }
        #[allow(unreachable_patterns)]
        other => Err(Error::store("open", NotBuilt(other.name()))),
    }
}

/// A store on the network, or on a file system that may be, which may hang, with the configured
/// limit.
#[cfg(any(
    feature = "filesystem",
    feature = "memcached",
    feature = "mongodb",
    feature = "redis",
    feature = "sqlalchemy"
))]
fn timed(settings: &Settings, store: impl Store + 'static) -> Option<Arc<dyn Store>> {
    Some(Arc::new(timed::Timed::new(Arc::new(store), settings.store_timeout)))
}

/// The store is one that this build was made without.
#[derive(Debug, thiserror::Error)]
#[error("this build has no {0} store; enable the feature {0:?}")]
struct NotBuilt(&'static str);
