//! The audit trail in a SQLite file.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::{COLUMNS, Entry, Event, Filter, Note, SWEEP_AT_ONCE};
use crate::auth::accounts::name_key;
use crate::sqlite::{Database, Error};

/// Writes an entry, as part of whatever transaction is under way.
pub fn insert(
    connection: &Connection,
    note: &Note,
    whose: Option<&(i64, String)>,
) -> rusqlite::Result<()> {
    let (account, name) = whose.map(|(id, name)| (id, name)).unzip();
    connection
        .prepare_cached(
            "INSERT INTO audit (at, event, actor, address, agent, request, detail, \
             account, name, name_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            note.at,
            note.event.name(),
            note.actor.name(),
            note.address,
            note.agent,
            note.request,
            note.detail,
            account,
            name,
            name.map(|name| name_key(name)),
        ])?;
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        at: row.get(1)?,
        event: row.get(2)?,
        actor: row.get(3)?,
        account: row.get(4)?,
        name: row.get(5)?,
        address: row.get(6)?,
        agent: row.get(7)?,
        request: row.get(8)?,
        detail: row.get(9)?,
    })
}

pub async fn list(file: &Arc<Database>, filter: Filter) -> Result<Vec<Entry>, Error> {
    let (key, event) = (filter.name.as_deref().map(name_key), filter.event.map(Event::name));
    file.read_long(move |connection| {
        let mut entries: Vec<_> = connection
            .prepare(&format!(
                "SELECT {COLUMNS} FROM audit WHERE id > ?1 AND (?2 IS NULL OR at >= ?2) \
                 AND (?3 IS NULL OR name_key = ?3) AND (?4 IS NULL OR event = ?4) \
                 ORDER BY id DESC LIMIT ?5"
            ))?
            .query_map(params![filter.after, filter.since, key, event, filter.limit], entry)?
            .collect::<Result<_, _>>()?;
        entries.reverse();
        Ok(entries)
    })
    .await
}

pub async fn sweep(file: &Arc<Database>, oldest: i64, kept: i64) -> Result<(), Error> {
    let old = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 LIMIT ?2)";
    while file.write(move |db| db.execute(old, [oldest, SWEEP_AT_ONCE])).await? > 0 {}
    // Read first: it is a long way to the last that is kept, which the writer need not go.
    for event in [Event::FailedSignIn, Event::Throttled] {
        let bound = file.read_long(move |db| {
            let bound = "SELECT coalesce(max(id), 0) FROM (SELECT id FROM audit WHERE event = ?1 \
                         ORDER BY id DESC LIMIT 1 OFFSET ?2)";
            db.query_row(bound, params![event.name(), kept], |row| row.get::<_, i64>(0))
        });
        let bound = bound.await?;
        let more = "DELETE FROM audit WHERE id IN \
                    (SELECT id FROM audit WHERE event = ?1 AND id <= ?2 LIMIT ?3)";
        let delete =
            move |db: &Connection| db.execute(more, params![event.name(), bound, SWEEP_AT_ONCE]);
        while bound > 0 && file.write(delete).await? > 0 {}
    }
    Ok(())
}
