//! The audit trail on PostgreSQL.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{COLUMNS, Entry, Event, Filter, Note, SWEEP_AT_ONCE};
use crate::auth::accounts::name_key;
use crate::sql::{Error, Postgresql};

/// Writes an entry about each account that the statement's `done` gives (id, name and name_key). Its
/// first parameters are a note's [`values`].
pub const NOTED: &str = "INSERT INTO audit (at, event, actor, address, agent, request, detail, \
                         account, name, name_key) SELECT $1::bigint, $2::text, $3::text, \
                         $4::text, $5::text, $6::text, $7::text, id, name, name_key FROM done";

/// The parameters of a note: with them begin those of the statement it is a part of.
pub struct Values<'n> {
    note: &'n Note,
    event: &'static str,
    actor: &'static str,
}

impl<'n> Values<'n> {
    pub fn of(note: &'n Note) -> Self {
        Self { note, event: note.event.name(), actor: note.actor.name() }
    }

    pub fn and<'v>(&'v self, more: &[&'v (dyn ToSql + Sync)]) -> Vec<&'v (dyn ToSql + Sync)> {
        let Self { note, event, actor } = self;
        let own: [&(dyn ToSql + Sync); 7] =
            [&note.at, event, actor, &note.address, &note.agent, &note.request, &note.detail];
        [&own[..], more].concat()
    }
}

pub async fn insert(
    server: &Postgresql,
    note: &Note,
    whose: Option<&(i64, String)>,
) -> Result<(), Error> {
    let (account, name) = whose.map(|(id, name)| (*id, name.as_str())).unzip();
    let key = name.map(name_key);
    let statement = format!(
        "WITH done AS (SELECT $8::bigint AS id, $9::text AS name, $10::text AS name_key) {NOTED}"
    );
    server.change(&statement, &Values::of(note).and(&[&account, &name, &key])).await?;
    Ok(())
}

fn entry(row: &Row) -> Result<Entry, tokio_postgres::Error> {
    Ok(Entry {
        id: row.try_get(0)?,
        at: row.try_get(1)?,
        event: row.try_get(2)?,
        actor: row.try_get(3)?,
        account: row.try_get(4)?,
        name: row.try_get(5)?,
        address: row.try_get(6)?,
        agent: row.try_get(7)?,
        request: row.try_get(8)?,
        detail: row.try_get(9)?,
    })
}

pub async fn list(server: &Postgresql, filter: &Filter) -> Result<Vec<Entry>, Error> {
    let statement = format!(
        "SELECT {COLUMNS} FROM audit WHERE id > $1 AND ($2::bigint IS NULL OR at >= $2) \
         AND ($3::text IS NULL OR name_key = $3) AND ($4::text IS NULL OR event = $4) \
         ORDER BY id DESC LIMIT $5"
    );
    let key = filter.name.as_deref().map(name_key);
    let (event, limit) = (filter.event.map(Event::name), i64::from(filter.limit));
    let values: [&(dyn ToSql + Sync); 5] = [&filter.after, &filter.since, &key, &event, &limit];
    let rows = server.rows(&statement, &values).await?;
    Ok(rows.iter().rev().map(entry).collect::<Result<_, _>>()?)
}

pub async fn sweep(server: &Postgresql, oldest: i64, kept: i64) -> Result<(), Error> {
    let old = "DELETE FROM audit WHERE id IN \
               (SELECT id FROM audit WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
    while server.change(old, &[&oldest, &SWEEP_AT_ONCE]).await? > 0 {}
    let more = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE event = $1 \
                AND id <= (SELECT id FROM audit WHERE event = $1 ORDER BY id DESC LIMIT 1 \
                OFFSET $2) LIMIT $3 FOR UPDATE SKIP LOCKED)";
    for event in [Event::FailedSignIn, Event::Throttled] {
        while server.change(more, &[&event.name(), &kept, &SWEEP_AT_ONCE]).await? > 0 {}
    }
    Ok(())
}
