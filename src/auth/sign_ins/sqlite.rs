//! The registry in a SQLite file.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{COLUMNS, LISTED, New, PasswordChange, SWEEP_AT_ONCE, Seen, SignIn, SignInId};
use super::{Visitor, Which};
use crate::auth::audit::{self, Note};
use crate::db::Revision;
use crate::sqlite::{Database, Error};

pub async fn visitor(
    file: &Arc<Database>,
    account: i64,
    epoch: i64,
    id: SignInId,
) -> Result<Option<Visitor>, Error> {
    file.read(move |connection| {
        connection
            .prepare_cached(
                "SELECT accounts.name, sign_ins.last_seen, (SELECT revision FROM roster) \
                 FROM accounts JOIN sign_ins ON sign_ins.account = accounts.id \
                 WHERE accounts.id = ?1 AND accounts.epoch = ?2 AND NOT accounts.disabled \
                 AND sign_ins.id = ?3",
            )?
            .query_row(params![account, epoch, id.as_str()], |row| {
                let students = row.get::<_, Option<i64>>(2)?.map(Revision);
                Ok(Visitor { name: row.get(0)?, last_seen: row.get(1)?, students })
            })
            .optional()
    })
    .await
}

pub async fn list(file: &Arc<Database>, account: i64, now: i64) -> Result<Vec<SignIn>, Error> {
    file.read(move |connection| {
        connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM sign_ins WHERE account = ?1 AND expires > ?2 \
                 ORDER BY last_seen DESC, created DESC, id LIMIT ?3"
            ))?
            .query_map([account, now, LISTED], |row| {
                Ok(SignIn {
                    id: SignInId(row.get(0)?),
                    created: row.get(1)?,
                    last_seen: row.get(2)?,
                    address: row.get(3)?,
                    agent: row.get(4)?,
                })
            })?
            .collect()
    })
    .await
}

pub async fn all(file: &Arc<Database>) -> Result<Vec<SignInId>, Error> {
    file.read_long(|connection| {
        connection
            .prepare("SELECT id FROM sign_ins")?
            .query_map([], |row| Ok(SignInId(row.get(0)?)))?
            .collect()
    })
    .await
}

fn insert(connection: &Connection, new: &New) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO sign_ins VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)")?
        .execute(params![
            new.id.as_str(),
            new.account,
            new.created,
            new.expires,
            new.trace.address,
            new.trace.agent,
        ])?;
    Ok(())
}

pub async fn begin(file: &Arc<Database>, new: New, note: Note, name: String) -> Result<(), Error> {
    file.write(move |connection| {
        insert(connection, &new)?;
        audit::sqlite::insert(connection, &note, Some(&(new.account, name.clone())))
    })
    .await
}

pub async fn adopt(file: &Arc<Database>, new: New, epoch: i64) -> Result<Option<String>, Error> {
    file.write(move |connection| {
        let name: Option<String> = connection
            .query_row(
                "SELECT name FROM accounts WHERE id = ?1 AND epoch = ?2 AND NOT disabled",
                [new.account, epoch],
                |row| row.get(0),
            )
            .optional()?;
        if name.is_some() {
            insert(connection, &new)?;
        }
        Ok(name)
    })
    .await
}

pub async fn seen(file: &Arc<Database>, seen: Seen) -> Result<(), Error> {
    file.write(move |connection| {
        connection
            .prepare_cached(
                "UPDATE sign_ins SET last_seen = ?2, expires = ?3, address = ?4, agent = ?5 \
                 WHERE id = ?1 AND last_seen <= ?6",
            )?
            .execute(params![
                seen.id.as_str(),
                seen.now,
                seen.expires,
                seen.trace.address,
                seen.trace.agent,
                seen.due,
            ])
    })
    .await?;
    Ok(())
}

pub async fn delete(
    file: &Arc<Database>,
    account: i64,
    which: Which,
    note: Note,
) -> Result<u64, Error> {
    file.write_urgent(move |connection| {
        let (condition, id) = which.condition("?2");
        let ended = connection.execute(
            &format!("DELETE FROM sign_ins WHERE account = ?1 AND {condition}"),
            params![account, id],
        )?;
        if ended > 0 {
            let note = match which {
                Which::One(_) => note.clone(),
                Which::AllBut(_) => note.clone().with(format!("sessions: {ended}")),
            };
            audit::sqlite::insert(connection, &note, whose(connection, account)?.as_ref())?;
        }
        Ok(ended as u64)
    })
    .await
}

fn whose(connection: &Connection, account: i64) -> rusqlite::Result<Option<(i64, String)>> {
    connection
        .prepare_cached("SELECT id, name FROM accounts WHERE id = ?1")?
        .query_row([account], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

pub async fn change_password(
    file: &Arc<Database>,
    change: PasswordChange,
    note: Note,
) -> Result<Option<i64>, Error> {
    file.write_urgent(move |connection| {
        let epoch: Option<i64> = connection
            .query_row(
                "UPDATE accounts SET password_hash = ?3, epoch = epoch + 1 \
                 WHERE id = ?1 AND password_hash = ?2 AND NOT disabled RETURNING epoch",
                params![change.account, change.old, change.new.as_str()],
                |row| row.get(0),
            )
            .optional()?;
        if epoch.is_some() {
            connection.execute(
                "DELETE FROM sign_ins WHERE account = ?1 AND id <> ?2",
                params![change.account, change.keep.as_str()],
            )?;
            let whose = whose(connection, change.account)?;
            audit::sqlite::insert(connection, &note, whose.as_ref())?;
        }
        Ok(epoch)
    })
    .await
}

pub async fn forget(file: &Arc<Database>, ids: Vec<SignInId>) -> Result<(), Error> {
    file.write(move |connection| {
        let mut delete = connection.prepare_cached("DELETE FROM sign_ins WHERE id = ?1")?;
        ids.iter().try_for_each(|id| delete.execute([id.as_str()]).map(drop))
    })
    .await
}

pub async fn sweep(file: &Arc<Database>, over: i64) -> Result<(), Error> {
    let statement = "DELETE FROM sign_ins WHERE id IN \
                     (SELECT id FROM sign_ins WHERE expires <= ?1 LIMIT ?2)";
    while file.write(move |db| db.execute(statement, [over, SWEEP_AT_ONCE])).await? > 0 {}
    Ok(())
}
