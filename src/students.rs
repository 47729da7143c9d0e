//! The students: what is known of one, how they are found, and their CSV form.

mod csv;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::db::Db;
use crate::sqlite::{Database, Error};

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
    database: Arc<Database>,
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

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, age: row.get(2)?, gender: row.get(3)? })
    }
}

impl Students {
    /// The students of a database.
    pub fn new(db: &Db) -> Self {
        Self { database: Arc::clone(db.database()) }
    }

    /// The students whose name contains `search` or whose number is `search`; all when it is
    /// empty. `page` counts from 1.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list(&self, search: &str, page: u64, per_page: u64) -> Result<Listing, Error> {
        let search = search.to_owned();
        let offset = page.saturating_sub(1).saturating_mul(per_page).min(i64::MAX as u64);
        if search.is_empty() {
            self.database.read(move |connection| list_all(connection, offset, per_page)).await
        } else {
            self.database
                .read_long(move |connection| list_matching(connection, &search, offset, per_page))
                .await
        }
    }

    /// One student.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find(&self, id: i64) -> Result<Option<Student>, Error> {
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT id, name, age, gender FROM students WHERE id = ?1")?
                    .query_row([id], Student::from_row)
                    .optional()
            })
            .await
    }

    /// Calls `each` with every student, by number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn for_each(&self, each: impl Fn(Student)) -> Result<(), Error> {
        self.database.read_blocking(|connection| {
            let mut statement =
                connection.prepare("SELECT id, name, age, gender FROM students ORDER BY id")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                each(Student::from_row(row)?);
            }
            Ok(())
        })
    }

    /// Adds all of `students` or, under [`OnConflict::Refuse`] when one's number is taken, none of
    /// them, and returns that number.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn import(
        &self,
        students: Vec<Student>,
        on_conflict: OnConflict,
        progress: impl Fn(usize) + Send + 'static,
    ) -> Result<Option<i64>, Error> {
        self.database.write_blocking(move |connection| {
            if on_conflict == OnConflict::Refuse {
                let mut taken = connection.prepare("SELECT 1 FROM students WHERE id = ?1")?;
                for student in &students {
                    if taken.exists([student.id])? {
                        return Ok(Some(student.id));
                    }
                }
            }
            let mut insert = connection.prepare(
                "INSERT INTO students (id, name, age, gender) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (id) DO UPDATE SET \
                 name = excluded.name, age = excluded.age, gender = excluded.gender",
            )?;
            for (index, student) in students.iter().enumerate() {
                insert.execute(params![student.id, student.name, student.age, student.gender])?;
                progress(index + 1);
            }
            Ok(None)
        })
    }

    /// The lowest number above all that are in use.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_id(&self) -> Result<i64, Error> {
        self.database.read_blocking(|connection| {
            connection
                .query_row("SELECT coalesce(max(id), 0) + 1 FROM students", [], |row| row.get(0))
        })
    }

    /// Removes one student and tells whether there was one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove(&self, id: i64) -> Result<bool, Error> {
        let removed = self.database.write_blocking(move |connection| {
            connection.execute("DELETE FROM students WHERE id = ?1", [id])
        })?;
        Ok(removed == 1)
    }
}

fn list_all(connection: &Connection, offset: u64, limit: u64) -> rusqlite::Result<Listing> {
    // The count and the page are of one moment.
    let connection = connection.unchecked_transaction()?;
    let total = connection
        .prepare_cached("SELECT count(*) FROM students")?
        .query_row([], |row| row.get(0))?;
    let entries = connection
        .prepare_cached("SELECT id, name FROM students ORDER BY id LIMIT ?2 OFFSET ?1")?
        .query_map(params![offset, limit], entry)?
        .collect::<Result<_, _>>()?;
    Ok(Listing { entries, total })
}

fn list_matching(
    connection: &Connection,
    search: &str,
    offset: u64,
    limit: u64,
) -> rusqlite::Result<Listing> {
    // The index knows runs of three characters; anything shorter has to look at each name. It
    // also takes no ESCAPE: there special characters match anything, and the names that it finds
    // are compared again.
    let candidates = match search.chars().count() {
        0..3 => "SELECT id FROM students WHERE name LIKE ?3",
        _ => "SELECT rowid FROM students_search WHERE name LIKE ?3",
    };
    let matching =
        format!("FROM students WHERE id IN ({candidates}) AND name LIKE ?1 ESCAPE '\\' OR id = ?2");
    let loose = search.replace(['%', '_', '\\'], "_");
    let exact = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let id: Option<i64> = search.trim().parse().ok();
    let wanted = params![format!("%{exact}%"), id, format!("%{loose}%")];
    let connection = connection.unchecked_transaction()?;
    let total = connection
        .prepare_cached(&format!("SELECT count(*) {matching}"))?
        .query_row(wanted, |row| row.get(0))?;
    let entries = connection
        .prepare(&format!("SELECT id, name {matching} ORDER BY id LIMIT {limit} OFFSET {offset}"))?
        .query_map(wanted, entry)?
        .collect::<Result<_, _>>()?;
    Ok(Listing { entries, total })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { id: row.get(0)?, name: row.get(1)? })
}
