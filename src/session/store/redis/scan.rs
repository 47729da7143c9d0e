//! Listing the sessions, server by server.

use std::time::Duration;

use redis::{Value, pipe};

use super::error::{Failure, text, unexpected};
use super::link::Link;
use super::record;
use super::servers::Servers;
use crate::session::clock;
use crate::session::store::{Cursor, Listed, Page};
use crate::session::token::StoreKey;

/// How far a listing has come.
struct At {
    /// The server, by its name in [`Servers::primaries`].
    node: String,
    /// The process that gave `cursor`. Another one orders its keys in another way, so that the
    /// listing of that server has to begin again.
    run: String,
    /// Where `SCAN` goes on.
    cursor: String,
}

impl At {
    fn begin(node: String) -> Self {
        Self { node, run: String::new(), cursor: "0".into() }
    }

    fn read(cursor: &Cursor) -> Self {
        let mut parts = cursor.0.split(' ').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { run: next(), cursor: next(), node: next() }
    }

    fn write(&self) -> Cursor {
        Cursor(format!("{} {} {}", self.run, self.cursor, self.node))
    }
}

/// A part of the listing of all servers, in the order of their names.
pub async fn page(
    servers: &Servers,
    prefix: &str,
    from: Option<&Cursor>,
    limit: usize,
) -> Result<Page, Failure> {
    let at = from.map_or_else(|| At::begin(String::new()), At::read);
    let mut nodes = servers.primaries().await?;
    nodes.retain(|(name, _)| *name >= at.node);
    let mut nodes = nodes.into_iter();
    let Some((name, link)) = nodes.next() else {
        return Ok(Page { sessions: Vec::new(), next: None });
    };
    let at = if at.node == name { at } else { At::begin(name) };
    let (sessions, next) = page_of(&link, prefix, at, limit).await?;
    let next = next.or_else(|| nodes.next().map(|(name, _)| At::begin(name)));
    Ok(Page { sessions, next: next.map(|at| at.write()) })
}

async fn page_of(
    link: &Link,
    prefix: &str,
    at: At,
    limit: usize,
) -> Result<(Vec<Listed>, Option<At>), Failure> {
    let run = run_id(link).await?;
    let cursor = if at.run == run { at.cursor } else { "0".into() };
    let mut command = pipe();
    command.cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern(prefix));
    command.arg("COUNT").arg(limit.max(1)).arg("TYPE").arg("string");
    let (cursor, keys) = match link.ask(&command).await?.pop() {
        Some(Value::Array(parts)) => {
            let mut parts = parts.into_iter();
            match (text(parts.next())?, parts.next()) {
                (cursor, Some(Value::Array(keys))) => (cursor, keys),
                _ => return Err(Failure::Unexpected),
            }
        }
        other => return Err(unexpected(other)),
    };
    // A key that is no text is no session's.
    let keys: Vec<String> = keys.into_iter().filter_map(|key| text(Some(key)).ok()).collect();
    let sessions = if keys.is_empty() { Vec::new() } else { read(link, keys).await? };
    let next = (cursor != "0").then_some(At { node: at.node, run, cursor });
    Ok((sessions, next))
}

async fn read(link: &Link, keys: Vec<String>) -> Result<Vec<Listed>, Failure> {
    let mut commands = pipe();
    for key in &keys {
        commands.cmd("GET").arg(key);
        commands.cmd("PTTL").arg(key);
    }
    let mut answers = link.ask(&commands).await?.into_iter();
    let now = clock::now();
    let mut sessions = Vec::with_capacity(keys.len());
    for key in keys {
        let (Some(value), Some(pttl)) = (answers.next(), answers.next()) else {
            return Err(Failure::Unexpected);
        };
        if matches!(&value, Value::ServerError(error) if error.code() == "MOVED") {
            // It has just moved to a server that is yet to be listed, or is listed again.
            continue;
        }
        if let Some(record) = record(value, pttl)? {
            let expires = record.expires_in.and_then(|left: Duration| now.checked_add(left));
            sessions.push(Listed { key: StoreKey::new(key), bytes: record.bytes, expires });
        }
    }
    Ok(sessions)
}

/// What is different after each start of a server, and on each server.
async fn run_id(link: &Link) -> Result<String, Failure> {
    let mut command = pipe();
    command.cmd("INFO").arg("server");
    let info = text(link.ask(&command).await?.pop())?;
    let line = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    line.map(|id| id.trim().to_owned()).ok_or(Failure::Unexpected)
}

/// A pattern of Redis's that all keys with this beginning match, and no other.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_its_prefix_and_nothing_more() {
        assert_eq!(pattern("session:"), "session:*");
        assert_eq!(pattern(r"a*b?[c-d]\^é"), r"a\*b\?\[c\-d\]\\\^é*");
    }

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let at = At { node: "[::1]:7000".into(), run: "abc".into(), cursor: "17".into() };
        let read = At::read(&at.write());
        assert_eq!((read.node, read.run, read.cursor), (at.node, at.run, at.cursor));
        let alone =
            At::read(&At { node: String::new(), run: "r".into(), cursor: "1".into() }.write());
        assert_eq!(alone.node, "");
    }
}
