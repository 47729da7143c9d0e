//! Space on the disk that is given up when there is no other left, so that sessions can be ended.
//!
//! In WAL mode a `DELETE` needs space like any write, so on a full disk a sign-out could not be
//! kept. A file beside the database holds some; what ends sessions may use it, and nothing else
//! is written until it could be made again.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file::free_space;

/// How often space is looked for to make it again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// It takes no more than this part of what is free at the start.
const PART: u64 = 4;
/// And no more than this part when it was spent: as long as it is not there nothing is written.
const PART_AGAIN: u64 = 2;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// 0 where none is kept.
    bytes: u64,
    looked: Option<Instant>,
}

impl Reserve {
    /// That of a database, which whoever serves keeps ([`keep`](Self::keep)) and whoever ends
    /// sessions may spend.
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-reserve");
        Self { path: path.into(), bytes: 0, looked: None }
    }

    /// Keeps this many bytes from now on; false where the disk has too little free for that.
    pub(super) fn keep(&mut self, bytes: u64) -> io::Result<bool> {
        self.bytes = 0;
        if bytes == 0 {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(true),
            };
        }
        let length = fs::metadata(&self.path).map(|file| file.len()).ok();
        let kept = length == Some(bytes) || self.make(bytes, PART)?;
        if kept {
            self.bytes = bytes;
        }
        Ok(kept)
    }

    /// Whether it was spent, by this process or another, and there is no space yet to make it
    /// again.
    pub(super) fn is_spent(&mut self) -> bool {
        if self.bytes == 0 || self.path.exists() {
            return false;
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return true;
        }
        self.looked = Some(Instant::now());
        let made = self.make(self.bytes, PART_AGAIN).unwrap_or(false);
        if made {
            log::info!("there is space again; {} is kept as before", self.path.display());
        }
        !made
    }

    /// Gives its space back to the file system.
    pub(super) fn spend(&mut self) {
        self.looked = Some(Instant::now());
        if fs::remove_file(&self.path).is_ok() {
            log::error!(
                "the disk is full: {} is given up so that sessions can be ended, and nothing else \
                 is written; free some space",
                self.path.display()
            );
        }
    }

    fn make(&self, bytes: u64, part: u64) -> io::Result<bool> {
        use std::os::unix::fs::OpenOptionsExt;
        let _ = fs::remove_file(&self.path);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if free_space(dir)? / part < bytes {
            return Ok(false);
        }
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path).and_then(
                |mut file| {
                    // Written and not only sized, or else it would take no space.
                    io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
                    file.sync_all()
                },
            );
        if let Err(error) = written {
            let _ = fs::remove_file(&self.path);
            return Err(error);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_space_until_it_is_spent_and_comes_back_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.db-reserve");
        let mut reserve = Reserve::of(&dir.path().join("a.db"));
        assert!(!reserve.is_spent(), "none is kept");
        assert!(reserve.keep(10_000).unwrap());
        assert_eq!(fs::metadata(&file).unwrap().len(), 10_000);
        reserve.spend();
        assert!(!file.exists() && reserve.is_spent());
        reserve.looked = None;
        assert!(!reserve.is_spent() && file.exists());
        assert!(reserve.keep(0).unwrap() && !file.exists());
    }

    #[test]
    fn it_leaves_most_of_a_small_disk_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::of(&dir.path().join("a.db"));
        assert!(!reserve.keep(u64::MAX).unwrap());
        assert!(!reserve.is_spent(), "so that all is written as long as it can be");
    }
}
