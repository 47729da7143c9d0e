//! Removing the files of expired sessions, and what crashes left.

use std::fs::{self, DirEntry};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::count;
use super::directory::{Directory, TEMPORARY};
use super::error::Error;
use super::file;
use super::format::{is_file_name, is_live};
use crate::session::clock;

/// How many files are removed before others get the lock.
const AT_ONCE: usize = 32;
/// How long a sweep looks at files that have not expired.
const LOOK_FOR: Duration = Duration::from_millis(500);
/// After this long nobody is writing to a file in the making.
const ABANDONED: Duration = Duration::from_secs(3600);

impl Directory {
    /// Removes at most `limit` expired files, going on where the last sweep stopped. One that
    /// finds few among many files stops after [`LOOK_FOR`].
    pub fn sweep(&self, limit: usize) -> Result<usize, Error> {
        let dir = &self.settings.dir;
        let mut sweeping = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = match sweeping.take() {
            Some(entries) => entries,
            None => fs::read_dir(dir).map_err(Error::at(dir))?,
        };
        let is_session = session_files();
        let (mut expired, mut over) = (Vec::new(), false);
        let began = Instant::now();
        while expired.len() < limit && began.elapsed() < LOOK_FOR {
            match entries.next() {
                Some(Ok(entry)) if is_session(&entry) => {
                    let path = entry.path();
                    if is_expired(&path) {
                        expired.push(path);
                    }
                }
                Some(Ok(entry)) if is_abandoned(&entry) => drop(file::remove(&entry.path())?),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Error::at(dir)(error)),
                None => {
                    over = true;
                    break;
                }
            }
        }
        if !over {
            *sweeping = Some(entries);
        }
        let mut removed = 0;
        for paths in expired.chunks(AT_ONCE) {
            let _locked = self.lock()?;
            let before = removed;
            // One may have been written again.
            for path in paths.iter().filter(|path| is_expired(path)) {
                removed += usize::from(file::remove(path)?);
            }
            self.count(-i64::try_from(removed - before).unwrap_or(0));
        }
        Ok(removed)
    }
}

/// The files of sessions, expired or not.
pub fn list(dir: &Path) -> Result<impl Iterator<Item = PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::at(dir))?;
    Ok(entries.flatten().filter(session_files()).map(|entry| entry.path()))
}

/// Tells which files are sessions', by their names.
fn session_files() -> impl Fn(&DirEntry) -> bool {
    let counts = count::names();
    move |entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| is_file_name(name) && !counts.iter().any(|n| n == name))
    }
}

fn is_expired(path: &Path) -> bool {
    expiry(path).is_some_and(|expiry| !is_live(expiry, clock::now()))
}

/// When a file expires; `None` for what is not a session's file, or gone.
pub fn expiry(path: &Path) -> Option<u32> {
    let mut expiry = [0; 4];
    file::open(path).ok()??.read_exact(&mut expiry).ok()?;
    Some(u32::from_ne_bytes(expiry))
}

fn is_abandoned(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let own = name.to_str().is_some_and(|name| {
        name.strip_prefix(TEMPORARY.0).is_some_and(|name| name.ends_with(TEMPORARY.1))
    });
    let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
    own && age().is_some_and(|age| age > ABANDONED)
}
