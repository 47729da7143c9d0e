//! A migration that is killed or runs out of disk at each of its steps.

use std::path::Path;

use rusqlite::Connection;

use crate::harness::row::Row;
use crate::harness::strace;
use crate::harness::{assert_sound, full};
use crate::support::{PASSWORD, Site, USER, output_of, under};

const FIRST: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/0001_accounts.sql"));

/// A database as the first migration leaves it, with an account in it.
fn older(site: &Site) {
    let other = Site::empty("");
    other.run_with_input(&["user", "add", USER, "--password-stdin"], PASSWORD);
    let connection = Connection::open(other.database()).unwrap();
    let columns = "name, name_key, password_hash, created";
    let account: (String, String, String, i64) = connection
        .query_row(&format!("SELECT {columns} FROM accounts"), [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch(FIRST).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
        .execute(&format!("INSERT INTO accounts ({columns}) VALUES (?1, ?2, ?3, ?4)"), account)
        .unwrap();
}

fn copy(from: &Path, to: &Path) {
    for side in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(to.with_extension(side));
    }
    std::fs::copy(from, to).unwrap();
}

#[test]
fn an_interrupted_migration_is_finished_by_the_next_start() {
    let test = "an_interrupted_migration_is_finished_by_the_next_start";
    if !strace::is_here(test) {
        return;
    }
    let mut row = Row::new(17, "migration killed, or out of disk, at its n-th system call");
    let site = Site::empty("");
    older(&site);
    let before = site.path().join("before.db");
    copy(&site.database(), &before);
    let faults = ["signal=KILL", "error=ENOSPC"];
    for fault in faults {
        for call in ["pwrite64", "fsync,fdatasync", "ftruncate", "openat"] {
            let step = if full() || call == "fsync,fdatasync" { 1 } else { 3 };
            for n in (1..).step_by(step) {
                copy(&before, &site.database());
                let log = site.path().join("strace");
                let trace = format!("trace={call}");
                let inject = format!("inject={call}:{fault}:when={n}");
                let options = ["-f", "-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject];
                let command = under("strace", &options, &site.command(&["user", "list"]));
                let output = output_of(command, b"");
                // The next start: all of the migration is done, and what was there is.
                assert!(site.run(&["user", "list"]).contains(USER), "{fault} {call} {n}");
                assert!(site.run(&["students", "export"]).lines().count() <= 1);
                assert_sound(&site.database());
                row.rounds += 1;
                // It has got through: there is no n-th call.
                let traced = std::fs::read_to_string(&log).unwrap();
                if output.status.success() && !traced.contains("(INJECTED)") {
                    break;
                }
                assert!(n < 400, "{fault} {call}");
            }
        }
    }
    site.serve().signed_in();
    row.tell("each finished by the next command, the account kept");
}

#[test]
fn an_older_program_stops_at_a_newer_schema_and_leaves_it_alone() {
    let mut row = Row::new(16, "an older program meets a newer schema");
    let site = Site::new("");
    let connection = Connection::open(site.database()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    for command in [&["serve"][..], &["user", "list"], &["students", "export"]] {
        let (status, error) = site.fail(command, b"");
        assert!(status == 1 && error.contains("newer version of dewar"), "{error}");
        row.rounds += 1;
    }
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
    row.tell("status 1 and one line that says which versions");
}
