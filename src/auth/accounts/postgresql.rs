//! Accounts on PostgreSQL. Each operation is one statement.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Account, COLUMNS, Change, New};
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

pub async fn find(server: &Postgresql, id: i64) -> Result<Option<Account>, Error> {
    let statement = format!("SELECT {COLUMNS} FROM accounts WHERE id = $1");
    let row = server.row(&statement, &[&id]).await?;
    Ok(row.as_ref().map(account).transpose()?)
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
    let statement = "INSERT INTO accounts (name, name_key, password_hash, created) \
                     VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let values = [&new.name as &(dyn ToSql + Sync), &new.key, &new.password.as_str(), &new.created];
    Ok(server.change(statement, &values).await? == 1)
}

pub async fn change(server: &Postgresql, key: String, change: Change) -> Result<bool, Error> {
    let changed = match change {
        Change::Password(password) => {
            let statement =
                "UPDATE accounts SET password_hash = $2, epoch = epoch + 1 WHERE name_key = $1";
            server.change(statement, &[&key, &password.as_str()]).await?
        }
        Change::Disable => {
            let statement =
                "UPDATE accounts SET disabled = true, epoch = epoch + 1 WHERE name_key = $1";
            server.change(statement, &[&key]).await?
        }
        Change::Enable => {
            let statement = "UPDATE accounts SET disabled = false WHERE name_key = $1";
            server.change(statement, &[&key]).await?
        }
        Change::SignOut => {
            let statement = "UPDATE accounts SET epoch = epoch + 1 WHERE name_key = $1";
            server.change(statement, &[&key]).await?
        }
        Change::Remove => {
            server.change("DELETE FROM accounts WHERE name_key = $1", &[&key]).await?
        }
    };
    Ok(changed == 1)
}

pub async fn sign_out_all(server: &Postgresql) -> Result<(), Error> {
    server.change("UPDATE accounts SET epoch = epoch + 1", &[]).await?;
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
