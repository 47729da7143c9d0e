//! The table of accounts.

mod postgresql;
mod sqlite;

use super::audit::Event;
use super::password::PasswordHash;
use crate::db::{Db, Error};
use crate::session::unix_now;

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

/// The accounts of a database. Names are found in any case. What commands do to them is noted in the
/// audit trail as an operator's doing.
#[derive(Clone, Debug)]
pub struct Accounts {
    db: Db,
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

impl Accounts {
    /// The accounts of a database.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone() }
    }

    /// The account of a name, and its password's hash.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_by_name(&self, name: &str) -> Result<Option<(Account, String)>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::find_by_name(file, name_key(name)).await?),
            Db::Postgresql(server) => Ok(postgresql::find_by_name(server, name_key(name)).await?),
        }
    }

    /// Whether there is any account.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn any(&self) -> Result<bool, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::any(file).await?),
            Db::Postgresql(server) => Ok(postgresql::any(server).await?),
        }
    }

    /// The beginnings of the password hashes there are, up to their parameters, each once.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn hash_parameters(&self) -> Result<Vec<String>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::hash_parameters(file).await?),
            Db::Postgresql(server) => Ok(postgresql::hash_parameters(server).await?),
        }
    }

    /// The number of the account of a name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn id_of(&self, name: &str) -> Result<Option<i64>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::id_of(file, name_key(name)).await?),
            Db::Postgresql(server) => Ok(postgresql::id_of(server, name_key(name)).await?),
        }
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self) -> Result<Vec<Account>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::list(file).await?),
            Db::Postgresql(server) => Ok(postgresql::list(server).await?),
        }
    }

    /// Adds an account.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add(&self, name: &str, password: PasswordHash) -> Result<Outcome, Error> {
        let new = New { name: name.into(), key: name_key(name), password, created: unix_now() };
        let added = match &self.db {
            Db::Sqlite(file) => sqlite::add(file, new).await?,
            Db::Postgresql(server) => postgresql::add(server, new).await?,
        };
        Ok(if added { Outcome::Done } else { Outcome::Exists })
    }

    /// Sets a new password and ends all of the account's sessions.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_password(&self, name: &str, password: PasswordHash) -> Result<Outcome, Error> {
        self.change(name_key(name), Change::Password(password)).await
    }

    /// Locks an account and ends all of its sessions, or unlocks it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<Outcome, Error> {
        self.change(name_key(name), if disabled { Change::Disable } else { Change::Enable }).await
    }

    /// Ends all sessions of an account: those made before do not count any more, wherever they
    /// live, in visitors' cookies as in a store, and whichever node they come to.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out(&self, name: &str) -> Result<Outcome, Error> {
        self.change(name_key(name), Change::SignOut).await
    }

    /// The same for every account.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out_all(&self) -> Result<(), Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::sign_out_all(file).await?),
            Db::Postgresql(server) => Ok(postgresql::sign_out_all(server).await?),
        }
    }

    /// Removes an account, and with it all of its sessions.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove(&self, name: &str) -> Result<Outcome, Error> {
        self.change(name_key(name), Change::Remove).await
    }

    /// Stores the same password hashed anew, unless it was changed meanwhile.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn renew_hash(&self, id: i64, old: String, new: PasswordHash) -> Result<(), Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::renew_hash(file, id, old, new).await?),
            Db::Postgresql(server) => Ok(postgresql::renew_hash(server, id, old, new).await?),
        }
    }

    async fn change(&self, key: String, change: Change) -> Result<Outcome, Error> {
        let found = match &self.db {
            Db::Sqlite(file) => sqlite::change(file, key, change).await?,
            Db::Postgresql(server) => postgresql::change(server, key, change).await?,
        };
        Ok(if found { Outcome::Done } else { Outcome::NoSuchAccount })
    }
}

/// An account to be added.
struct New {
    name: String,
    key: String,
    password: PasswordHash,
    created: i64,
}

/// What is done to one account.
enum Change {
    Password(PasswordHash),
    Disable,
    Enable,
    SignOut,
    Remove,
}

impl Change {
    fn event(&self) -> Event {
        match self {
            Self::Password(_) => Event::PasswordChanged,
            Self::Disable => Event::AccountDisabled,
            Self::Enable => Event::AccountEnabled,
            Self::SignOut => Event::SessionsRevoked,
            Self::Remove => Event::AccountRemoved,
        }
    }

    fn ends_sessions(&self) -> bool {
        !matches!(self, Self::Enable)
    }
}

/// Whose sessions were ended, in the audit trail, where they were all.
const EVERYBODY: &str = "everybody's";

const COLUMNS: &str = "id, name, disabled, epoch, created";
