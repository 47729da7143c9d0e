//! Copies of the database that are made while it is written.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use dewar::session::SessionId;
use rusqlite::Connection;

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::{assert_sound, site, times};
use crate::support::{Browser, Site};

/// The keys of the live sessions in a copy.
fn keys(copy: &Path) -> HashSet<String> {
    let connection = Connection::open(copy).unwrap();
    let mut statement = connection.prepare("SELECT id FROM sessions").unwrap();
    let keys = statement.query_map([], |row| row.get(0)).unwrap();
    keys.collect::<Result<_, _>>().unwrap()
}

fn key(cookie: &str) -> String {
    let id = SessionId::parse(cookie.strip_prefix("session=").unwrap()).unwrap();
    id.store_key("session:", true).as_str().to_owned()
}

fn vacuum_into(site: &Site, copy: &Path) {
    let connection = Connection::open(site.database()).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
}

#[test]
fn every_copy_made_under_load_is_whole_and_holds_what_was_acknowledged_before() {
    let mut row = Row::new(14, "dewar backup and VACUUM INTO under load");
    let site = site("");
    let server = site.serve();
    let load = Load::on(server.port);
    let mut copies = Vec::new();
    for round in 0..times(6, 100) {
        std::thread::sleep(Duration::from_millis(times(300, 1000) as u64));
        let copy = site.path().join(format!("copy{round}.db"));
        let (live, dead) = load.peek(|ledger| ledger.cookies());
        match round % 2 {
            0 => assert_eq!(site.run(&["backup", copy.to_str().unwrap()]), ""),
            _ => vacuum_into(&site, &copy),
        }
        // Those that were ended while the copy was made may be in it or not.
        let (still_live, _) = load.peek(|ledger| ledger.cookies());
        let still: HashSet<_> = still_live.iter().collect();
        let sure: Vec<_> = live.into_iter().filter(|cookie| still.contains(cookie)).collect();
        copies.push((copy, sure, dead));
    }
    let ledger = load.stop();
    assert_eq!(ledger.count(503), 0);
    for (copy, live, dead) in &copies {
        assert_sound(copy);
        let kept = keys(copy);
        let lost = live.iter().filter(|cookie| !kept.contains(&key(cookie))).count();
        let revived = dead.iter().filter(|cookie| kept.contains(&key(cookie))).count();
        row.rounds += 1;
        row.acknowledged += live.len() + dead.len();
        row.holds(lost, revived);
    }
    // And the whole way back.
    let (copy, live, dead) = copies.last().unwrap();
    site.run(&["restore", copy.to_str().unwrap(), "--yes"]);
    let alive = |cookie: &&String| Browser::with_cookie(server.port, cookie).is_signed_in();
    row.holds(live.iter().filter(|c| !alive(c)).count(), dead.iter().filter(alive).count());
    row.tell("integrity_check ok for each copy");
}
