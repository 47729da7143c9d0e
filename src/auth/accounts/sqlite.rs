//! Accounts in a SQLite file.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::{Account, COLUMNS, Change, New};
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

pub async fn find(file: &Arc<Database>, id: i64) -> Result<Option<Account>, Error> {
    file.read(move |connection| {
        connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE id = ?1"))?
            .query_row([id], account)
            .optional()
    })
    .await
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
    let added = file.write(move |connection| {
        connection.execute(
            "INSERT INTO accounts (name, name_key, password_hash, created) \
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![new.name, new.key, new.password.as_str(), new.created],
        )
    });
    Ok(added.await? == 1)
}

pub async fn change(file: &Arc<Database>, key: String, change: Change) -> Result<bool, Error> {
    let changed = file.write_urgent(move |connection| match &change {
        Change::Password(password) => connection.execute(
            "UPDATE accounts SET password_hash = ?2, epoch = epoch + 1 WHERE name_key = ?1",
            params![key, password.as_str()],
        ),
        Change::Disable => connection.execute(
            "UPDATE accounts SET disabled = 1, epoch = epoch + 1 WHERE name_key = ?1",
            [&key],
        ),
        Change::Enable => {
            connection.execute("UPDATE accounts SET disabled = 0 WHERE name_key = ?1", [&key])
        }
        Change::SignOut => {
            connection.execute("UPDATE accounts SET epoch = epoch + 1 WHERE name_key = ?1", [&key])
        }
        Change::Remove => connection.execute("DELETE FROM accounts WHERE name_key = ?1", [&key]),
    });
    Ok(changed.await? == 1)
}

pub async fn sign_out_all(file: &Arc<Database>) -> Result<(), Error> {
    file.write_urgent(|connection| connection.execute("UPDATE accounts SET epoch = epoch + 1", []))
        .await?;
    Ok(())
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
