//! The registry on PostgreSQL. Each operation is one statement.

use tokio_postgres::Row;

use super::{COLUMNS, LISTED, New, PasswordChange, SWEEP_AT_ONCE, Seen, SignIn, SignInId};
use super::{Visitor, Which};
use crate::auth::audit::Note;
use crate::auth::audit::postgresql::{NOTED, Values};
use crate::sql::{Error, Postgresql};

pub async fn visitor(
    server: &Postgresql,
    account: i64,
    epoch: i64,
    id: &SignInId,
) -> Result<Option<Visitor>, Error> {
    let statement = "SELECT accounts.name, sign_ins.last_seen \
                     FROM accounts JOIN sign_ins ON sign_ins.account = accounts.id \
                     WHERE accounts.id = $1 AND accounts.epoch = $2 AND NOT accounts.disabled \
                     AND sign_ins.id = $3";
    let row = server.row(statement, &[&account, &epoch, &id.as_str()]).await?;
    let visitor = |row: Row| {
        Ok::<_, tokio_postgres::Error>(Visitor {
            name: row.try_get(0)?,
            last_seen: row.try_get(1)?,
            students: None,
        })
    };
    Ok(row.map(visitor).transpose()?)
}

fn sign_in(row: &Row) -> Result<SignIn, tokio_postgres::Error> {
    Ok(SignIn {
        id: SignInId(row.try_get(0)?),
        created: row.try_get(1)?,
        last_seen: row.try_get(2)?,
        address: row.try_get(3)?,
        agent: row.try_get(4)?,
    })
}

pub async fn list(server: &Postgresql, account: i64, now: i64) -> Result<Vec<SignIn>, Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM sign_ins WHERE account = $1 AND expires > $2 \
         ORDER BY last_seen DESC, created DESC, id LIMIT $3"
    );
    let rows = server.rows(&statement, &[&account, &now, &LISTED]).await?;
    Ok(rows.iter().map(sign_in).collect::<Result<_, _>>()?)
}

pub async fn all(server: &Postgresql) -> Result<Vec<SignInId>, Error> {
    let rows = server.rows("SELECT id FROM sign_ins", &[]).await?;
    let ids = rows.iter().map(|row| Ok::<_, tokio_postgres::Error>(SignInId(row.try_get(0)?)));
    Ok(ids.collect::<Result<_, _>>()?)
}

const COLUMNS_OF_NEW: &str = "id, account, created, last_seen, expires, address, agent";

pub async fn begin(server: &Postgresql, new: &New, note: &Note) -> Result<(), Error> {
    let statement = format!(
        "WITH made AS (INSERT INTO sign_ins ({COLUMNS_OF_NEW}) \
         VALUES ($8, $9, $10, $10, $11, $12, $13) RETURNING account), \
         done AS (SELECT accounts.* FROM accounts JOIN made ON made.account = accounts.id) {NOTED}"
    );
    let values = Values::of(note);
    let (id, trace) = (new.id.as_str(), &new.trace);
    let values =
        values.and(&[&id, &new.account, &new.created, &new.expires, &trace.address, &trace.agent]);
    server.change(&statement, &values).await?;
    Ok(())
}

pub async fn adopt(server: &Postgresql, new: &New, epoch: i64) -> Result<Option<String>, Error> {
    let statement = format!(
        "WITH whose AS (SELECT id, name FROM accounts \
         WHERE id = $2 AND epoch = $7 AND NOT disabled), \
         made AS (INSERT INTO sign_ins ({COLUMNS_OF_NEW}) \
         SELECT $1, id, $3, $3, $4, $5, $6 FROM whose) SELECT name FROM whose"
    );
    let (id, trace) = (new.id.as_str(), &new.trace);
    let row = server
        .row(
            &statement,
            &[&id, &new.account, &new.created, &new.expires, &trace.address, &trace.agent, &epoch],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub async fn seen(server: &Postgresql, seen: &Seen) -> Result<(), Error> {
    let statement = "UPDATE sign_ins SET last_seen = $2, expires = $3, address = $4, agent = $5 \
                     WHERE id = $1 AND last_seen <= $6";
    let (id, trace) = (seen.id.as_str(), &seen.trace);
    server
        .change(
            statement,
            &[&id, &seen.now, &seen.expires, &trace.address, &trace.agent, &seen.due],
        )
        .await?;
    Ok(())
}

pub async fn delete(
    server: &Postgresql,
    account: i64,
    which: &Which,
    note: &Note,
) -> Result<u64, Error> {
    let (condition, id) = which.condition("$9");
    let detail = match which {
        Which::One(_) => "$7::text",
        Which::AllBut(_) => "coalesce($7::text, (SELECT 'sessions: ' || count(*) FROM ended))",
    };
    let statement = format!(
        "WITH ended AS (DELETE FROM sign_ins WHERE account = $8 AND {condition} RETURNING id), \
         done AS (SELECT accounts.* FROM accounts WHERE id = $8 AND EXISTS (SELECT FROM ended)), \
         noted AS ({}) SELECT count(*) FROM ended",
        NOTED.replace("$7::text", detail)
    );
    let row = server.row(&statement, &Values::of(note).and(&[&account, &id])).await?;
    let ended: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(ended.unsigned_abs())
}

pub async fn change_password(
    server: &Postgresql,
    change: &PasswordChange,
    note: &Note,
) -> Result<Option<i64>, Error> {
    let statement = format!(
        "WITH done AS (UPDATE accounts SET password_hash = $10, epoch = epoch + 1 \
         WHERE id = $8 AND password_hash = $9 AND NOT disabled \
         RETURNING id, name, name_key, epoch), \
         ended AS (DELETE FROM sign_ins USING done \
         WHERE sign_ins.account = done.id AND sign_ins.id <> $11), \
         noted AS ({NOTED}) SELECT epoch FROM done"
    );
    let values = Values::of(note);
    let (new, keep) = (change.new.as_str(), change.keep.as_str());
    let values = values.and(&[&change.account, &change.old, &new, &keep]);
    let row = server.row(&statement, &values).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub async fn forget(server: &Postgresql, ids: &[SignInId]) -> Result<(), Error> {
    let ids: Vec<_> = ids.iter().map(SignInId::as_str).collect();
    server.change("DELETE FROM sign_ins WHERE id = ANY($1)", &[&ids]).await?;
    Ok(())
}

pub async fn sweep(server: &Postgresql, over: i64) -> Result<(), Error> {
    let statement = "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins \
                     WHERE expires <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
    while server.change(statement, &[&over, &SWEEP_AT_ONCE]).await? > 0 {}
    Ok(())
}
