//! What can go wrong with a SQLite file, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

/// A failure of a SQLite file.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// The file or its directory cannot be reached.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// Another process holds the lock.
    #[error("{} is locked by another process", .0.display())]
    Busy(PathBuf),
    /// There is no space left for a write.
    #[error("the disk of {} is full", .0.display())]
    Full(PathBuf),
    /// The file or its file system is read-only.
    #[error("{} is read-only; the database, its directory and its file system must be writable", .0.display())]
    ReadOnly(PathBuf),
    /// The file or one of its side files cannot be opened.
    #[error(
        "cannot open {}: the file and its directory must be writable, and the file system not \
         read-only", .0.display()
    )]
    CannotOpen(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged ({detail}); restore a backup with `dewar restore`", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// SQLite's own words.
        detail: String,
    },
    /// The file is something else.
    #[error(
        "{} is not a SQLite database; if it was one, restore a backup with `dewar restore`",
        .0.display()
    )]
    NotADatabase(PathBuf),
    /// Anything else that SQLite reports.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's own error.
        source: Arc<rusqlite::Error>,
    },
    /// No connection could be had in time.
    #[error("no database connection: {0}")]
    Pool(String),
    /// The change panicked or the process is stopping; it was undone.
    #[error("the database write was interrupted")]
    Interrupted,
}

impl Error {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(path),
            Some(ErrorCode::DiskFull) => Self::Full(path),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(path),
            Some(ErrorCode::CannotOpen) => Self::CannotOpen(path),
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail: source.to_string() },
            Some(ErrorCode::NotADatabase) => Self::NotADatabase(path),
            _ => Self::Sqlite { path, source: Arc::new(source) },
        }
    }

    /// Whether connections that met this error should not be used again.
    pub(super) fn is_fatal_to_connections(&self) -> bool {
        match self {
            Self::Corrupt { .. }
            | Self::NotADatabase(_)
            | Self::ReadOnly(_)
            | Self::CannotOpen(_) => true,
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::Unknown)
            ),
            _ => false,
        }
    }
}
