//! The lock that writers of one directory take, in whatever process they are.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Error;

/// The file it is on. cachelib takes it for a file in the making and leaves it alone.
const NAME: &str = ".dewar-lock.__wz_cache";
/// As long as SQLite waits here. Nobody holds it for longer than one write to the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lock, until it is dropped.
pub struct Locked {
    _file: File,
}

/// Makes the lock's file. It also marks the directory as the one that was opened: a mount point
/// whose disk is gone does not have it.
pub fn prepare(dir: &Path, mode: u32) -> Result<(), Error> {
    let path = dir.join(NAME);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(&path).map_err(Error::at(&path))?;
    let owner = std::fs::metadata(dir).map_err(Error::at(dir))?;
    let own = file.metadata().map_err(Error::at(&path))?;
    // Made by root for the server that the directory belongs to.
    if own.uid() != owner.uid() {
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    Ok(())
}

/// Answers when the directory is the one that was opened.
pub fn check(dir: &Path) -> Result<(), Error> {
    match std::fs::symlink_metadata(dir.join(NAME)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Gone(dir.into())),
        Err(error) => Err(Error::at(dir)(error)),
    }
}

/// Waits for the lock. A process that stands still while it holds it ends in an error here, not in
/// a thread that waits for ever.
pub fn lock(dir: &Path) -> Result<Locked, Error> {
    let path = dir.join(NAME);
    let begun = Instant::now();
    let mut pause = Duration::from_micros(50);
    loop {
        check(dir)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&path).map_err(Error::at(&path))?;
        match file.try_lock() {
            Ok(()) if is_still(&file, &path) => return Ok(Locked { _file: file }),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(Error::at(path)(error)),
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::Locked(dir.into(), PATIENCE.as_secs()));
        }
        std::thread::sleep(pause.mul_f64(rand::random_range(0.5..1.5)));
        pause = (pause * 2).min(Duration::from_millis(4));
    }
}

/// Whether the file that is open is the one under that path, and not one that was removed since.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}
