//! What goes wrong with files.

use std::io;
use std::path::PathBuf;

/// Names the directory and never what is in a file. A file's name is a hash of its session's key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{} is no longer the directory that was opened; if its disk is mounted and it was emptied \
         on purpose, restart",
        .0.display()
    )]
    Gone(PathBuf),
    #[error("{} can be written by anyone, who could plant sessions; chmod 700 it", .0.display())]
    Unsafe(PathBuf),
    #[error("{} is not a session's file", .0.display())]
    Foreign(PathBuf),
    #[error("{}: a file of more than {} bytes is too large for a session", .0.display(), .1)]
    TooLarge(PathBuf, u64),
    #[error("another process has held the lock on {} for {} seconds", .0.display(), .1)]
    Locked(PathBuf, u64),
    /// Not the files' fault.
    #[error(transparent)]
    Merge(#[from] crate::session::error::Error),
}

impl Error {
    /// Puts the path to what the system said of it.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
