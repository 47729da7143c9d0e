//! Writes sessions and their sign-ins straight into the tables, as signing in would leave them there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dewar::session::codec::{EncodeError, msgpack};
use dewar::session::store::SqliteStore;
use dewar::session::{Map, SessionId, Value};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

const DAY: i64 = 86_400_000;
/// How many of the sessions are told, evenly spread, for the load to use.
const COOKIES: u64 = 100_000;

/// Adds `count` live sessions of account 1 and `expired` dead ones, and writes cookies of live
/// ones to the file `cookies`, one a line. Rows come in the order of no key, as sign-ins do.
pub fn run(
    file: &Path,
    count: u64,
    expired: u64,
    cookies: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    // For the table as the store makes it.
    drop(SqliteStore::open(file)?);
    let connection = Connection::open(file)?;
    // A killed filler leaves nothing of worth.
    connection.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000000;",
    )?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let mut told = BufWriter::new(File::create(cookies)?);
    let every = (count / COOKIES).max(1);
    connection.execute_batch("BEGIN")?;
    {
        let mut insert = connection.prepare("INSERT INTO sessions VALUES (?1, ?2, ?3)")?;
        let mut sign_in = connection
            .prepare("INSERT INTO sign_ins VALUES (?1, 1, ?2, ?3, ?4, '192.0.2.7', ?5)")?;
        for i in 0..count {
            let token = token("live", i);
            // Signed in at some moment of the last ten days, of thirty-one.
            let left = 21 * DAY + spread(i, 10 * DAY);
            let id = &self::token("sign-in", i)[..22];
            insert.execute((key(&token)?, values(id)?, now + left))?;
            let created = (now + left) / 1000 - 31 * DAY / 1000;
            // Seen a moment ago, so that no visit of the load has to write that.
            sign_in.execute((id, created, now / 1000, (now + left) / 1000, agent))?;
            if i % every == 0 {
                writeln!(told, "session={token}")?;
            }
        }
        let dead = values(&token("sign-in of the dead", 0)[..22])?;
        for i in 0..expired {
            let expires = now - DAY + spread(i, DAY / 2);
            insert.execute((key(&token("dead", i))?, &dead, expires))?;
        }
    }
    connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL;")?;
    told.flush()?;
    Ok(())
}

/// What is in a session after signing in.
fn values(sign_in: &str) -> Result<Vec<u8>, EncodeError> {
    msgpack::encode(&Map::from_iter([
        (Value::from("_permanent"), Value::Bool(true)),
        (Value::from("csrf_token"), Value::from(token("secret", 0).as_str())),
        (Value::from("user_id"), Value::Int(1)),
        (Value::from("user_epoch"), Value::Int(0)),
        (Value::from("user_sign_in"), Value::from(sign_in)),
    ]))
}

fn token(kind: &str, i: u64) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{kind} {i}")))
}

fn key(token: &str) -> Result<String, &'static str> {
    let id = SessionId::parse(token).ok_or("the token is no id")?;
    Ok(id.store_key("session:", true).as_str().to_owned())
}

/// A number below `range` that jumps about with `i`.
fn spread(i: u64, range: i64) -> i64 {
    let mixed = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % range.unsigned_abs();
    i64::try_from(mixed).unwrap_or(0)
}
