//! SQLite's log beside the database, which must not be taken for another database's.
//!
//! Where a file is deleted and a copy put under its name, as by `cp`, the deleted one's log is still
//! there, and SQLite would write its pages into the copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::file::Identity;

/// In bytes. Written back in time, a log has a few MB.
const LONG: u64 = 64 * 1024 * 1024;

/// Which log belongs to which file, as far as this process has had them open.
#[derive(Debug, Default)]
pub(super) struct Wal(Mutex<Option<Pair>>);

#[derive(Debug)]
struct Pair {
    database: Identity,
    log: Option<Identity>,
}

impl Wal {
    /// Before a file is opened for the first time: whether somebody took its log away. SQLite, when
    /// it closes a file, removes the index of the log before the log.
    pub(super) fn look(database: &Path) {
        let log = beside(database, "-wal");
        if beside(database, "-shm").exists() && !log.exists() {
            log::warn!(
                "{} is missing though {} was not closed; the last changes were in it: put it back \
                 while nothing runs, or restore a backup with `dewar restore`",
                log.display(),
                database.display()
            );
        }
    }

    /// Tells of a log that has grown large: somebody reads what was there before it.
    pub(super) fn measure(database: &Path) {
        let log = beside(database, "-wal");
        let bytes = fs::metadata(&log).map_or(0, |log| log.len());
        if bytes > LONG {
            log::warn!(
                "{} has grown to {} MB: somebody has been reading the database for long, such as a \
                 forgotten sqlite3 shell; it shrinks when that ends",
                log.display(),
                bytes / 1_000_000
            );
        }
    }

    /// Before the file under a name is opened: puts away the log of the one that was there before.
    pub(super) fn part(&self, database: &Path, identity: Identity) {
        let mut pair = self.pair();
        let Some(known) = pair.take_if(|known| known.database != identity) else { return };
        let log = beside(database, "-wal");
        if known.log.is_some() && Identity::of(&log).ok() == known.log {
            let aside = beside(database, "-wal.deleted");
            match fs::rename(&log, &aside) {
                Ok(()) => log::warn!(
                    "{} was replaced; what its log held for the former file is in {}",
                    database.display(),
                    aside.display()
                ),
                Err(error) => log::error!("{}: {error}", log.display()),
            }
            // An index of that log, which SQLite makes anew.
            let _ = fs::remove_file(beside(database, "-shm"));
        }
    }

    /// After the file was opened for writing, so that its log is there.
    pub(super) fn join(&self, database: &Path, identity: Identity) {
        let log = Identity::of(&beside(database, "-wal")).ok();
        *self.pair() = Some(Pair { database: identity, log });
    }

    fn pair(&self) -> MutexGuard<'_, Option<Pair>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
