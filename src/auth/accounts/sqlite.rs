//! Accounts in a SQLite file.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::{Account, COLUMNS, Change, EVERYBODY, New};
use crate::auth::audit::{self, Event, Note};
use crate::auth::password::PasswordHash;
use crate::sqlite::{Database, Error};

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        disabled: row.get(2)?,
        epoch: row.get(3)?,
        created: row.get(4)?,
    })
}

pub async fn find_by_name(
    file: &Arc<Database>,
    key: String,
) -> Result<Option<(Account, String)>, Error> {
    file.read(move |connection| {
        connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS}, password_hash FROM accounts WHERE name_key = ?1"
            ))?
            .query_row([&key], |row| Ok((account(row)?, row.get(5)?)))
            .optional()
    })
    .await
}

pub async fn any(file: &Arc<Database>) -> Result<bool, Error> {
    file.read(|connection| connection.prepare_cached("SELECT 1 FROM accounts LIMIT 1")?.exists([]))
        .await
}

pub async fn hash_parameters(file: &Arc<Database>) -> Result<Vec<String>, Error> {
    file.read_long(|connection| {
        let parameters = "substr(password_hash, 1, instr(password_hash, ',p='))";
        let mut rows =
            connection.prepare(&format!("SELECT DISTINCT {parameters} FROM accounts"))?;
        rows.query_map([], |row| row.get(0))?.collect()
    })
    .await
}

pub async fn id_of(file: &Arc<Database>, key: String) -> Result<Option<i64>, Error> {
    file.read(move |connection| {
        connection
            .query_row("SELECT id FROM accounts WHERE name_key = ?1", [&key], |row| row.get(0))
            .optional()
    })
    .await
}

pub async fn list(file: &Arc<Database>) -> Result<Vec<Account>, Error> {
    file.read_long(|connection| {
        connection
            .prepare(&format!("SELECT {COLUMNS} FROM accounts ORDER BY name_key"))?
            .query_map([], account)?
            .collect()
    })
    .await
}

pub async fn add(file: &Arc<Database>, new: New) -> Result<bool, Error> {
    file.write(move |connection| {
        let id: Option<i64> = connection
            .query_row(
                "INSERT INTO accounts (name, name_key, password_hash, created) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING RETURNING id",
                params![new.name, new.key, new.password.as_str(), new.created],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(id) = id {
            let note = Note::by_operator(Event::AccountAdded);
            audit::sqlite::insert(connection, &note, Some(&(id, new.name.clone())))?;
        }
        Ok(id.is_some())
    })
    .await
}

pub async fn change(file: &Arc<Database>, key: String, change: Change) -> Result<bool, Error> {
    file.write_urgent(move |connection| {
        let whose: Option<(i64, String)> = connection
            .query_row("SELECT id, name FROM accounts WHERE name_key = ?1", [&key], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some(whose) = whose else { return Ok(false) };
        let id = whose.0;
        if change.ends_sessions() {
            connection.execute("DELETE FROM sign_ins WHERE account = ?1", [id])?;
        }
        match &change {
            Change::Password(password) => connection.execute(
                "UPDATE accounts SET password_hash = ?2, epoch = epoch + 1 WHERE id = ?1",
                params![id, password.as_str()],
            ),
            Change::Disable => connection
                .execute("UPDATE accounts SET disabled = 1, epoch = epoch + 1 WHERE id = ?1", [id]),
            Change::Enable => {
                connection.execute("UPDATE accounts SET disabled = 0 WHERE id = ?1", [id])
            }
            Change::SignOut => {
                connection.execute("UPDATE accounts SET epoch = epoch + 1 WHERE id = ?1", [id])
            }
            Change::Remove => connection.execute("DELETE FROM accounts WHERE id = ?1", [id]),
        }?;
        audit::sqlite::insert(connection, &Note::by_operator(change.event()), Some(&whose))?;
        Ok(true)
    })
    .await
}

pub async fn sign_out_all(file: &Arc<Database>) -> Result<(), Error> {
    file.write_urgent(|connection| {
        connection.execute("UPDATE accounts SET epoch = epoch + 1", [])?;
        connection.execute("DELETE FROM sign_ins", [])?;
        let note = Note::by_operator(Event::SessionsRevoked).with(EVERYBODY);
        audit::sqlite::insert(connection, &note, None)
    })
    .await
}

pub async fn renew_hash(
    file: &Arc<Database>,
    id: i64,
    old: String,
    new: PasswordHash,
) -> Result<(), Error> {
    file.write(move |connection| {
        connection.execute(
            "UPDATE accounts SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
            params![id, old, new.as_str()],
        )
    })
    .await?;
    Ok(())
}
