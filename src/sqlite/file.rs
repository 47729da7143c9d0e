//! The database as a file: made private, and told apart from another of the same name.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::Error;

/// Which file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing(path.into()),
            _ => Error::file(path, source),
        })?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Whether two paths lead to one file.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((Identity::of(one), Identity::of(other)), (Ok(one), Ok(other)) if one == other)
}

/// The bytes that this process may still write to a directory's file system.
pub(super) fn free_space(dir: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(dir)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Makes the file if it is missing, readable and writable by its owner alone whatever the umask
/// (SQLite gives its side files the same mode), and returns its canonical path.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
    let failed = |source| Error::file(path, source);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            // A database made by root in a service's directory must stay open to the service.
            let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
            let owner = fs::metadata(parent.unwrap_or(Path::new("."))).map_err(failed)?;
            let own = file.metadata().map_err(failed)?;
            if own.uid() == 0 && owner.uid() != 0 {
                chown(path, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
            }
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let path = path.canonicalize().map_err(failed)?;
    match path.is_file() {
        true => Ok(path),
        false => Err(Error::NotADatabase(path)),
    }
}
