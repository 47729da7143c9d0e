//! What can go wrong with MongoDB, in words that say what to do. None holds a password, a key or a
//! value: of an error that the server words itself only the code and its name are passed on.

use mongodb::error::{ErrorKind, WriteFailure};

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `SESSION_MONGODB` is no URL of MongoDB.
    #[error(
        "SESSION_MONGODB must be like mongodb://user:password@host:27017/?options, with %40 for \
         an @ in a password and the like, and options that MongoDB's URLs have"
    )]
    Url,
    /// The driver cannot use the URL's options for TLS.
    #[error("SESSION_MONGODB: TLS cannot be used: {0}")]
    Tls(String),
    /// No server answers that takes writes.
    #[error("no MongoDB server in SESSION_MONGODB answers as one that takes writes{0}")]
    NoServer(String),
    /// The user is unknown, or the password is wrong.
    #[error(
        "MongoDB refuses the user or the password in SESSION_MONGODB (or looks for the user in \
         another database than authSource names)"
    )]
    Login,
    /// The connection was lost with the answer outstanding.
    #[error("the connection to MongoDB was lost before it answered")]
    Lost,
    /// A unique index refuses a second document with the same `id`.
    #[error("documents have the same id")]
    Taken,
    /// The user may not do this.
    #[error(
        "the user in SESSION_MONGODB lacks a permission, or there is none: it needs the role \
         readWrite on the database in SESSION_MONGODB_DB"
    )]
    NoPermission,
    /// An index of that name or on that field is there.
    #[error("another index is in its place")]
    OtherIndex,
    /// The server answered with an error.
    #[error("{0}")]
    Refused(&'static str),
    /// The server answered with an error that has no words here.
    #[error("MongoDB answered with the error {0} ({1})")]
    Code(i32, String),
    /// The server is too old, or its answer is not MongoDB's.
    #[error("the server's answers are not those of MongoDB 4.4 or later")]
    Unexpected,
}

impl Failure {
    /// Whether an index is not to be had, now or later: it would be if documents, rights or other
    /// indexes were different, or the collection not sharded (67). 26 is that there is none yet.
    pub fn is_about_indexes(&self) -> bool {
        matches!(self, Self::Taken | Self::NoPermission | Self::OtherIndex | Self::Code(26 | 67, _))
    }

    fn of_code(code: i32, name: &str) -> Self {
        Self::Refused(match code {
            11000 | 11001 => return Self::Taken,
            18 => return Self::Login,
            13 => return Self::NoPermission,
            85 | 86 => return Self::OtherIndex,
            50 | 262 => "MongoDB did not finish within SESSION_STORE_TIMEOUT",
            64 => {
                "a majority of MongoDB's replica set did not confirm the write within \
                 SESSION_STORE_TIMEOUT"
            }
            91 | 189 | 10107 | 10058 | 11600 | 11602 | 13435 | 13436 => {
                "this MongoDB server is not the primary of its replica set, or is shutting down"
            }
            100 => "MongoDB's replica set has too few members for a majority",
            10334 | 17420 => "the session is larger than MongoDB takes (16 MiB): keep less in it",
            14031 => "MongoDB has no room on its disk",
            code => {
                let plain = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric());
                let name = if plain && !name.is_empty() { name } else { "without a name" };
                return Self::Code(code, name.to_owned());
            }
        })
    }
}

impl From<mongodb::error::Error> for Failure {
    fn from(error: mongodb::error::Error) -> Self {
        match &*error.kind {
            ErrorKind::Command(error) => Self::of_code(error.code, &error.code_name),
            ErrorKind::Write(WriteFailure::WriteError(error)) => {
                Self::of_code(error.code, error.code_name.as_deref().unwrap_or_default())
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
                Self::of_code(error.code, &error.code_name)
            }
            ErrorKind::Authentication { .. } => Self::Login,
            ErrorKind::InvalidTlsConfig { message, .. } => Self::Tls(message.clone()),
            ErrorKind::InvalidArgument { .. } => Self::Url,
            ErrorKind::ServerSelection { message, .. } => Self::NoServer(cause(message)),
            ErrorKind::DnsResolve { .. } => Self::NoServer(": a host's name is unknown".into()),
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Shutdown => {
                Self::Lost
            }
            _ => Self::Unexpected,
        }
    }
}

/// What the driver last saw of a server, out of its account of all of them.
fn cause(message: &str) -> String {
    let error = message.split_once("Error: ").map(|(_, rest)| rest.trim_start_matches("Kind: "));
    let end = |text: &&str| text.find(", labels").or_else(|| text.find(" }")).unwrap_or(text.len());
    let error = error.and_then(|text| text.get(..end(&text)));
    error.map(|error| format!(": {error}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_saw_is_told_in_short() {
        let one = "Server selection timeout: No available servers. Topology: { Type: Unknown, \
                   Servers: [ { Address: 127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: \
                   Connection refused (os error 111), labels: {} } ] }";
        assert_eq!(cause(one), ": I/O error: Connection refused (os error 111)");
        assert_eq!(cause("Error: x } ] }"), ": x");
        assert_eq!(cause("No available servers."), "");
    }

    #[test]
    fn a_name_that_is_none_is_not_passed_on() {
        let shown = Failure::of_code(4711, "session:secret").to_string();
        assert_eq!(shown, "MongoDB answered with the error 4711 (without a name)");
        let shown = Failure::of_code(8000, "AtlasError").to_string();
        assert_eq!(shown, "MongoDB answered with the error 8000 (AtlasError)");
    }
}
