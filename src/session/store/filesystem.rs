//! Sessions in files, as Flask-Session's `filesystem` keeps them.

mod count;
mod directory;
mod error;
mod file;
mod format;
mod lock;
mod sweep;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use rocket::tokio::sync::{Mutex, Semaphore};
use rocket::tokio::task::spawn_blocking;

use super::{Cursor, Merge, Page, Record, Replacement, Store};
use crate::session::error::Error;
use crate::session::settings::FileSettings;
use crate::session::token::StoreKey;
use directory::Directory;
pub use format::{CacheFile, file_name};

/// How many operations run at the same time.
const AT_ONCE: usize = 32;
/// How many sessions can be written by turns at the same time.
const TURNS: usize = 64;

/// Sessions in the files of a directory, in the format of cachelib's `FileSystemCache`.
///
/// A file holds when it expires and the record, and its name is a hash of the session's key. A
/// write goes into another file first, and takes its place when it is on the disk; reads take no
/// lock. What a write replaces is compared under an advisory lock (`flock`) on one file of the
/// directory, so that threads and processes that use this store lose nothing of each other's.
/// A move to another key is one `rename`, and a second one gives the file its new content; a
/// crash between them leaves the old content under the new key. A move that leaves something behind
/// writes the new file first; a crash then leaves the old one as it was, and a new one that nobody
/// knows.
///
/// A real Flask-Session may use the directory at the same time. Its writes are whole files too, so
/// that neither reads half of one, but it takes no lock and looks at nothing before it writes: a
/// request to it that began before a change made here overwrites that change, and one that began
/// before a logout brings the session back, exactly as among its own requests. Here, what it
/// changed is seen and kept, but for the microseconds between comparing and replacing. It also
/// throws sessions out beyond its own `SESSION_FILE_THRESHOLD` of 500.
///
/// A file does not tell its session's key, so that this store cannot list its sessions. It follows
/// no symbolic link in its directory and leaves files alone that are not its own. A directory that
/// vanishes while the store is open, as with an unmounted disk, is an error and not a directory
/// without sessions.
#[derive(Debug)]
pub struct FilesystemStore {
    directory: Arc<Directory>,
    permits: Arc<Semaphore>,
    /// Lets tasks that write to one session wait for each other without a thread and without
    /// writing in vain. The lock on disk is what makes it right.
    turns: [Mutex<()>; TURNS],
}

impl FilesystemStore {
    /// Opens the directory, making it where it is missing, for its owner alone.
    ///
    /// # Errors
    /// When it cannot be made or written, or when anyone may write to it.
    pub fn open(settings: FileSettings) -> Result<Self, Error> {
        let directory = Directory::open(settings).map_err(|error| Error::store("open", error))?;
        Ok(Self {
            directory: Arc::new(directory),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            turns: std::array::from_fn(|_| Mutex::new(())),
        })
    }

    /// Does `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Directory) -> Result<T, error::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Error::store(operation, error))?;
        let directory = Arc::clone(&self.directory);
        let work = move || {
            let _permit = permit;
            work(&directory)
        };
        let done = spawn_blocking(work).await.map_err(|error| Error::store(operation, error))?;
        done.map_err(|error| match error {
            error::Error::Merge(error) => error,
            error => Error::store(operation, error),
        })
    }

    /// The same for a write to `key`, after those that came earlier.
    async fn run_in_turn<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &StoreKey,
        work: impl FnOnce(&Directory, &StoreKey) -> Result<T, error::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let _turn = self.turns[hasher.finish() as usize % TURNS].lock().await;
        let key = key.clone();
        self.run(operation, move |directory| work(directory, &key)).await
    }
}

#[rocket::async_trait]
impl Store for FilesystemStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let key = key.clone();
        self.run("load", move |directory| directory.load(&key)).await
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        let bytes = bytes.to_vec();
        let work = move |directory: &Directory, key: &StoreKey| directory.create(key, bytes, ttl);
        self.run_in_turn("save", key, work).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        let (expected, replacement) = (expected.to_vec(), replacement.clone());
        self.run_in_turn("save", key, move |directory, key| {
            directory.replace(key, &expected, &replacement)
        })
        .await
    }

    /// Merges under the lock if others were faster twice, so that it never has to give up.
    async fn update(&self, key: &StoreKey, _expected: &[u8], merge: Merge) -> Result<bool, Error> {
        self.run_in_turn("save", key, move |directory, key| directory.update(key, &*merge)).await
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.run_in_turn("refresh", key, move |directory, key| {
            directory.update(key, &|bytes| Ok(Replacement::Bytes { bytes: bytes.to_vec(), ttl }))
        })
        .await
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        self.run_in_turn("delete", key, |directory, key| directory.delete(key)).await
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        self.run("sweep", move |directory| directory.sweep(limit)).await
    }

    async fn scan(
        &self,
        _prefix: &str,
        _from: Option<&Cursor>,
        _limit: usize,
    ) -> Result<Option<Page>, Error> {
        Ok(None)
    }

    async fn ping(&self) -> Result<(), Error> {
        self.run("load", |directory| directory.check()).await
    }
}
