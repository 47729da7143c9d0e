//! `dewar sessions` over every store: what can be listed is, and what cannot is told plainly.

mod servers;
mod support;

use serde_json::Value;
use servers::mariadb::Mariadb;
use servers::postgres::Postgres;
use servers::{memcached, mongodb, redis};
use support::{Browser, PASSWORD, Server, Site, USER, has};

fn set_up(settings: &str) -> (Site, Server) {
    let site = Site::new(settings);
    site.run_with_input(&["user", "add", "other", "--password-stdin"], PASSWORD);
    let server = site.serve();
    (site, server)
}

fn json(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&site.run(&[arguments, &["--json"]].concat())).unwrap()
}

/// A store whose sessions can be listed.
fn listed(settings: &str) {
    let (site, server) = set_up(settings);
    let (one, two, other) = (server.signed_in(), server.signed_in(), server.browser());
    let form = [("username", "other"), ("password", PASSWORD)];
    assert_eq!(other.post("/login", &form).status, 303, "{settings}");

    let list = json(&site, &["sessions", "list", "--user", USER]);
    assert_eq!(list.as_array().unwrap().len(), 2, "{settings}: {list}");
    assert!(list[0]["expires"].is_number(), "{settings}: {list}");
    let stats = json(&site, &["sessions", "stats"]);
    assert_eq!((&stats["live"], &stats["signed_in"]), (&3.into(), &3.into()), "{settings}");
    assert!(json(&site, &["sessions", "sweep"])["swept"].is_number(), "{settings}");

    let handle = list[0]["handle"].as_str().unwrap();
    assert_eq!(json(&site, &["sessions", "revoke", handle])["ended"], 1, "{settings}");
    let left = [&one, &two].into_iter().filter(|visitor| visitor.is_signed_in()).count();
    assert_eq!(left, 1, "{settings}");
    assert_eq!(json(&site, &["sessions", "revoke", "--user", USER])["ended"], 1, "{settings}");
    assert!(!one.is_signed_in() && !two.is_signed_in() && other.is_signed_in(), "{settings}");
    assert_eq!(json(&site, &["sessions", "revoke", "--all"])["ended"], 1, "{settings}");
    assert!(!other.is_signed_in(), "{settings}");
}

/// A store whose sessions cannot be listed: an account's are ended all the same.
fn not_listed(settings: &str) {
    let (site, server) = set_up(settings);
    let (one, other) = (server.signed_in(), server.browser());
    other.post("/login", &[("username", "other"), ("password", PASSWORD)]);
    for command in [
        &["sessions", "list"][..],
        &["sessions", "stats"],
        &["sessions", "revoke", "0123456789abcdef"],
    ] {
        let (status, problem) = site.fail(command, b"");
        assert_eq!(status, 1, "{settings}");
        assert!(problem.contains("cannot list its sessions"), "{settings}: {problem}");
        assert!(problem.contains("revoke --user"), "{settings}: {problem}");
    }
    assert_eq!(json(&site, &["sessions", "revoke", "--user", USER])["ended"], Value::Null);
    assert!(!one.is_signed_in() && other.is_signed_in(), "{settings}");
    assert!(server.signed_in().is_signed_in(), "{settings}");
}

#[test]
fn sessions_in_files_of_sqlite_are_listed_and_ended() {
    listed("SESSION_SERIALIZATION_FORMAT = 'json'");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sessions.db");
    listed(&format!(
        "SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = 'sqlite:///{}'",
        file.display()
    ));
}

#[test]
fn sessions_in_redis_are_listed_and_ended() {
    let test = "sessions_in_redis_are_listed_and_ended";
    if has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test) {
        let store = redis::server();
        let url = format!("redis://127.0.0.1:{}/0", store.port);
        listed(&format!("SESSION_TYPE = 'redis'\nSESSION_REDIS = '{url}'"));
    }
}

#[test]
#[ignore = "the stand-in itself, which another test starts"]
fn the_stand_in() {
    mongodb::serve();
}

#[test]
fn sessions_in_what_stands_in_for_mongodb_are_listed_and_ended() {
    let store = mongodb::stand_in("the_stand_in");
    let url = format!("mongodb://127.0.0.1:{}", store.port);
    listed(&format!("SESSION_TYPE = 'mongodb'\nSESSION_MONGODB = '{url}'"));
}

#[test]
fn sessions_in_postgresql_are_listed_and_ended() {
    let test = "sessions_in_postgresql_are_listed_and_ended";
    let Some(store) = Postgres::start(test, &[]) else { return };
    listed(&format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = '{}'", store.url()));
}

#[test]
fn sessions_in_mariadb_are_listed_and_ended() {
    let test = "sessions_in_mariadb_are_listed_and_ended";
    let Some(store) = Mariadb::start(test) else { return };
    listed(&format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = '{}'", store.url()));
}

#[test]
fn sessions_in_memcached_and_in_plain_files_are_ended_unlisted() {
    not_listed("SESSION_TYPE = 'filesystem'\nSESSION_FILE_DIR = 'sessions'");
    let test = "sessions_in_memcached_and_in_plain_files_are_ended_unlisted";
    if has(memcached::is_here(), "memcached (Debian's memcached)", test) {
        let store = memcached::server(&[]);
        let address = format!("127.0.0.1:{}", store.port);
        not_listed(&format!("SESSION_TYPE = 'memcached'\nSESSION_MEMCACHED = '{address}'"));
    }
}

#[test]
fn a_session_whose_id_has_changed_is_listed_once_and_ends_under_each_id() {
    let site = Site::new("SESSION_ROTATE_AFTER = 5\nSESSION_ROTATE_GRACE = 5");
    let server = site.serve();
    let visitor = server.signed_in();
    let old = visitor.cookie.borrow().clone().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5_100));
    assert!(visitor.is_signed_in());
    assert_ne!(visitor.cookie.borrow().as_deref(), Some(&*old));

    let list = json(&site, &["sessions", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!(json(&site, &["sessions", "stats"])["live"], 1);
    let handle = list[0]["handle"].as_str().unwrap();
    assert_eq!(json(&site, &["sessions", "revoke", handle])["ended"], 1);
    assert!(!visitor.is_signed_in() && !Browser::with_cookie(server.port, &old).is_signed_in());
}
