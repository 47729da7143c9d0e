//! The power is cut: what was acknowledged had been synced.

use std::time::{Duration, Instant};

use crate::harness::load::Load;
use crate::harness::mount::Ext4;
use crate::harness::row::Row;
use crate::harness::{assert_sound, site_in, times};

#[test]
fn cuts_of_power_lose_no_acknowledged_sign_in_and_revive_no_sign_out() {
    let test = "cuts_of_power_lose_no_acknowledged_sign_in_and_revive_no_sign_out";
    let Some(disk) = Ext4::new(test) else { return };
    let mut row = Row::new(2, "loss of power (ext4, shut down without its journal's flush)");
    let site = site_in(&disk.path(), "");
    for round in 0..times(4, 50) {
        let mut server = site.serve();
        let load = Load::on(server.port).under_way();
        std::thread::sleep(Duration::from_millis(300 + (round as u64 * 137) % 900));
        // What is answered after the cut was never promised.
        load.peek(|ledger| ledger.freeze());
        disk.cut_power();
        std::thread::sleep(Duration::from_millis(50));
        assert!(server.child.try_wait().unwrap().is_none(), "it ends by a failing disk");
        server.kill();
        let ledger = load.stop();
        disk.restore_power();
        let server = site.serve();
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
        drop(server);
        assert_sound(&disk.path().join("dewar.db"));
    }
    row.tell("integrity_check ok after each");
}

/// The test above could not fail if this did not.
#[test]
fn a_cut_of_power_does_lose_what_was_not_synced() {
    let Some(disk) = Ext4::new("a_cut_of_power_does_lose_what_was_not_synced") else { return };
    let mut row = Row::new(2, "the same bench with synchronous = NORMAL, to see that it bites");
    let path = disk.path().join("normal.db");
    let mut lost = 0;
    // The system may have written everything just then, but not time and again.
    for round in 0.. {
        if round >= times(1, 5) && lost > 0 || round > 20 {
            break;
        }
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                 CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)",
            )
            .unwrap();
        let began = Instant::now();
        let mut last = 0;
        while began.elapsed() < Duration::from_secs(1) {
            connection.execute("INSERT INTO t DEFAULT VALUES", []).unwrap();
            last = connection.last_insert_rowid();
        }
        disk.cut_power();
        drop(connection);
        disk.restore_power();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let kept: i64 = connection
            .query_row("SELECT coalesce(max(n), 0) FROM t", [], |row| row.get(0))
            .unwrap_or(0);
        row.rounds += 1;
        lost += last - kept;
    }
    row.tell(format!("{lost} commits lost, as expected"));
    assert!(lost > 0);
}
