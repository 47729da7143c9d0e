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
    // The index knows runs of three characters; anything shorter has to look at each name, and so
    // has what no query of it can hold. It finds them in any case of any script, so the names are
    // compared again.
    let is_short = search.chars().count() < 3 || search.contains('\0');
    let mut statement = connection.prepare_cached(match is_short {
        true => {
            "SELECT id, name FROM students WHERE name LIKE ?1 ESCAPE '\\' OR id = ?2 ORDER BY id"
        }
        false => {
            "SELECT id, name FROM students WHERE \
             id IN (SELECT rowid FROM students_search WHERE students_search MATCH ?3) \
             AND name LIKE ?1 ESCAPE '\\' OR id = ?2 ORDER BY id"
        }
    })?;
    let exact = search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let (name, id) = (format!("%{exact}%"), number(search));
    // Found once: to count them is to find them all.
    let mut rows = match is_short {
        true => statement.query(params![name, id])?,
        false => {
            let phrase = format!("\"{}\"", search.replace('"', "\"\""));
            statement.query(params![name, id, phrase])?
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::db::{Db, Location};
    use crate::students::{OnConflict, Student, Students};

    const NAMES: [&str; 14] = [
        "Ann \"the\" Bee",
        "100 % sure_x",
        r"back\slash",
        "O'Neil AND Sons",
        "NEAR(a b)",
        "école École",
        "STRASSE straße",
        "日本語の名前",
        "😀😀😀 smile",
        "a*b^c:d",
        "two  blanks",
        "col:umn - minus + plus",
        "%%%",
        "___",
    ];

    #[rocket::async_test]
    async fn the_index_finds_what_looking_at_each_name_finds() {
        let dir = tempfile::tempdir().unwrap();
        let file = Location::File(dir.path().join("students.db"));
        let students = Students::new(&Db::open(&file, Duration::MAX).unwrap());
        let student = |(id, name): (i64, &&str)| Student {
            id,
            name: (*name).into(),
            age: None,
            gender: None,
        };
        let all = (5000..).zip(&NAMES).map(student).collect();
        students.import(all, OnConflict::Refuse, |_| {}).await.unwrap();
        for name in NAMES {
            let characters: Vec<_> = name.chars().collect();
            for part in (1..=5).flat_map(|length| characters.windows(length)) {
                let search = String::from_iter(part);
                if search.trim() != search {
                    continue;
                }
                let folded = search.to_ascii_lowercase();
                let holds = |name: &&&str| name.to_ascii_lowercase().contains(&folded);
                let expected = NAMES.iter().filter(holds).count();
                let found = students.list(&search, 1, 50).await.unwrap();
                assert_eq!(found.total, expected as u64, "{search:?}");
                assert_eq!(found.entries.len(), expected, "{search:?}");
            }
        }
        assert_eq!(students.list("ann\0 \"", 1, 50).await.unwrap().total, 0);
    }
}
