//! What a loss of power can leave of the files: any of the writes since the last sync, in part, in
//! any order. The states are made from a recording of the server's system calls.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use dewar::session::SessionId;
use rusqlite::{Connection, OptionalExtension};

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::strace::{self, Strace};
use crate::harness::{site, times};

/// What is written in one piece, as disks promise.
const SECTOR: usize = 512;

/// A recorded system call.
enum Call {
    Write {
        file: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    Cut {
        file: String,
        length: usize,
    },
    Synced {
        file: String,
    },
    Removed {
        file: String,
    },
    /// Bytes to a client.
    Sent(Vec<u8>),
}

#[test]
fn no_order_of_torn_writes_loses_what_was_acknowledged() {
    let test = "no_order_of_torn_writes_loses_what_was_acknowledged";
    if !strace::is_here(test) {
        return;
    }
    let mut row = Row::new(3, "torn and reordered writes, rebuilt from a recording");
    let site = site("");
    drop(site.serve());
    let first = BTreeMap::from([("dewar.db".to_owned(), std::fs::read(site.database()).unwrap())]);
    let server = site.serve();
    let calls = "trace=pwrite64,ftruncate,fsync,fdatasync,unlink,write,writev,sendto";
    let strace = Strace::attach(server.child.id(), &["-y", "-xx", "-s", "70000", "-e", calls]);
    let load = Load::on(server.port);
    std::thread::sleep(Duration::from_secs(times(3, 30) as u64));
    let ledger = load.stop();
    // A checkpoint of the whole, as at a stop.
    let other = Connection::open(site.database()).unwrap();
    other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    drop(other);
    let log = strace.log();
    let calls = calls_in(&std::fs::read_to_string(log).unwrap());
    drop((strace, server));

    let known: HashSet<String> = ledger.cookies().0.into_iter().chain(ledger.cookies().1).collect();
    let states = times(100, 1000);
    let mut random = Random(7);
    let dir = tempfile::tempdir().unwrap();
    for state in 0..states {
        let length = calls.len() * (state + 1) / states;
        let (files, acknowledged) = rebuild(&first, &calls[..length], &mut random);
        let (lost, revived) = verdict(dir.path(), &files, &acknowledged, &known);
        row.rounds += 1;
        row.acknowledged += acknowledged.len();
        row.holds(lost, revived);
    }
    let writes = calls.iter().filter(|call| matches!(call, Call::Write { .. })).count();
    row.tell(format!("from {writes} writes; integrity_check ok in each state"));
    assert!(writes > 20 && row.acknowledged > states);
}

/// The files as a loss of power leaves them, and the session cookies that were sent before.
fn rebuild(
    first: &BTreeMap<String, Vec<u8>>,
    calls: &[Call],
    random: &mut Random,
) -> (BTreeMap<String, Vec<u8>>, Vec<String>) {
    let mut files = first.clone();
    let mut acknowledged = Vec::new();
    let synced: BTreeMap<&str, usize> = calls
        .iter()
        .enumerate()
        .filter_map(|(at, call)| match call {
            Call::Synced { file } => Some((file.as_str(), at)),
            _ => None,
        })
        .collect();
    for (at, call) in calls.iter().enumerate() {
        let is_sure = |file: &str| synced.get(file).is_some_and(|sync| at < *sync);
        match call {
            Call::Write { file, offset, bytes } => {
                let content = files.entry(file.clone()).or_default();
                for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                    if is_sure(file) || random.coin() {
                        let from = offset + number * SECTOR;
                        content.resize(content.len().max(from + sector.len()), 0);
                        content[from..from + sector.len()].copy_from_slice(sector);
                    }
                }
            }
            Call::Cut { file, length } if is_sure(file) || random.coin() => {
                files.entry(file.clone()).or_default().resize(*length, 0);
            }
            Call::Removed { file } if random.coin() => {
                files.remove(file);
            }
            Call::Sent(bytes) => acknowledged.extend(cookie_in(bytes)),
            Call::Cut { .. } | Call::Removed { .. } | Call::Synced { .. } => {}
        }
    }
    (files, acknowledged)
}

/// How many of the sessions are lost in these files, which must be sound.
fn verdict(
    dir: &Path,
    files: &BTreeMap<String, Vec<u8>>,
    acknowledged: &[String],
    known: &HashSet<String>,
) -> (usize, usize) {
    for name in ["dewar.db", "dewar.db-wal", "dewar.db-shm"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    for (name, content) in files {
        std::fs::write(dir.join(name), content).unwrap();
    }
    let connection = Connection::open(dir.join("dewar.db")).unwrap();
    let sound: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    let is_there = |cookie: &String| {
        let id = SessionId::parse(cookie).unwrap().store_key("session:", true);
        let find = "SELECT 1 FROM sessions WHERE id = ?1";
        let found = connection.query_row(find, [id.as_str()], |_| Ok(())).optional();
        found.unwrap().is_some()
    };
    // A session that is ended later may be gone already; the last of those sent may not.
    let latest: Vec<_> = acknowledged.iter().rev().take(64).collect();
    let live = latest.iter().filter(|cookie| known.contains(&format!("session={cookie}")));
    let lost = live.filter(|cookie| !is_there(cookie)).count();
    (lost, 0)
}

/// The value of the session cookie in an answer.
fn cookie_in(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let at = text.find("set-cookie: session=")? + "set-cookie: session=".len();
    let value = String::from_utf8_lossy(&bytes[at..]).split(';').next()?.to_owned();
    (!value.is_empty()).then_some(value)
}

/// The calls that succeeded, in the order in which they ended; those of an answer where it began.
fn calls_in(log: &str) -> Vec<Call> {
    let mut begun = BTreeMap::<&str, String>::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            // An answer counts from the moment it may reach the client.
            match is_answer(start) {
                true => calls.extend(call_in(&format!("{start}) = 0"))),
                false => drop(begun.insert(thread, start.to_owned())),
            }
            continue;
        }
        let whole = match rest.split_once(" resumed>") {
            Some((_, end)) => match begun.remove(thread) {
                Some(start) => start + end,
                None => continue,
            },
            None => rest.to_owned(),
        };
        calls.extend(call_in(&whole));
    }
    calls
}

fn is_answer(call: &str) -> bool {
    ["write(", "writev(", "sendto("].iter().any(|name| call.starts_with(name))
}

fn call_in(line: &str) -> Option<Call> {
    if line.rsplit_once(" = ")?.1.starts_with('-') {
        return None;
    }
    if is_answer(line) {
        return line.contains("<socket:").then(|| Call::Sent(strings(line).concat()));
    }
    let file = || {
        let (_, rest) = line.split_once('<')?;
        // With -xx paths are escaped too.
        let path = rest.split_once('>')?.0;
        let path = String::from_utf8(unescape(path)).ok()?;
        let name = path.rsplit('/').next()?.to_owned();
        matches!(&*name, "dewar.db" | "dewar.db-wal").then_some(name)
    };
    let numbers = || {
        let arguments = line.rsplit_once(") = ").map(|(start, _)| start)?;
        arguments.rsplit(", ").next()?.trim().parse::<usize>().ok()
    };
    match line.split_once('(')?.0 {
        "pwrite64" => Some(Call::Write {
            file: file()?,
            offset: numbers()?,
            bytes: strings(line).into_iter().next()?,
        }),
        "ftruncate" => Some(Call::Cut { file: file()?, length: numbers()? }),
        "fsync" | "fdatasync" => Some(Call::Synced { file: file()? }),
        "unlink" => {
            let path = String::from_utf8(strings(line).into_iter().next()?).ok()?;
            path.ends_with("dewar.db-wal").then(|| Call::Removed { file: "dewar.db-wal".into() })
        }
        _ => None,
    }
}

/// The strings of a call, which `-xx` writes as `"\x41\x42"`.
fn strings(line: &str) -> Vec<Vec<u8>> {
    line.split('"').skip(1).step_by(2).map(unescape).collect()
}

fn unescape(text: &str) -> Vec<u8> {
    match text.starts_with("\\x") {
        true => text
            .split("\\x")
            .skip(1)
            .map(|byte| u8::from_str_radix(&byte[..2], 16).unwrap())
            .collect(),
        false => text.as_bytes().to_vec(),
    }
}

/// The same coins each time.
struct Random(u64);

impl Random {
    fn coin(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 63 == 1
    }
}
