//! A database that is deleted, damaged or replaced under a running server.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::{assert_sound, sign_in, site, times};
use crate::support::{PASSWORD, USER, wait_for};

#[test]
fn a_deleted_database_is_503_until_another_is_put_in_its_place() {
    let mut row = Row::new(9, "database deleted, and an older copy put in its place");
    let site = site("");
    let server = site.serve();
    for round in 0..times(3, 30) {
        let early = server.signed_in();
        let copy = site.path().join(format!("copy{round}.db"));
        site.run(&["backup", copy.to_str().unwrap()]);
        let load = Load::on(server.port);
        std::thread::sleep(Duration::from_millis(300 + (round as u64 * 137) % 700));
        let late = server.signed_in();
        std::fs::remove_file(site.database()).unwrap();
        assert_eq!(sign_in(&server), 503, "a write notices at once");
        wait_for("a read to notice", || {
            (early.get("/brief_introduction").status == 503).then_some(())
        });
        assert_eq!(server.browser().get("/healthz").status, 503);
        drop(load.stop());
        // As a careless copy does: the log beside it is the deleted database's.
        std::fs::copy(&copy, site.database()).unwrap();
        let replaced = Instant::now();
        wait_for("signing in to work again", || (sign_in(&server) == 303).then_some(()));
        assert!(replaced.elapsed() < Duration::from_secs(5), "after {:?}", replaced.elapsed());
        assert!(early.is_signed_in(), "as the copy has it");
        assert!(!late.is_signed_in(), "as the copy has it");
        let load = Load::on(server.port);
        std::thread::sleep(Duration::from_millis(300));
        let ledger = load.stop();
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        let found = ledger.replay(server.port);
        row.holds(found.lost, found.revived);
        if round % 5 == 2 {
            let again = site.serve();
            let found = ledger.replay(again.port);
            row.holds(found.lost, found.revived);
        }
    }
    drop(server);
    assert_sound(&site.database());
    row.tell("noticed by the next write, and by reads soon after; nothing is written into a deleted file");
}

#[test]
fn a_damaged_database_is_503_until_it_is_restored() {
    let site = site("");
    let server = site.serve();
    let browser = server.signed_in();
    site.run(&["backup", "copy.db"]);
    replace(&site.database(), &b"garbage ".repeat(4000));
    wait_for("the damage to be noticed", || {
        (browser.get("/brief_introduction").status == 503).then_some(())
    });
    for answer in [
        browser.get("/brief_introduction"),
        browser.get("/detailed?id=1"),
        browser.post("/logout", &[]),
        server.browser().post("/login", &[("username", USER), ("password", PASSWORD)]),
    ] {
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("Error 503") && answer.header("Retry-After").is_some());
        assert_eq!(answer.header("Set-Cookie"), None);
    }
    assert_eq!(server.browser().get("/login").status, 200);
    assert_eq!(server.browser().get("/healthz").status, 503);
    site.run(&["restore", "copy.db", "--yes"]);
    assert!(browser.is_signed_in());
    assert_eq!(server.browser().get("/healthz").status, 200);
    assert_eq!(sign_in(&server), 303);
}

/// Puts other content under a file's name, as a careless copy would, without SQLite's side files.
pub fn replace(database: &Path, content: &[u8]) {
    let next = database.with_extension("next");
    std::fs::write(&next, content).unwrap();
    for side in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(database.with_extension(side));
    }
    std::fs::rename(next, database).unwrap();
}
