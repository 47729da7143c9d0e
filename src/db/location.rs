//! Where the application's tables are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::postgresql::server;
use crate::sql::{Url, without_password};

/// What `DATABASE` says.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, by its URL.
    Postgresql(String),
}

impl Location {
    /// The PostgreSQL database of a URL; `None` for any other text.
    pub fn url(text: &str) -> Option<Self> {
        let is_postgresql = |url: Url| matches!(url.dialect, "postgresql" | "postgres");
        Url::parse(text).is_some_and(is_postgresql).then(|| Self::Postgresql(text.into()))
    }

    /// Tells what is wrong with a URL, if anything is, without connecting.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Postgresql(url) => server(url, Duration::MAX).err().map(|e| e.to_string()),
        }
    }

    /// The SQLite file, if it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Postgresql(_) => None,
        }
    }
}

/// Without the password.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Postgresql(url) => formatter.write_str(&without_password(url)),
        }
    }
}

/// Without the password.
impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgresql_url_is_one_and_all_else_is_a_file() {
        for url in ["postgresql://h/d", "postgres://u@h", "postgresql+psycopg2://u:p@h:1/d"] {
            assert!(Location::url(url).is_some(), "{url}");
        }
        for path in ["dewar.db", "/var/lib/dewar.db", "mysql://h/d", "postgresql:h", "a/b://c"] {
            assert!(Location::url(path).is_none(), "{path}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_password() {
        let location = Location::url("postgresql://u:s3cret@h:5/d?password=s3cret").unwrap();
        assert_eq!(location.to_string(), "postgresql://u:…@h:5/d");
        assert!(!format!("{location:?}").contains("s3cret"));
    }

    #[test]
    fn a_url_that_cannot_be_used_is_told_of() {
        let problem = |url: &str| Location::url(url).unwrap().problem();
        assert_eq!(problem("postgresql://u:p@h:5432/d?sslmode=verify-full"), None);
        let told = problem("postgresql://u:s3cret@h/d?sslmode=maybe").unwrap();
        assert!(told.contains("sslmode") && !told.contains("s3cret"), "{told}");
        assert!(problem("postgresql://h:port/d").is_some());
    }
}
