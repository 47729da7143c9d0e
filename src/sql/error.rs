//! What can go wrong with a database on the network.

/// Why a statement was not run. Neither keys nor values are told, nor the URL's password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table is missing.
    #[error("{0}")]
    NoTable(String),
    /// The server undid the statement because it was in another's way.
    #[error("{0}")]
    Undone(String),
    /// The server refused the statement and would again; the connection is as good as before.
    #[error("{0}")]
    Statement(String),
    /// There is no connection, or one that is of no more use.
    #[error("{0}")]
    Connection(String),
}

impl Error {
    /// What the five characters of an SQLSTATE mean here; PostgreSQL and MySQL share them.
    pub(crate) fn of_state(state: &str, message: String) -> Self {
        match (state, state.get(..2)) {
            ("42P01" | "42S02", _) => Self::NoTable(message),
            (_, Some("40")) => Self::Undone(message),
            (_, Some("22" | "23" | "42")) => Self::Statement(message),
            // Read-only, shutting down, out of memory, …: a new connection may lead to a server
            // that is not.
            _ => Self::Connection(message),
        }
    }

    pub(super) fn leaves_connection_usable(&self) -> bool {
        matches!(self, Self::NoTable(_) | Self::Undone(_) | Self::Statement(_))
    }
}
