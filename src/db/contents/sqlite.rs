//! All that a SQLite file holds.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{Account, Contents, Entry, SignIn, Student};
use crate::sqlite::{Database, Error};

pub async fn read(file: &Arc<Database>) -> Result<Contents, Error> {
    file.read_long(|connection| {
        let snapshot = connection.unchecked_transaction()?;
        let accounts = snapshot
            .prepare(
                "SELECT id, name, name_key, password_hash, disabled, epoch, created \
                 FROM accounts ORDER BY id",
            )?
            .query_map([], |row| {
                Ok(Account {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    name_key: row.get(2)?,
                    password_hash: row.get(3)?,
                    disabled: row.get(4)?,
                    epoch: row.get(5)?,
                    created: row.get(6)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let students = snapshot
            .prepare("SELECT id, name, age, gender FROM students ORDER BY id")?
            .query_map([], |row| {
                Ok(Student {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    age: row.get(2)?,
                    gender: row.get(3)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let sign_ins = snapshot
            .prepare(
                "SELECT id, account, created, last_seen, expires, address, agent \
                 FROM sign_ins ORDER BY id",
            )?
            .query_map([], |row| {
                Ok(SignIn {
                    id: row.get(0)?,
                    account: row.get(1)?,
                    created: row.get(2)?,
                    last_seen: row.get(3)?,
                    expires: row.get(4)?,
                    address: row.get(5)?,
                    agent: row.get(6)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let audit = snapshot
            .prepare(
                "SELECT at, event, actor, account, name, name_key, address, agent, request, \
                 detail FROM audit ORDER BY id",
            )?
            .query_map([], |row| {
                Ok(Entry {
                    at: row.get(0)?,
                    event: row.get(1)?,
                    actor: row.get(2)?,
                    account: row.get(3)?,
                    name: row.get(4)?,
                    name_key: row.get(5)?,
                    address: row.get(6)?,
                    agent: row.get(7)?,
                    request: row.get(8)?,
                    detail: row.get(9)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let last_account = snapshot.query_row(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'accounts'",
            [],
            |row| row.get(0),
        )?;
        Ok(Contents { accounts, students, sign_ins, audit, last_account })
    })
    .await
}

pub async fn fill(file: &Arc<Database>, contents: Contents, replace: bool) -> Result<bool, Error> {
    file.write(move |connection| {
        let taken: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM accounts) OR EXISTS (SELECT 1 FROM students) \
             OR EXISTS (SELECT 1 FROM audit)",
            [],
            |row| row.get(0),
        )?;
        if taken && !replace {
            return Ok(false);
        }
        connection.execute_batch(
            "DELETE FROM sign_ins; DELETE FROM accounts; DELETE FROM students; DELETE FROM audit;",
        )?;
        insert(connection, &contents)?;
        Ok(true)
    })
    .await
}

fn insert(connection: &Connection, contents: &Contents) -> rusqlite::Result<()> {
    let mut account =
        connection.prepare("INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for Account { id, name, name_key, password_hash, disabled, epoch, created } in
        &contents.accounts
    {
        account.execute(params![id, name, name_key, password_hash, disabled, epoch, created])?;
    }
    let mut student = connection.prepare("INSERT INTO students VALUES (?1, ?2, ?3, ?4)")?;
    for Student { id, name, age, gender } in &contents.students {
        student.execute(params![id, name, age, gender])?;
    }
    let mut sign_in =
        connection.prepare("INSERT INTO sign_ins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for SignIn { id, account, created, last_seen, expires, address, agent } in &contents.sign_ins {
        sign_in.execute(params![id, account, created, last_seen, expires, address, agent])?;
    }
    let mut entry = connection.prepare(
        "INSERT INTO audit (at, event, actor, account, name, name_key, address, agent, request, \
         detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for one in &contents.audit {
        entry.execute(params![
            one.at,
            one.event,
            one.actor,
            one.account,
            one.name,
            one.name_key,
            one.address,
            one.agent,
            one.request,
            one.detail,
        ])?;
    }
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'accounts'", [])?;
    connection.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('accounts', ?1)",
        [contents.last_account],
    )?;
    Ok(())
}
