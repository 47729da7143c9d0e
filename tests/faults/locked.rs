//! Other processes that hold the database.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::{assert_sound, full, sign_in, site, times};

/// How long a request waits for a lock, and what a busy machine may add.
const LIMIT: Duration = Duration::from_secs(6);
const LEEWAY: Duration = Duration::from_secs(2);

#[test]
fn a_lock_is_waited_for_and_then_503_while_reading_goes_on() {
    let mut row = Row::new(12, "locked by another process");
    let site = site("");
    let server = site.serve();
    let reader = server.signed_in();
    let seconds: &[u64] = if full() { &[1, 4, 30, 120] } else { &[1, 8] };
    for kind in ["IMMEDIATE", "EXCLUSIVE"] {
        for held in seconds {
            let held = Duration::from_secs(*held);
            let shell = Connection::open(site.database()).unwrap();
            shell.busy_timeout(Duration::from_secs(5)).unwrap();
            shell.execute_batch(&format!("BEGIN {kind}")).unwrap();
            let load = Load::on(server.port);
            let began = Instant::now();
            while began.elapsed() < held {
                assert!(reader.is_signed_in(), "reading goes on under {kind}");
                std::thread::sleep(Duration::from_millis(100));
            }
            shell.execute_batch("COMMIT").unwrap();
            let released = Instant::now();
            assert_eq!(sign_in(&server), 303);
            let back = released.elapsed();
            assert!(back < Duration::from_secs(1) + LEEWAY, "right after {back:?}");
            let ledger = load.stop();
            let refused = ledger.count(503);
            assert!(ledger.slowest() < LIMIT + LEEWAY, "an answer after {:?}", ledger.slowest());
            match held < Duration::from_secs(5) {
                true => assert_eq!(refused, 0, "{kind} for {held:?}"),
                false => assert!(refused > 0, "{kind} for {held:?}"),
            }
            let found = ledger.replay(server.port);
            row.tell(format!(
                "{kind} {} s: {refused} refused, slowest answer {:.1?}, p99 {:.1?}, right after \
                 {back:.1?}",
                held.as_secs(),
                ledger.slowest(),
                ledger.p99()
            ));
            row.rounds += 1;
            row.acknowledged += ledger.acknowledged();
            row.holds(found.lost, found.revived);
        }
    }
    assert!(server.log().contains("locked by another process"));
}

#[test]
fn writers_of_several_processes_never_meet_a_busy_database() {
    let mut row = Row::new(13, "SQLITE_BUSY with 16 writers in two processes and a third at work");
    let site = site("");
    let (one, two) = (site.serve(), site.serve());
    let load = Load::over(&[one.port, two.port], 16);
    let began = Instant::now();
    let other = Connection::open(site.database()).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    while began.elapsed() < Duration::from_secs(times(5, 600) as u64) {
        other.execute_batch("BEGIN IMMEDIATE; UPDATE students SET age = 18; COMMIT").unwrap();
        row.rounds += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    let ledger = load.stop();
    assert_eq!((ledger.count(503), ledger.broken.len()), (0, 0), "{:?}", ledger.answers);
    let found = ledger.replay(two.port);
    row.acknowledged = ledger.acknowledged();
    row.tell(format!("0 refused of {}", ledger.answers.values().sum::<usize>()));
    row.holds(found.lost, found.revived);
    drop((one, two, other));
    assert_sound(&site.database());
}

#[test]
fn a_long_reader_lets_the_log_grow_and_is_told_of() {
    let mut row = Row::new(15, "a reader that stays for long");
    let site = site("");
    let server = site.serve();
    let reader = Connection::open(site.database()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM sessions", [], |_| Ok(())).unwrap();
    let size = || std::fs::metadata(site.path().join("dewar.db-wal")).map_or(0, |log| log.len());
    let load = Load::over(&[server.port], 8);
    std::thread::sleep(Duration::from_secs(times(4, 600) as u64));
    let most = size();
    // The server looks once a minute.
    let is_told = server.log().contains("dewar.db-wal has grown to");
    assert!(is_told || most < 256 * 1024 * 1024, "{most} bytes, and no warning");
    reader.execute_batch("COMMIT").unwrap();
    let ended = Instant::now();
    while size() > 8 * 1024 * 1024 {
        assert!(ended.elapsed() < Duration::from_secs(60), "{} bytes left", size());
        std::thread::sleep(Duration::from_millis(100));
    }
    row.tell(format!(
        "log at most {:.1} MB, below 8 MB again after {:.1?}",
        most as f64 / 1e6,
        ended.elapsed()
    ));
    let ledger = load.stop();
    let found = ledger.replay(server.port);
    row.rounds = 1;
    row.acknowledged = ledger.acknowledged();
    assert_eq!(ledger.count(503), 0);
    row.holds(found.lost, found.revived);
}
