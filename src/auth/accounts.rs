//! The table of accounts.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::password::PasswordHash;
use crate::db::Db;
use crate::session::unix_now;
use crate::sqlite::{Database, Error};

/// The longest account name, in characters.
pub const MAX_NAME: usize = 64;

/// Someone who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Never used twice.
    pub id: i64,
    /// The name as it was given.
    pub name: String,
    /// Whether the operator has locked the account.
    pub disabled: bool,
    /// Which of the account's sessions count: those made in this epoch.
    pub epoch: i64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// What became of a change to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Done,
    /// There is no such account.
    NoSuchAccount,
    /// There is such an account already.
    Exists,
}

/// The accounts of a database. Names are found in any case.
#[derive(Clone, Debug)]
pub struct Accounts {
    database: Arc<Database>,
}

/// The form under which a name is found and throttled.
pub fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Tells what is wrong with a name for a new account, if anything is.
pub fn name_problem(name: &str) -> Option<String> {
    let bad = name.trim() != name
        || name.is_empty()
        || name.chars().count() > MAX_NAME
        || name.chars().any(char::is_control);
    bad.then(|| {
        format!(
            "an account name must be 1 to {MAX_NAME} characters, without control characters and \
             without blanks at its ends"
        )
    })
}

const COLUMNS: &str = "id, name, disabled, epoch, created";

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        disabled: row.get(2)?,
        epoch: row.get(3)?,
        created: row.get(4)?,
    })
}

impl Accounts {
    /// The accounts of a database.
    pub fn new(db: &Db) -> Self {
        Self { database: Arc::clone(db.database()) }
    }

    /// The account with a number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find(&self, id: i64) -> Result<Option<Account>, Error> {
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id = ?1"))?
                    .query_row([id], account)
                    .optional()
            })
            .await
    }

    /// The account of a name, and its password's hash.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_by_name(&self, name: &str) -> Result<Option<(Account, String)>, Error> {
        let key = name_key(name);
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS}, password_hash FROM accounts WHERE name_key = ?1"
                    ))?
                    .query_row([&key], |row| Ok((account(row)?, row.get(5)?)))
                    .optional()
            })
            .await
    }

    /// Whether there is any account.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn any(&self) -> Result<bool, Error> {
        self.database
            .read(|connection| {
                connection.prepare_cached("SELECT 1 FROM accounts LIMIT 1")?.exists([])
            })
            .await
    }

    /// The number of the account of a name, for the commands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn id_of(&self, name: &str) -> Result<Option<i64>, Error> {
        let key = name_key(name);
        self.database.read_blocking(|connection| {
            connection
                .query_row("SELECT id FROM accounts WHERE name_key = ?1", [&key], |row| row.get(0))
                .optional()
        })
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self) -> Result<Vec<Account>, Error> {
        self.database.read_blocking(|connection| {
            connection
                .prepare(&format!("SELECT {COLUMNS} FROM accounts ORDER BY name_key"))?
                .query_map([], account)?
                .collect()
        })
    }

    /// Adds an account.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn add(&self, name: &str, password: PasswordHash) -> Result<Outcome, Error> {
        let (name, key) = (name.to_owned(), name_key(name));
        let created = unix_now();
        let added = self.database.write_blocking(move |connection| {
            connection.execute(
                "INSERT INTO accounts (name, name_key, password_hash, created) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![name, key, password.as_str(), created],
            )
        })?;
        Ok(if added == 1 { Outcome::Done } else { Outcome::Exists })
    }

    /// Sets a new password and ends all of the account's sessions.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_password(&self, name: &str, password: PasswordHash) -> Result<Outcome, Error> {
        let key = name_key(name);
        self.change(move |connection| {
            connection.execute(
                "UPDATE accounts SET password_hash = ?2, epoch = epoch + 1 WHERE name_key = ?1",
                params![key, password.as_str()],
            )
        })
    }

    /// Stores the same password hashed anew, unless it was changed meanwhile.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn renew_hash(&self, id: i64, old: String, new: PasswordHash) -> Result<(), Error> {
        self.database
            .write(move |connection| {
                connection.execute(
                    "UPDATE accounts SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
                    params![id, old, new.as_str()],
                )
            })
            .await?;
        Ok(())
    }

    /// Locks an account and ends all of its sessions, or unlocks it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_disabled(&self, name: &str, disabled: bool) -> Result<Outcome, Error> {
        let key = name_key(name);
        self.change(move |connection| {
            connection.execute(
                "UPDATE accounts SET disabled = ?2, epoch = epoch + ?2 WHERE name_key = ?1",
                params![key, disabled],
            )
        })
    }

    /// Ends all sessions of an account, or of every account: those made before do not count any
    /// more, wherever they live, in visitors' cookies as in a store.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn sign_out(&self, name: Option<&str>) -> Result<Outcome, Error> {
        let key = name.map(name_key);
        self.change(move |connection| {
            connection.execute(
                "UPDATE accounts SET epoch = epoch + 1 WHERE ?1 IS NULL OR name_key = ?1",
                [key],
            )
        })
    }

    /// Removes an account, and with it all of its sessions.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove(&self, name: &str) -> Result<Outcome, Error> {
        let key = name_key(name);
        self.change(move |connection| {
            connection.execute("DELETE FROM accounts WHERE name_key = ?1", [key])
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Result<Outcome, Error> {
        let changed = self.database.write_blocking(change)?;
        Ok(if changed == 1 { Outcome::Done } else { Outcome::NoSuchAccount })
    }
}
