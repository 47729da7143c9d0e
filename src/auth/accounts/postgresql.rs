//! Accounts on PostgreSQL. Each operation is one statement.

use tokio_postgres::Row;

use super::{Account, COLUMNS, Change, EVERYBODY, New};
use crate::auth::audit::postgresql::{NOTED, Values};
use crate::auth::audit::{Event, Note};
use crate::auth::password::PasswordHash;
use crate::sql::{Error, Postgresql};

fn account(row: &Row) -> Result<Account, tokio_postgres::Error> {
    Ok(Account {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        disabled: row.try_get(2)?,
        epoch: row.try_get(3)?,
        created: row.try_get(4)?,
    })
}

pub async fn find_by_name(
    server: &Postgresql,
    key: String,
) -> Result<Option<(Account, String)>, Error> {
    // No name holds this character, which PostgreSQL has no room for in texts.
    if key.contains('\0') {
        return Ok(None);
    }
    let statement = format!("SELECT {COLUMNS}, password_hash FROM accounts WHERE name_key = $1");
    let Some(row) = server.row(&statement, &[&key]).await? else { return Ok(None) };
    Ok(Some((account(&row)?, row.try_get(5)?)))
}

pub async fn any(server: &Postgresql) -> Result<bool, Error> {
    Ok(server.row("SELECT 1 FROM accounts LIMIT 1", &[]).await?.is_some())
}

pub async fn hash_parameters(server: &Postgresql) -> Result<Vec<String>, Error> {
    let parameters = "substr(password_hash, 1, strpos(password_hash, ',p='))";
    let rows = server.rows(&format!("SELECT DISTINCT {parameters} FROM accounts"), &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub async fn id_of(server: &Postgresql, key: String) -> Result<Option<i64>, Error> {
    let row = server.row("SELECT id FROM accounts WHERE name_key = $1", &[&key]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub async fn list(server: &Postgresql) -> Result<Vec<Account>, Error> {
    let statement = format!("SELECT {COLUMNS} FROM accounts ORDER BY name_key");
    let rows = server.rows(&statement, &[]).await?;
    Ok(rows.iter().map(account).collect::<Result<_, _>>()?)
}

pub async fn add(server: &Postgresql, new: New) -> Result<bool, Error> {
    let statement = format!(
        "WITH done AS (INSERT INTO accounts (name, name_key, password_hash, created) \
         VALUES ($8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING *) {NOTED}"
    );
    let note = Note::by_operator(Event::AccountAdded);
    let values = Values::of(&note);
    let password = new.password.as_str();
    let values = values.and(&[&new.name, &new.key, &password, &new.created]);
    Ok(server.change(&statement, &values).await? == 1)
}

pub async fn change(server: &Postgresql, key: String, change: Change) -> Result<bool, Error> {
    let done = match &change {
        Change::Password(_) => {
            "UPDATE accounts SET password_hash = $9, epoch = epoch + 1 WHERE name_key = $8"
        }
        Change::Disable => {
            "UPDATE accounts SET disabled = true, epoch = epoch + 1 WHERE name_key = $8"
        }
        Change::Enable => "UPDATE accounts SET disabled = false WHERE name_key = $8",
        Change::SignOut => "UPDATE accounts SET epoch = epoch + 1 WHERE name_key = $8",
        Change::Remove => "DELETE FROM accounts WHERE name_key = $8",
    };
    // The rows of a removed account go by themselves.
    let ended = match change.ends_sessions() && !matches!(change, Change::Remove) {
        true => ", ended AS (DELETE FROM sign_ins USING done WHERE sign_ins.account = done.id)",
        false => "",
    };
    let statement = format!("WITH done AS ({done} RETURNING *){ended} {NOTED}");
    let note = Note::by_operator(change.event());
    let values = Values::of(&note);
    let changed = match &change {
        Change::Password(password) => {
            server.change(&statement, &values.and(&[&key, &password.as_str()])).await?
        }
        _ => server.change(&statement, &values.and(&[&key])).await?,
    };
    Ok(changed == 1)
}

pub async fn sign_out_all(server: &Postgresql) -> Result<(), Error> {
    let statement = format!(
        "WITH every AS (UPDATE accounts SET epoch = epoch + 1), \
         ended AS (DELETE FROM sign_ins), \
         done AS (SELECT NULL::bigint AS id, NULL::text AS name, NULL::text AS name_key) {NOTED}"
    );
    let note = Note::by_operator(Event::SessionsRevoked).with(EVERYBODY);
    server.change(&statement, &Values::of(&note).and(&[])).await?;
    Ok(())
}

pub async fn renew_hash(
    server: &Postgresql,
    id: i64,
    old: String,
    new: PasswordHash,
) -> Result<(), Error> {
    let statement = "UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
    server.change(statement, &[&id, &old, &new.as_str()]).await?;
    Ok(())
}
