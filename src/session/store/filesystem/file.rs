//! Single files: reading none that is not plain, and replacing whole ones.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use super::error::Error;
use super::format::CacheFile;

/// The longest file that is written, and read: a planted one must not take all memory.
pub const MAX_LENGTH: u64 = 16 * 1024 * 1024;

/// Opens a plain file to read, and nothing else.
pub fn open(path: &Path) -> Result<Option<File>, Error> {
    let mut options = OpenOptions::new();
    // Without the second flag a pipe would be waited for.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(Error::Foreign(path.into()));
        }
        Err(error) => return Err(Error::at(path)(error)),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some(file)),
        Ok(_) => Err(Error::Foreign(path.into())),
        Err(error) => Err(Error::at(path)(error)),
    }
}

/// The file under a path; `None` when there is none, or one that was cut off at its beginning.
pub fn read(path: &Path) -> Result<Option<CacheFile>, Error> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut bytes).map_err(Error::at(path))?;
    if bytes.len() as u64 > MAX_LENGTH {
        return Err(Error::TooLarge(path.into(), MAX_LENGTH));
    }
    Ok(CacheFile::parse(&bytes))
}

/// Gives a file its name, in the place of whatever has it; answers whether nothing had.
pub fn put(next: NamedTempFile, path: &Path) -> Result<bool, Error> {
    let is_new = fs::symlink_metadata(path).is_err();
    next.persist(path).map_err(|error| Error::at(path)(error.error))?;
    Ok(is_new)
}

/// Gives a file another name.
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::at(from))
}

/// Removes a file; answers whether it was there.
pub fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::at(path)(error)),
    }
}
