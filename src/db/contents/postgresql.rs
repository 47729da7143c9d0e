//! All that a database on PostgreSQL holds.

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::{Account, Contents, Entry, SignIn, Student};
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

fn sign_in(row: &Row) -> Result<SignIn, Error> {
    Ok(SignIn {
        id: row.try_get(0)?,
        account: row.try_get(1)?,
        created: row.try_get(2)?,
        last_seen: row.try_get(3)?,
        expires: row.try_get(4)?,
        address: row.try_get(5)?,
        agent: row.try_get(6)?,
    })
}

/// With its number, which leads to the next.
fn entry(row: &Row) -> Result<(i64, Entry), Error> {
    let entry = Entry {
        at: row.try_get(1)?,
        event: row.try_get(2)?,
        actor: row.try_get(3)?,
        account: row.try_get(4)?,
        name: row.try_get(5)?,
        name_key: row.try_get(6)?,
        address: row.try_get(7)?,
        agent: row.try_get(8)?,
        request: row.try_get(9)?,
        detail: row.try_get(10)?,
    };
    Ok((row.try_get(0)?, entry))
}

pub async fn read(server: &Postgresql) -> Result<Contents, Error> {
    let read = server.run(async |client| {
        let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
        let snapshot = server.in_time(begin.read_only(true).start()).await?;
        let all = "id, name, name_key, password_hash, disabled, epoch, created FROM accounts";
        let accounts =
            rows(server, &snapshot, all, account, i64::MIN, |account| account.id).await?;
        let all = "id, name, age, gender FROM students";
        let students =
            rows(server, &snapshot, all, student, i64::MIN, |student| student.id).await?;
        let all = "id, account, created, last_seen, expires, address, agent FROM sign_ins";
        let first = String::new();
        let sign_ins = rows(server, &snapshot, all, sign_in, first, |one| one.id.clone()).await?;
        let all = "id, at, event, actor, account, name, name_key, address, agent, request, detail \
                   FROM audit";
        let audit = rows(server, &snapshot, all, entry, i64::MIN, |(id, _)| *id).await?;
        let audit = audit.into_iter().map(|(_, entry)| entry).collect();
        let last = format!("SELECT coalesce(pg_sequence_last_value({SEQUENCE}::regclass), 0)");
        let last = server.in_time(snapshot.query_one(&last, &[])).await?;
        server.in_time(snapshot.commit()).await?;
        let last_account = last.try_get(0)?;
        Ok(Contents { accounts, students, sign_ins, audit, last_account })
    });
    read.await
}

/// All rows of a table, some at a time.
async fn rows<T, K: ToSql + Sync>(
    server: &Postgresql,
    snapshot: &Transaction<'_>,
    all: &str,
    read: impl Fn(&Row) -> Result<T, Error>,
    before_all: K,
    id: impl Fn(&T) -> K,
) -> Result<Vec<T>, Error> {
    let statement = format!("SELECT {all} WHERE id > $1 ORDER BY id LIMIT {AT_ONCE}");
    let mut found: Vec<T> = Vec::new();
    let mut last = before_all;
    loop {
        let rows = server.in_time(snapshot.query(&statement, &[&last])).await?;
        for row in &rows {
            found.push(read(row)?);
        }
        if let Some(newest) = found.last() {
            last = id(newest);
        }
        if rows.len() < AT_ONCE {
            return Ok(found);
        }
    }
}

pub async fn fill(server: &Postgresql, contents: &Contents, replace: bool) -> Result<bool, Error> {
    let filled = server.run(async |client| {
        let transaction = server.in_time(client.transaction()).await?;
        let lock = "LOCK TABLE accounts, students, sign_ins, audit IN SHARE ROW EXCLUSIVE MODE";
        server.in_time(transaction.batch_execute(lock)).await?;
        let taken = "SELECT EXISTS (SELECT FROM accounts) OR EXISTS (SELECT FROM students) \
                     OR EXISTS (SELECT FROM audit)";
        let taken: bool = server.in_time(transaction.query_one(taken, &[])).await?.try_get(0)?;
        if taken && !replace {
            server.in_time(transaction.rollback()).await?;
            return Ok(false);
        }
        let delete = "DELETE FROM sign_ins; DELETE FROM accounts; DELETE FROM students; \
                      DELETE FROM audit";
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
    let statement = "INSERT INTO sign_ins \
                     (id, account, created, last_seen, expires, address, agent) \
                     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], \
                     $5::bigint[], $6::text[], $7::text[])";
    for some in contents.sign_ins.chunks(AT_ONCE) {
        let values: [&(dyn ToSql + Sync); 7] = [
            &column(some, |one| &*one.id),
            &column(some, |one| one.account),
            &column(some, |one| one.created),
            &column(some, |one| one.last_seen),
            &column(some, |one| one.expires),
            &column(some, |one| one.address.as_deref()),
            &column(some, |one| one.agent.as_deref()),
        ];
        server.in_time(transaction.execute(statement, &values)).await?;
    }
    // In order, so that the numbers they get are in the same.
    let statement = "INSERT INTO audit (at, event, actor, account, name, name_key, address, \
                     agent, request, detail) SELECT at, event, actor, account, name, name_key, \
                     address, agent, request, detail FROM unnest($1::bigint[], $2::text[], \
                     $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], \
                     $9::text[], $10::text[]) WITH ORDINALITY AS every (at, event, actor, \
                     account, name, name_key, address, agent, request, detail, place) \
                     ORDER BY place";
    for some in contents.audit.chunks(AT_ONCE) {
        let values: [&(dyn ToSql + Sync); 10] = [
            &column(some, |one| one.at),
            &column(some, |one| &*one.event),
            &column(some, |one| &*one.actor),
            &column(some, |one| one.account),
            &column(some, |one| one.name.as_deref()),
            &column(some, |one| one.name_key.as_deref()),
            &column(some, |one| one.address.as_deref()),
            &column(some, |one| one.agent.as_deref()),
            &column(some, |one| one.request.as_deref()),
            &column(some, |one| one.detail.as_deref()),
        ];
        server.in_time(transaction.execute(statement, &values)).await?;
    }
    // A sequence that gave no number yet begins with 1.
    let statement = format!("SELECT setval({SEQUENCE}, greatest($1::bigint, 1), $1 > 0)");
    server.in_time(transaction.query_one(&statement, &[&contents.last_account])).await?;
    Ok(())
}
