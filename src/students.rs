//! The students: what is known of one, how they are found, and their CSV form.

mod csv;
mod postgresql;
mod sqlite;

use serde::{Deserialize, Serialize};

use crate::db::{Db, Error};

pub use csv::{CsvError, read_csv, write_csv};

/// The longest name or gender, in characters.
pub const MAX_TEXT: usize = 200;

/// One student.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Student {
    /// The number, 1 or more.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The age in years, 0 to 200, when it is known.
    pub age: Option<u8>,
    /// The gender in words, when it is known.
    pub gender: Option<String>,
}

/// A student's entry in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The number.
    pub id: i64,
    /// The name.
    pub name: String,
}

/// One page of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries, by number.
    pub entries: Vec<Entry>,
    /// How many students match in all.
    pub total: u64,
}

/// How [`Students::import`] treats a number that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is imported, and the number is named.
    Refuse,
    /// The new record replaces the old.
    Replace,
}

/// The table of students.
#[derive(Clone, Debug)]
pub struct Students {
    db: Db,
}

impl Student {
    /// Tells what is wrong with the record, if anything is.
    pub fn problem(&self) -> Option<String> {
        let bad_text = |text: &str| {
            text.trim().is_empty()
                || text.chars().count() > MAX_TEXT
                || text.chars().any(char::is_control)
        };
        if self.id < 1 {
            Some("the id must be 1 or more".into())
        } else if bad_text(&self.name) {
            Some(format!(
                "the name must be 1 to {MAX_TEXT} characters, none of them control characters"
            ))
        } else if self.age.is_some_and(|age| age > 200) {
            Some("the age must be 0 to 200".into())
        } else if self.gender.as_deref().is_some_and(bad_text) {
            Some(format!("the gender must be 1 to {MAX_TEXT} characters, or empty"))
        } else {
            None
        }
    }
}

impl Students {
    /// The students of a database.
    pub fn new(db: &Db) -> Self {
        Self { db: db.clone() }
    }

    /// The students whose name contains `search`, in any case of its ASCII letters, or whose
    /// number is `search`; all when it is empty. `page` counts from 1. The total and the page are
    /// of one moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self, search: &str, page: u64, per_page: u64) -> Result<Listing, Error> {
        let offset = page.saturating_sub(1).saturating_mul(per_page).min(i64::MAX as u64);
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::list(file, search, offset, per_page).await?),
            Db::Postgresql(server) => Ok(postgresql::list(server, search, offset, per_page).await?),
        }
    }

    /// One student.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find(&self, id: i64) -> Result<Option<Student>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::find(file, id).await?),
            Db::Postgresql(server) => Ok(postgresql::find(server, id).await?),
        }
    }

    /// Every student, by number, as of one moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn all(&self) -> Result<Vec<Student>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::all(file).await?),
            Db::Postgresql(server) => Ok(postgresql::all(server).await?),
        }
    }

    /// Adds all of `students` or, under [`OnConflict::Refuse`] when one's number is taken, none of
    /// them, and returns that number. `progress` is told how many are in.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn import(
        &self,
        students: Vec<Student>,
        on_conflict: OnConflict,
        progress: impl Fn(usize) + Send + 'static,
    ) -> Result<Option<i64>, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::import(file, students, on_conflict, progress).await?),
            Db::Postgresql(server) => {
                Ok(postgresql::import(server, &students, on_conflict, progress).await?)
            }
        }
    }

    /// The lowest number above all that are in use.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_id(&self) -> Result<i64, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::next_id(file).await?),
            Db::Postgresql(server) => Ok(postgresql::next_id(server).await?),
        }
    }

    /// Removes one student and tells whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove(&self, id: i64) -> Result<bool, Error> {
        match &self.db {
            Db::Sqlite(file) => Ok(sqlite::remove(file, id).await?),
            Db::Postgresql(server) => Ok(postgresql::remove(server, id).await?),
        }
    }
}

/// The number that a search may be for.
fn number(search: &str) -> Option<i64> {
    search.trim().parse().ok()
}
