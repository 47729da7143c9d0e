//! The id of a request: in its answer, on the page that says something went wrong, and in the log.

use super::siege::{Siege, right_pair};
use super::support::{Server, Site};
use super::wire::{FORM, Wire};

const TRUSTED: &str = "TRUSTED_PROXIES = [\"127.0.0.1\"]";

fn id_of(siege: &Siege, headers: &str) -> String {
    let answer = Wire::get("/login").headers(headers).send(siege.port());
    let ids = answer.headers.iter().filter(|(name, _)| name == "x-request-id");
    let ids: Vec<_> = ids.map(|(_, id)| id.clone()).collect();
    assert_eq!(ids.len(), 1, "{answer:?}");
    ids[0].clone()
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let siege = Siege::new();
    let mut ids: Vec<_> = (0..50).map(|_| id_of(&siege, "")).collect();
    for id in &ids {
        assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

#[test]
fn an_id_is_taken_from_a_trusted_proxy_alone_and_only_if_it_is_well_formed() {
    let own = |id: &str| id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let stranger = Siege::new();
    assert!(own(&id_of(&stranger, "X-Request-Id: from-the-client\r\n")));
    let proxied = Siege::with(TRUSTED);
    assert_eq!(id_of(&proxied, "X-Request-Id: 4f5c.a_b-9\r\n"), "4f5c.a_b-9");
    for bad in ["", "a b", "<b>", "é", &"a".repeat(65)] {
        let id = id_of(&proxied, &format!("X-Request-Id: {bad}\r\n"));
        assert!(own(&id), "{bad:?}: {id}");
    }
    assert!(own(&id_of(&proxied, "X-Request-Id: one\r\nX-Request-Id: two\r\n")));
}

/// A server that cannot reach its sessions, and a cookie to ask for one.
fn broken() -> (Site, Server) {
    let site = Site::new("SESSION_SQLITE_PATH = \"sessions.db\"");
    let server = site.serve();
    let sessions = rusqlite::Connection::open(site.path().join("sessions.db")).unwrap();
    sessions.execute_batch("DROP TABLE sessions").unwrap();
    (site, server)
}

#[test]
fn a_page_that_tells_of_a_failure_has_the_reference_of_its_lines_in_the_log() {
    let (_site, server) = broken();
    let page = Wire::get("/brief_introduction").header("Cookie", "session=a").send(server.port);
    assert_eq!(page.status, 503);
    let id = page.header("x-request-id").unwrap();
    assert!(page.body.contains(&format!("Reference: {id}")), "{}", page.body);
    server.wait_for_log(&format!("request_id={id}"));
    let log = server.log();
    let line = log.lines().find(|line| line.ends_with(&format!("request_id={id}"))).unwrap();
    assert!(line.contains("ERROR the session store failed to load"), "{line}");
    // What is the client's own fault has none.
    assert!(!Wire::get("/nowhere").send(server.port).body.contains("Reference"));
    // Nor has a failure at the end of a request another one.
    let failed = Wire::post("/login", FORM, right_pair()).send(server.port);
    let id = failed.header("x-request-id").unwrap();
    assert_eq!(failed.status, 503);
    assert!(failed.body.contains(&format!("Reference: {id}")), "{}", failed.body);
}

#[test]
fn a_failure_that_each_request_meets_is_told_about_once_a_second() {
    let (_site, server) = broken();
    let began = std::time::Instant::now();
    for _ in 0..200 {
        let request = Wire::get("/brief_introduction").header("Cookie", "session=a");
        assert_eq!(request.send(server.port).status, 503);
    }
    server.wait_for_log("more like it");
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let lines = server.log().matches("failed to load").count();
    assert!(lines <= seconds + 2, "{lines} lines in {seconds} s");
}
