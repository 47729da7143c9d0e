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
    /// The end of this session was asked for on this socket.
    Asked {
        socket: String,
        cookie: String,
    },
    /// Bytes to a client.
    Sent {
        socket: String,
        bytes: Vec<u8>,
    },
}

/// The session cookies of which clients were told before the power went.
#[derive(Default)]
struct Told {
    live: HashSet<String>,
    dead: HashSet<String>,
}

#[test]
fn no_order_of_torn_writes_loses_what_was_acknowledged() {
    let test = "no_order_of_torn_writes_loses_what_was_acknowledged";
    if !strace::is_here(test) {
        return;
    }
    let mut row = Row::new(3, "torn and reordered writes, rebuilt from a recording");
    let site = site("");
    // All of it in the one file.
    let mut server = site.serve();
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    let first = BTreeMap::from([("dewar.db".to_owned(), std::fs::read(site.database()).unwrap())]);
    let server = site.serve();
    let calls = "trace=pwrite64,ftruncate,fsync,fdatasync,unlink,write,writev,sendto,read,recvfrom";
    let strace = Strace::attach(server.child.id(), &["-y", "-xx", "-s", "70000", "-e", calls]);
    let load = Load::on(server.port);
    std::thread::sleep(Duration::from_secs(times(3, 30) as u64));
    assert_eq!(load.stop().count(503), 0);
    // A checkpoint of the whole, as at a stop.
    let other = Connection::open(site.database()).unwrap();
    other.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
    drop(other);
    let log = strace.log();
    let calls = calls_in(&std::fs::read_to_string(log).unwrap());
    drop((strace, server));

    let states = times(100, 1000);
    let mut random = Random(7);
    let dir = tempfile::tempdir().unwrap();
    for state in 0..states {
        let length = calls.len() * (state + 1) / states;
        let (files, told) = rebuild(&first, &calls[..length], &mut random);
        let (lost, revived) = verdict(dir.path(), &files, &told);
        row.rounds += 1;
        row.acknowledged += told.live.len() + told.dead.len();
        row.holds(lost, revived);
    }
    let writes = calls.iter().filter(|call| matches!(call, Call::Write { .. })).count();
    row.tell(format!("from {writes} writes; integrity_check ok in each state"));
    assert!(writes > 20 && row.acknowledged > states);
}

/// The files as a loss of power leaves them, and what had been told before.
fn rebuild(
    first: &BTreeMap<String, Vec<u8>>,
    calls: &[Call],
    random: &mut Random,
) -> (BTreeMap<String, Vec<u8>>, Told) {
    let mut files = first.clone();
    let (mut told, mut asked) = (Told::default(), BTreeMap::new());
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
            Call::Asked { socket, cookie } => {
                told.live.remove(cookie);
                asked.insert(socket, cookie.clone());
            }
            Call::Sent { socket, bytes } => {
                if bytes.starts_with(b"HTTP/1.1 303") {
                    told.dead.extend(asked.remove(socket));
                }
                told.live.extend(cookie_after("set-cookie: session=", bytes));
            }
            Call::Cut { .. } | Call::Removed { .. } | Call::Synced { .. } => {}
        }
    }
    (files, told)
}

/// How many sessions are lost, and how many are back, in these files, which must be sound.
fn verdict(dir: &Path, files: &BTreeMap<String, Vec<u8>>, told: &Told) -> (usize, usize) {
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
    let kept = |cookies: &HashSet<String>| cookies.iter().filter(|cookie| is_there(cookie)).count();
    (told.live.len() - kept(&told.live), kept(&told.dead))
}

/// The value of a session cookie that follows these words, if it is one.
fn cookie_after(words: &str, bytes: &[u8]) -> Option<String> {
    let at = String::from_utf8_lossy(bytes).to_lowercase().find(words)? + words.len();
    let rest = String::from_utf8_lossy(&bytes[at..]).into_owned();
    let value = rest.split([';', '\r']).next()?;
    (!value.is_empty()).then(|| value.to_owned())
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
    // With -xx paths are escaped too.
    let path = || {
        let (_, rest) = line.split_once('<')?;
        String::from_utf8(unescape(rest.split_once('>')?.0)).ok()
    };
    let socket = || path().filter(|path| path.starts_with("socket:"));
    if is_answer(line) {
        return Some(Call::Sent { socket: socket()?, bytes: strings(line).concat() });
    }
    let file = || {
        let path = path()?;
        let name = path.rsplit('/').next()?.to_owned();
        matches!(&*name, "dewar.db" | "dewar.db-wal").then_some(name)
    };
    let numbers = || {
        let arguments = line.rsplit_once(" = ")?.0.trim_end().strip_suffix(')')?;
        arguments.rsplit(", ").next()?.trim().parse::<usize>().ok()
    };
    match line.split_once('(')?.0 {
        "read" | "recvfrom" => {
            let (socket, bytes) = (socket()?, strings(line).concat());
            let ends = [&b"POST /login"[..], b"POST /logout"];
            let asks = ends.iter().any(|start| bytes.starts_with(start));
            let cookie = cookie_after("\r\ncookie: session=", &bytes).filter(|_| asks)?;
            Some(Call::Asked { socket, cookie })
        }
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
