//! Students on PostgreSQL.

use std::collections::{BTreeMap, HashSet};

use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::{Entry, Listing, OnConflict, Student, number};
use crate::sql::{Error, Postgresql};

/// How many students one statement takes: each has the time limit to itself.
const AT_ONCE: usize = 1000;

fn student(row: &Row) -> Result<Student, Error> {
    let age: Option<i16> = row.try_get(2)?;
    Ok(Student {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        age: age.and_then(|age| age.try_into().ok()),
        gender: row.try_get(3)?,
    })
}

/// One statement, and so one moment: the total stands in each row of the page, or in a row with
/// nothing else when there is none.
pub async fn list(
    server: &Postgresql,
    search: &str,
    offset: u64,
    limit: u64,
) -> Result<Listing, Error> {
    let of_page = |matching: &str, limit: &str, offset: &str| {
        format!(
            "WITH matching AS NOT MATERIALIZED (SELECT id, name FROM students {matching}) \
             SELECT (SELECT count(*) FROM matching), page.id, page.name \
             FROM (SELECT) AS always LEFT JOIN \
             (SELECT id, name FROM matching ORDER BY id LIMIT {limit} OFFSET {offset}) AS page \
             ON true ORDER BY page.id"
        )
    };
    let (limit, offset) = (integer(limit), integer(offset));
    let rows = if search.is_empty() {
        server.rows(&of_page("", "$1", "$2"), &[&limit, &offset]).await?
    } else {
        // In the collation "C" the ASCII letters alone have two cases, as in SQLite's LIKE.
        let matching = "WHERE strpos(lower(name COLLATE \"C\"), lower($3::text COLLATE \"C\")) > 0 \
                        OR id = $4";
        let statement = of_page(matching, "$1", "$2");
        server.rows(&statement, &[&limit, &offset, &search, &number(search)]).await?
    };
    let total: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    let mut entries = Vec::new();
    for row in &rows {
        if let Some(id) = row.try_get(1)? {
            entries.push(Entry { id, name: row.try_get(2)? });
        }
    }
    Ok(Listing { entries, total: total.unsigned_abs() })
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub async fn find(server: &Postgresql, id: i64) -> Result<Option<Student>, Error> {
    let statement = "SELECT id, name, age, gender FROM students WHERE id = $1";
    server.row(statement, &[&id]).await?.as_ref().map(student).transpose()
}

pub async fn all(server: &Postgresql) -> Result<Vec<Student>, Error> {
    let statement = "SELECT id, name, age, gender FROM students WHERE id > $1 ORDER BY id LIMIT $2";
    let read = server.run(async |client| {
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let transaction = server.in_time(begin.read_only(true).start()).await?;
        let mut found: Vec<Student> = Vec::new();
        loop {
            let last = found.last().map_or(0, |student| student.id);
            let limit = integer(AT_ONCE as u64);
            let rows = server.in_time(transaction.query(statement, &[&last, &limit])).await?;
            for row in &rows {
                found.push(student(row)?);
            }
            if rows.len() < AT_ONCE {
                server.in_time(transaction.commit()).await?;
                return Ok(found);
            }
        }
    });
    read.await
}

/// In the order of the numbers, so that two imports at once wait for one another and never each
/// for the other.
pub async fn import(
    server: &Postgresql,
    students: &[Student],
    on_conflict: OnConflict,
    progress: impl Fn(usize),
) -> Result<Option<i64>, Error> {
    let by_id: BTreeMap<_, _> = students.iter().map(|student| (student.id, student)).collect();
    let students: Vec<_> = by_id.into_values().collect();
    let taken = match on_conflict {
        OnConflict::Refuse => "NOTHING",
        OnConflict::Replace => {
            "UPDATE SET name = excluded.name, age = excluded.age, gender = excluded.gender"
        }
    };
    let insert = format!(
        "INSERT INTO students (id, name, age, gender) \
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[]) \
         ON CONFLICT (id) DO {taken} RETURNING id"
    );
    let imported = server.run(async |client| {
        let transaction = server.in_time(client.transaction()).await?;
        let mut done = 0;
        for some in students.chunks(AT_ONCE) {
            let ids: Vec<_> = some.iter().map(|student| student.id).collect();
            let names: Vec<_> = some.iter().map(|student| &*student.name).collect();
            let ages: Vec<_> = some.iter().map(|student| student.age.map(i16::from)).collect();
            let genders: Vec<_> = some.iter().map(|student| student.gender.as_deref()).collect();
            let values: [&(dyn ToSql + Sync); 4] = [&ids, &names, &ages, &genders];
            let rows = server.in_time(transaction.query(&insert, &values)).await?;
            let made =
                rows.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<i64>, _>>()?;
            if let Some(taken) = ids.into_iter().find(|id| !made.contains(id)) {
                server.in_time(transaction.rollback()).await?;
                return Ok(Some(taken));
            }
            done += some.len();
            progress(done);
        }
        server.in_time(transaction.commit()).await?;
        Ok(None)
    });
    imported.await
}

pub async fn next_id(server: &Postgresql) -> Result<i64, Error> {
    let row = server.row("SELECT coalesce(max(id), 0) + 1 FROM students", &[]).await?;
    Ok(row.map_or(Ok(1), |row| row.try_get(0))?)
}

pub async fn remove(server: &Postgresql, id: i64) -> Result<bool, Error> {
    Ok(server.change("DELETE FROM students WHERE id = $1", &[&id]).await? == 1)
}
