//! A directory of sessions: reading, comparing and replacing its files. All of it blocks.

use std::fs::{self, DirBuilder, File, Permissions, ReadDir};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::error::Error;
use super::file::{MAX_LENGTH, put, read, remove, rename};
use super::format::{CacheFile, file_name};
use super::lock::{self, Locked};
use crate::session::clock;
use crate::session::settings::{FileHash, FileSettings};
use crate::session::store::{Record, Replacement};
use crate::session::token::StoreKey;

/// What files in the making are called. cachelib leaves such files alone.
pub const TEMPORARY: (&str, &str) = ("dewar-", ".__wz_cache");
/// An open directory.
#[derive(Debug)]
pub struct Directory {
    pub(super) settings: FileSettings,
    /// Where the last sweep stopped.
    pub(super) sweeping: Mutex<Option<ReadDir>>,
}

/// The two names a key's file may have: by the hash that is set, and by the other.
struct Names {
    own: PathBuf,
    other: PathBuf,
}

impl Names {
    fn both(&self) -> [&Path; 2] {
        [&self.own, &self.other]
    }
}

/// What is to take a live file's place, on the disk and without names that count.
struct Prepared {
    next: Option<NamedTempFile>,
    /// What a move leaves behind.
    left: Option<NamedTempFile>,
}

/// A live file.
struct Found {
    path: PathBuf,
    file: CacheFile,
}

impl Directory {
    pub fn open(settings: FileSettings) -> Result<Self, Error> {
        let dir = &settings.dir;
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::at(dir))?;
        let mode = fs::metadata(dir).map_err(Error::at(dir))?.permissions().mode();
        if mode & 0o002 != 0 {
            return Err(Error::Unsafe(dir.clone()));
        }
        lock::prepare(dir, settings.mode)?;
        let directory = Self { settings, sweeping: Mutex::default() };
        directory.begin_count()?;
        Ok(directory)
    }

    pub fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let found = self.find(&self.names(key))?;
        Ok(found.map(|Found { file, .. }| {
            let expires_in = file.expires_in(clock::now());
            Record { bytes: file.record, expires_in }
        }))
    }

    pub fn create(&self, key: &StoreKey, bytes: Vec<u8>, ttl: Duration) -> Result<bool, Error> {
        let names = self.names(key);
        if self.find(&names)?.is_some() {
            return Ok(false);
        }
        let next = self.prepare(bytes, ttl)?;
        {
            let _locked = self.lock()?;
            if self.find(&names)?.is_some() {
                return Ok(false);
            }
            self.make_room()?;
            let removed = remove(&names.other)?;
            let added = put(next, &names.own)?;
            self.count(i64::from(added) - i64::from(removed));
        }
        self.sync()?;
        Ok(true)
    }

    pub fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        let names = self.names(key);
        let holds_expected = |found: &Found| found.file.record == expected;
        // The new file is written before the lock is taken, and not at all when it would be in vain.
        if !self.find(&names)?.is_some_and(|found| holds_expected(&found)) {
            return Ok(false);
        }
        let next = self.prepare_replacement(replacement)?;
        {
            let locked = self.lock()?;
            let Some(found) = self.find(&names)?.filter(holds_expected) else { return Ok(false) };
            if !self.exchange(&locked, &names, found, replacement, next)? {
                return Ok(false);
            }
        }
        self.sync()?;
        Ok(true)
    }

    /// Replaces what is there by what `merge` makes of it; false when nothing is.
    pub fn update(
        &self,
        key: &StoreKey,
        merge: &(dyn Fn(&[u8]) -> Result<Replacement, crate::session::Error> + Send + Sync),
    ) -> Result<bool, Error> {
        let names = self.names(key);
        for _ in 0..2 {
            let Some(found) = self.find(&names)? else { return Ok(false) };
            let replacement = merge(&found.file.record)?;
            if self.replace(key, &found.file.record, &replacement)? {
                return Ok(true);
            }
        }
        {
            let locked = self.lock()?;
            let Some(found) = self.find(&names)? else { return Ok(false) };
            let replacement = merge(&found.file.record)?;
            let next = self.prepare_replacement(&replacement)?;
            if !self.exchange(&locked, &names, found, &replacement, next)? {
                return Ok(false);
            }
        }
        self.sync()?;
        Ok(true)
    }

    pub fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        let names = self.names(key);
        {
            let _locked = self.lock()?;
            // The one that is looked at last goes first, so that it never comes to light.
            let removed = i64::from(remove(&names.other)?) + i64::from(remove(&names.own)?);
            self.count(-removed);
        }
        self.sync()
    }

    /// Answers when the directory is there and can be read.
    pub fn check(&self) -> Result<(), Error> {
        lock::check(&self.settings.dir)?;
        File::open(&self.settings.dir).map_err(Error::at(&self.settings.dir))?;
        Ok(())
    }

    pub(super) fn lock(&self) -> Result<Locked, Error> {
        lock::lock(&self.settings.dir)
    }

    fn names(&self, key: &StoreKey) -> Names {
        let path = |hash| self.settings.dir.join(file_name(hash, key.as_str()));
        let (sha256, md5) = (path(FileHash::Sha256), path(FileHash::Md5));
        match self.settings.hash {
            FileHash::Sha256 => Names { own: sha256, other: md5 },
            FileHash::Md5 => Names { own: md5, other: sha256 },
        }
    }

    /// The live file under either name.
    fn find(&self, names: &Names) -> Result<Option<Found>, Error> {
        for path in names.both() {
            if let Some(file) = read(path)?.filter(|file| file.is_live(clock::now())) {
                return Ok(Some(Found { path: path.into(), file }));
            }
        }
        lock::check(&self.settings.dir)?;
        Ok(None)
    }

    /// A file with this record, on the disk and without a name that counts.
    fn prepare(&self, record: Vec<u8>, ttl: Duration) -> Result<NamedTempFile, Error> {
        if record.len() as u64 + 4 > MAX_LENGTH {
            return Err(Error::TooLarge(self.settings.dir.clone(), MAX_LENGTH));
        }
        let next = self.write(&CacheFile::new(record, clock::now(), ttl))?;
        next.as_file().sync_all().map_err(Error::at(&self.settings.dir))?;
        Ok(next)
    }

    pub(super) fn write(&self, file: &CacheFile) -> Result<NamedTempFile, Error> {
        let mode = Permissions::from_mode(self.settings.mode);
        let write = || {
            let mut next = tempfile::Builder::new()
                .prefix(TEMPORARY.0)
                .suffix(TEMPORARY.1)
                .tempfile_in(&self.settings.dir)?;
            next.write_all(&file.to_bytes())?;
            next.as_file().set_permissions(mode)?;
            Ok(next)
        };
        write().map_err(Error::at(&self.settings.dir))
    }

    fn prepare_replacement(&self, replacement: &Replacement) -> Result<Prepared, Error> {
        let (next, left) = match replacement {
            Replacement::Bytes { bytes, ttl } => (Some((bytes, ttl)), None),
            Replacement::Moved { bytes, ttl, forward, .. } => {
                (Some((bytes, ttl)), forward.as_ref().map(|left| (&left.bytes, &left.ttl)))
            }
            Replacement::Removed => (None, None),
        };
        let file = |(bytes, ttl): (&Vec<u8>, &Duration)| self.prepare(bytes.clone(), *ttl);
        Ok(Prepared { next: next.map(file).transpose()?, left: left.map(file).transpose()? })
    }

    /// Puts the replacement into the place of what was found under the lock. False when it is to
    /// move to where another live session is.
    fn exchange(
        &self,
        _locked: &Locked,
        names: &Names,
        found: Found,
        replacement: &Replacement,
        Prepared { next, left }: Prepared,
    ) -> Result<bool, Error> {
        let mut change = 0;
        match (replacement, next) {
            (Replacement::Moved { key, .. }, Some(next)) if self.names(key).own != names.own => {
                let to = self.names(key);
                if self.find(&to)?.is_some() {
                    return Ok(false);
                }
                let dead = names.both().into_iter().filter(|path| *path != found.path);
                for path in dead.chain(to.both()) {
                    change -= i64::from(remove(path)?);
                }
                match left {
                    Some(left) => {
                        change += i64::from(put(next, &to.own)?);
                        if let Err(error) = put(left, &found.path) {
                            // Nothing has happened, then.
                            remove(&to.own)?;
                            return Err(error);
                        }
                    }
                    None => {
                        rename(&found.path, &to.own)?;
                        if let Err(error) = put(next, &to.own) {
                            // Nothing has happened, then.
                            rename(&to.own, &found.path)?;
                            return Err(error);
                        }
                    }
                }
            }
            (_, Some(next)) => {
                change += i64::from(put(next, &names.own)?);
                change -= i64::from(remove(&names.other)?);
            }
            (_, None) => {
                change -= i64::from(remove(&names.other)?);
                change -= i64::from(remove(&names.own)?);
            }
        }
        self.count(change);
        Ok(true)
    }

    /// Puts changes of names on the disk.
    fn sync(&self) -> Result<(), Error> {
        let dir = &self.settings.dir;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::at(dir))
    }
}
