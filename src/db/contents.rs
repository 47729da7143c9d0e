//! All that a database holds, to be put into another one.

mod postgresql;
mod sqlite;

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Db, Error};

/// All that there is of accounts and students, as of one moment. Password hashes are among them, so nothing
/// is shown of it but a [`Checksum`] of each table.
#[derive(PartialEq, Eq)]
pub struct Contents {
    /// By number.
    accounts: Vec<Account>,
    /// By number.
    students: Vec<Student>,
    /// By name.
    sign_ins: Vec<SignIn>,
    /// In order; their numbers may be others in another database.
    audit: Vec<Entry>,
    /// The highest number an account ever had, which the next one is to be above.
    last_account: i64,
}

/// A row of `accounts`.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Account {
    id: i64,
    name: String,
    name_key: String,
    password_hash: String,
    disabled: bool,
    epoch: i64,
    created: i64,
}

/// A row of `students`.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Student {
    id: i64,
    name: String,
    age: Option<i16>,
    gender: Option<String>,
}

/// A row of `sign_ins`.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct SignIn {
    id: String,
    account: i64,
    created: i64,
    last_seen: i64,
    expires: i64,
    address: Option<String>,
    agent: Option<String>,
}

/// A row of `audit`, but for its number.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Entry {
    at: i64,
    event: String,
    actor: String,
    account: Option<i64>,
    name: Option<String>,
    name_key: Option<String>,
    address: Option<String>,
    agent: Option<String>,
    request: Option<String>,
    detail: Option<String>,
}

/// How many rows a table has, and the SHA-256 of them all in hex.
///
/// It is taken over a line of JSON for each row, by number, so that it is the same for the same
/// rows on every engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checksum {
    /// The number of rows.
    pub rows: usize,
    /// The digest.
    pub sha256: String,
}

impl Checksum {
    fn of(rows: &[impl Serialize]) -> Self {
        let mut hash = Sha256::new();
        for row in rows {
            hash.update(serde_json::to_string(row).unwrap_or_default());
            hash.update("\n");
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { rows: rows.len(), sha256 }
    }
}

impl Contents {
    /// Of the table of accounts.
    pub fn accounts(&self) -> Checksum {
        Checksum::of(&self.accounts)
    }

    /// Of the table of students.
    pub fn students(&self) -> Checksum {
        Checksum::of(&self.students)
    }

    /// Of the table of sign-ins.
    pub fn sign_ins(&self) -> Checksum {
        Checksum::of(&self.sign_ins)
    }

    /// Of the audit trail.
    pub fn audit(&self) -> Checksum {
        Checksum::of(&self.audit)
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accounts, students) = (self.accounts.len(), self.students.len());
        write!(formatter, "Contents({accounts} accounts, {students} students)")
    }
}

impl Db {
    /// Reads everything.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn contents(&self) -> Result<Contents, Error> {
        match self {
            Self::Sqlite(file) => Ok(sqlite::read(file).await?),
            Self::Postgresql(server) => Ok(postgresql::read(server).await?),
        }
    }

    /// Puts `contents` in, all of it or nothing, and tells whether it did: a database that holds
    /// anything stays as it is, unless its rows are to be replaced.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn fill(&self, contents: Contents, replace: bool) -> Result<bool, Error> {
        match self {
            Self::Sqlite(file) => Ok(sqlite::fill(file, contents, replace).await?),
            Self::Postgresql(server) => Ok(postgresql::fill(server, &contents, replace).await?),
        }
    }
}
