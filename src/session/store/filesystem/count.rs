//! cachelib's file that counts the others, and the threshold that it is for.

use std::path::PathBuf;

use super::directory::Directory;
use super::error::Error;
use super::file;
use super::format::{CacheFile, file_name, is_live};
use super::sweep;
use crate::session::clock;
use crate::session::codec::pickle;
use crate::session::settings::FileHash;
use crate::session::value::Value;

/// The key whose hash names the file.
const KEY: &str = "__wz_cache_count";

/// The names that the file may have.
pub fn names() -> [String; 2] {
    [FileHash::Sha256, FileHash::Md5].map(|hash| file_name(hash, KEY))
}

impl Directory {
    fn count_file(&self) -> PathBuf {
        self.settings.dir.join(file_name(self.settings.hash, KEY))
    }

    /// Counts the files when the directory is opened, as cachelib does, where a threshold needs it.
    pub(super) fn begin_count(&self) -> Result<(), Error> {
        if self.settings.threshold == 0 {
            return Ok(());
        }
        let _locked = self.lock()?;
        let files = sweep::list(&self.settings.dir)?.count();
        self.set_count(i64::try_from(files).unwrap_or(i64::MAX))
    }

    /// Adds to the count where there is one: a Flask-Session with a threshold keeps it and needs
    /// it right. To be called under the lock. A count that fails is no reason to refuse what is
    /// written already, and is put right at the next start.
    pub(super) fn count(&self, change: i64) {
        if change == 0 {
            return;
        }
        let counted = match self.counted() {
            Ok(Some(count)) => self.set_count(count.saturating_add(change).max(0)),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = counted {
            log::warn!("the session files are not counted: {error}");
        }
    }

    fn counted(&self) -> Result<Option<i64>, Error> {
        let file = file::read(&self.count_file())?;
        Ok(file.and_then(|file| match pickle::loads(&file.record) {
            Ok(Value::Int(count)) => i64::try_from(count).ok(),
            _ => None,
        }))
    }

    fn set_count(&self, count: i64) -> Result<(), Error> {
        // A number of this size always has a form.
        let record = pickle::dumps(&Value::Int(count.into())).unwrap_or_default();
        // Not waited for until it is on the disk, as it is only advice.
        let next = self.write(&CacheFile { expiry: 0, record })?;
        file::put(next, &self.count_file())?;
        Ok(())
    }

    /// Where the threshold is passed, removes the expired files, and if that is not enough those
    /// that expire soonest. To be called under the lock, before a file is added.
    pub(super) fn make_room(&self) -> Result<(), Error> {
        let threshold = self.settings.threshold;
        let passed = |count: i64| usize::try_from(count).is_ok_and(|count| count > threshold);
        if threshold == 0 || !self.counted()?.is_some_and(passed) {
            return Ok(());
        }
        let now = clock::now();
        let mut live = Vec::new();
        for path in sweep::list(&self.settings.dir)? {
            match sweep::expiry(&path) {
                Some(expiry) if is_live(expiry, now) => live.push((expiry, path)),
                Some(_) => drop(file::remove(&path)?),
                None => {}
            }
        }
        // One that never expires is the last to go.
        live.sort_by_key(|(expiry, _)| expiry.wrapping_sub(1));
        let surplus = live.len().saturating_sub(threshold);
        for (_, path) in live.drain(..surplus) {
            file::remove(&path)?;
        }
        if surplus > 0 {
            log::warn!("SESSION_FILE_THRESHOLD has thrown {surplus} live sessions out");
        }
        self.set_count(i64::try_from(live.len()).unwrap_or(i64::MAX))
    }
}
