//! All that a database on PostgreSQL holds.

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::{Account, Contents, Student};
use crate::sql::{Error, Postgresql};

/// How many rows one statement reads or writes: each has the time limit to itself.
const AT_ONCE: usize = 1000;

const SEQUENCE: &str = "pg_get_serial_sequence('accounts', 'id')";

fn account(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        name_key: row.try_get(2)?,
        password_hash: row.try_get(3)?,
        disabled: row.try_get(4)?,
        epoch: row.try_get(5)?,
        created: row.try_get(6)?,
    })
}

fn student(row: &Row) -> Result<Student, Error> {
    Ok(Student {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        age: row.try_get(2)?,
        gender: row.try_get(3)?,
    })
}

pub async fn read(server: &Postgresql) -> Result<Contents, Error> {
    let read = server.run(async |client| {
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let snapshot = server.in_time(begin.read_only(true).start()).await?;
        let all = "id, name, name_key, password_hash, disabled, epoch, created FROM accounts";
        let accounts = rows(server, &snapshot, all, account, |account| account.id).await?;
        let all = "id, name, age, gender FROM students";
        let students = rows(server, &snapshot, all, student, |student| student.id).await?;
        let last = format!("SELECT coalesce(pg_sequence_last_value({SEQUENCE}::regclass), 0)");
        let last = server.in_time(snapshot.query_one(&last, &[])).await?;
        server.in_time(snapshot.commit()).await?;
        Ok(Contents { accounts, students, last_account: last.try_get(0)? })
    });
    read.await
}

/// All rows of a table, some at a time.
async fn rows<T>(
    server: &Postgresql,
    snapshot: &Transaction<'_>,
    all: &str,
    read: impl Fn(&Row) -> Result<T, Error>,
    id: impl Fn(&T) -> i64,
) -> Result<Vec<T>, Error> {
    let statement = format!("SELECT {all} WHERE id > $1 ORDER BY id LIMIT {AT_ONCE}");
    let mut found: Vec<T> = Vec::new();
    loop {
        let last = found.last().map_or(i64::MIN, &id);
        let rows = server.in_time(snapshot.query(&statement, &[&last])).await?;
        for row in &rows {
            found.push(read(row)?);
        }
        if rows.len() < AT_ONCE {
            return Ok(found);
        }
    }
}

pub async fn fill(server: &Postgresql, contents: &Contents, replace: bool) -> Result<bool, Error> {
    let filled = server.run(async |client| {
        let transaction = server.in_time(client.transaction()).await?;
        let lock = "LOCK TABLE accounts, students IN SHARE ROW EXCLUSIVE MODE";
        server.in_time(transaction.batch_execute(lock)).await?;
        let taken = "SELECT EXISTS (SELECT FROM accounts) OR EXISTS (SELECT FROM students)";
        let taken: bool = server.in_time(transaction.query_one(taken, &[])).await?.try_get(0)?;
        if taken && !replace {
            server.in_time(transaction.rollback()).await?;
            return Ok(false);
        }
        let delete = "DELETE FROM accounts; DELETE FROM students";
        server.in_time(transaction.batch_execute(delete)).await?;
        insert(server, &transaction, contents).await?;
        server.in_time(transaction.commit()).await?;
        Ok(true)
    });
    filled.await
}

async fn insert(
    server: &Postgresql,
    transaction: &Transaction<'_>,
    contents: &Contents,
) -> Result<(), Error> {
    /// One column of some rows.
    fn column<'r, R, T>(rows: &'r [R], field: impl Fn(&'r R) -> T) -> Vec<T> {
        rows.iter().map(field).collect()
    }
    let statement = "INSERT INTO accounts \
                     (id, name, name_key, password_hash, disabled, epoch, created) \
                     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], \
                     $5::boolean[], $6::bigint[], $7::bigint[])";
    for some in contents.accounts.chunks(AT_ONCE) {
        let values: [&(dyn ToSql + Sync); 7] = [
            &column(some, |account| account.id),
            &column(some, |account| &*account.name),
            &column(some, |account| &*account.name_key),
            &column(some, |account| &*account.password_hash),
            &column(some, |account| account.disabled),
            &column(some, |account| account.epoch),
            &column(some, |account| account.created),
        ];
        server.in_time(transaction.execute(statement, &values)).await?;
    }
    let statement = "INSERT INTO students (id, name, age, gender) \
                     SELECT * FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[])";
    for some in contents.students.chunks(AT_ONCE) {
        let values: [&(dyn ToSql + Sync); 4] = [
            &column(some, |student| student.id),
            &column(some, |student| &*student.name),
            &column(some, |student| student.age),
            &column(some, |student| student.gender.as_deref()),
        ];
        server.in_time(transaction.execute(statement, &values)).await?;
    }
    // A sequence that gave no number yet begins with 1.
    let statement = format!("SELECT setval({SEQUENCE}, greatest($1::bigint, 1), $1 > 0)");
    server.in_time(transaction.query_one(&statement, &[&contents.last_account])).await?;
    Ok(())
}
