//! Many expired sessions, and many live ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dewar::session::store::{SqliteStore, Store};
use rusqlite::Connection;

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::{assert_sound, cookie_of, full, site, times};
use crate::support::{Browser, PASSWORD, Server, Site};

/// Adds sessions of nobody that expire at this time, in milliseconds since 1970.
fn add(site: &Site, count: usize, expires: i64) {
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
             INSERT INTO sessions SELECT 'session:' || lower(hex(randomblob(32))), \
             randomblob(60), ?2 + i FROM n ORDER BY 1",
            rusqlite::params![i64::try_from(count).unwrap(), expires],
        )
        .unwrap();
}

fn expired(site: &Site) -> usize {
    let connection = Connection::open(site.database()).unwrap();
    let count = "SELECT count(*) FROM sessions WHERE expires < 1000000000000";
    connection.query_row(count, [], |row| row.get(0)).unwrap()
}

#[rocket::async_test]
async fn expired_sessions_are_swept_in_small_parts_under_load() {
    let mut row = Row::new(18, "a sweep of expired sessions under load");
    let site = site("");
    let server = site.serve();
    // One that expired, and whose row is still there.
    let old = cookie_of(&server.signed_in());
    let all = "UPDATE sessions SET expires = 1000";
    Connection::open(site.database()).unwrap().execute(all, []).unwrap();
    assert!(
        !Browser::with_cookie(server.port, &old).is_signed_in(),
        "an expired session is served"
    );
    let count = times(20_000, 1_000_000);
    add(&site, count, 1000);
    let load = Load::on(server.port);
    let store = Arc::new(SqliteStore::open(&site.database()).unwrap());
    let (mut longest, mut swept) = (Duration::ZERO, 0);
    let mut spent = Vec::new();
    loop {
        let began = Instant::now();
        let gone = store.sweep(250).await.unwrap();
        longest = longest.max(began.elapsed());
        spent.push(began.elapsed());
        swept += gone;
        if gone < 250 {
            break;
        }
        rocket::tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!Browser::with_cookie(server.port, &old).is_signed_in());
    let ledger = load.stop();
    assert_eq!((expired(&site), ledger.count(503)), (0, 0));
    // The server sweeps too, once a minute.
    assert!(swept > 0 && (full() || swept > count), "{swept}");
    let found = ledger.replay(server.port);
    spent.sort();
    row.rounds = spent.len();
    row.acknowledged = ledger.acknowledged();
    row.tell(format!(
        "{swept} rows in {} transactions of 250, with the wait for the lock and the disk {:.1?} in the \
         middle, {:.1?} for 99 of 100, {longest:.1?} at most; slowest answer {:.1?}",
        spent.len(),
        spent[spent.len() / 2],
        spent[spent.len() * 99 / 100],
        ledger.slowest()
    ));
    row.holds(found.lost, found.revived);
    drop((server, store));
    assert_sound(&site.database());
}

#[test]
fn five_million_sessions_are_as_quick_as_a_thousand() {
    if !full() {
        return;
    }
    let mut row = Row::new(19, "five million sessions");
    let site = site("DATABASE_RESERVE = 0");
    let far = 4_000_000_000_000;
    add(site_ready(&site), 1000, far);
    let few = sign_ins(&site.serve());
    add(&site, 5_000_000, far);
    let many = sign_ins(&site.serve());
    row.rounds = 400;
    row.acknowledged = 400;
    row.tell(format!("signing in, p50 and p99: {few:.1?} with 1000, {many:.1?} with 5 million"));
    assert!(many.1 < few.1 * 2 + Duration::from_millis(50), "{few:?} {many:?}");
}

/// The same site, with the table of sessions made.
fn site_ready(site: &Site) -> &Site {
    drop(site.serve());
    site
}

/// How long signing in takes, in the middle and for 99 of 100.
fn sign_ins(server: &Server) -> (Duration, Duration) {
    let mut spent: Vec<_> = (0..200)
        .map(|_| {
            let browser = server.browser();
            let form = [("username", crate::support::USER), ("password", PASSWORD)];
            let began = Instant::now();
            assert_eq!(browser.post("/login", &form).status, 303);
            began.elapsed()
        })
        .collect();
    spent.sort();
    (spent[100], spent[197])
}
