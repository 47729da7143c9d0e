//! Students in a SQLite file.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Entry, Listing, OnConflict, Student, number};
use crate::sqlite::{Database, Error};

fn student(row: &Row<'_>) -> rusqlite::Result<Student> {
    Ok(Student { id: row.get(0)?, name: row.get(1)?, age: row.get(2)?, gender: row.get(3)? })
}

pub async fn list(
    file: &Arc<Database>,
    search: &str,
    offset: u64,
    limit: u64,
) -> Result<Listing, Error> {
    if search.is_empty() {
        return file.read(move |connection| list_all(connection, offset, limit)).await;
    }
    let search = search.to_owned();
    file.read_long(move |connection| list_matching(connection, &search, offset, limit)).await
}

pub async fn find(file: &Arc<Database>, id: i64) -> Result<Option<Student>, Error> {
    file.read(move |connection| {
        connection
            .prepare_cached("SELECT id, name, age, gender FROM students WHERE id = ?1")?
            .query_row([id], student)
            .optional()
    })
    .await
}

pub async fn all(file: &Arc<Database>) -> Result<Vec<Student>, Error> {
    file.read_long(|connection| {
        connection
            .prepare("SELECT id, name, age, gender FROM students ORDER BY id")?
            .query_map([], student)?
            .collect()
    })
    .await
}

pub async fn import(
    file: &Arc<Database>,
    students: Vec<Student>,
    on_conflict: OnConflict,
    progress: impl Fn(usize) + Send + 'static,
) -> Result<Option<i64>, Error> {
    file.write(move |connection| {
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
    .await
}

pub async fn next_id(file: &Arc<Database>) -> Result<i64, Error> {
    file.read(|connection| {
        connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM students", [], |row| row.get(0))
    })
    .await
}

pub async fn remove(file: &Arc<Database>, id: i64) -> Result<bool, Error> {
    let removed = file
        .write(move |connection| connection.execute("DELETE FROM students WHERE id = ?1", [id]));
    Ok(removed.await? == 1)
}

fn list_all(connection: &Connection, offset: u64, limit: u64) -> rusqlite::Result<Listing> {
    // The count and the page are of one moment.
    let connection = connection.unchecked_transaction()?;
    let total =
        connection.prepare_cached("SELECT total FROM roster")?.query_row([], |row| row.get(0))?;
    let entries = connection
        .prepare_cached(&format!(
            "SELECT id, name FROM students ORDER BY id LIMIT {limit} OFFSET ?1"
        ))?
        .query_map([offset], entry)?
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
    let is_short = search.chars().count() < 3;
    let mut statement = connection.prepare_cached(match is_short {
        true => {
            "SELECT id, name FROM students WHERE name LIKE ?1 ESCAPE '\\' OR id = ?2 ORDER BY id"
        }
        false => {
            "SELECT id, name FROM students WHERE \
             id IN (SELECT rowid FROM students_search WHERE name LIKE ?3) \
             AND name LIKE ?1 ESCAPE '\\' OR id = ?2 ORDER BY id"
        }
    })?;
    let loose = search.replace(['%', '_', '\\'], "_");
    let exact = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let (name, id) = (format!("%{exact}%"), number(search));
    // Found once: to count them is to find them all.
    let mut rows = match is_short {
        true => statement.query(params![name, id])?,
        false => statement.query(params![name, id, format!("%{loose}%")])?,
    };
    let (mut entries, mut total) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if (offset..offset.saturating_add(limit)).contains(&total) {
            entries.push(entry(row)?);
        }
        total += 1;
    }
    Ok(Listing { entries, total })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { id: row.get(0)?, name: row.get(1)? })
}
