//! The Redis store keeps every store's promises, and some of its own.

#![cfg(feature = "app")]

mod access;
#[path = "../conformance/mod.rs"]
mod conformance;
mod cost;
mod many;
mod outage;
#[path = "../servers/mod.rs"]
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use dewar::session::store::{Replacement, Store, connect};
use dewar::session::{SessionId, Settings, StoreKey};
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use servers::{Service, redis};
use support::has;

const LONG: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(1);

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("session:", true)
}

/// The store at a URL, as the settings open it.
fn open(url: &str) -> Arc<dyn Store> {
    let settings = Figment::from(("SESSION_TYPE", "redis"))
        .merge(("SESSION_REDIS", url))
        .merge(("SESSION_STORE_TIMEOUT", LIMIT.as_secs()));
    connect(&Settings::from_figment(&settings).unwrap()).unwrap().unwrap()
}

fn url(server: &Service) -> String {
    format!("redis://127.0.0.1:{}/0", server.port)
}

fn is_here(test: &str) -> bool {
    has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test)
}

fn server(test: &str) -> Option<Service> {
    is_here(test).then(redis::server)
}

#[rocket::async_test]
async fn it_conforms() {
    let Some(server) = server("it_conforms") else { return };
    conformance::all(|| async { open(&url(&server)) }).await;
}

#[rocket::async_test]
async fn processes_that_update_at_the_same_time_lose_nothing() {
    let test = "processes_that_update_at_the_same_time_lose_nothing";
    let open = |place: String| async move { open(&place) };
    if conformance::in_another_process().is_some() {
        conformance::processes_that_update_at_the_same_time_lose_nothing(test, "", open).await;
    } else if let Some(server) = server(test) {
        let url = url(&server);
        conformance::processes_that_update_at_the_same_time_lose_nothing(test, &url, open).await;
    }
}

#[rocket::async_test]
async fn a_session_is_a_string_with_an_expiry() {
    let Some(server) = server("a_session_is_a_string_with_an_expiry") else { return };
    let (store, key) = (open(&url(&server)), key());
    let bytes: Vec<u8> = (0..=255).collect();
    store.create(&key, &bytes, LONG).await.unwrap();
    assert_eq!(redis::ask(server.port, &["TYPE", key.as_str()]), "string");
    let output = redis::ask_with(server.port, &["GET", key.as_str()], None).stdout;
    assert_eq!(output.strip_suffix(b"\n").unwrap(), bytes);
    let left: u64 = redis::ask(server.port, &["PTTL", key.as_str()]).parse().unwrap();
    assert!(left > 3_590_000 && left <= 3_600_000, "{left}");
    let ttl = Duration::from_micros(100_000_001);
    let replacement = Replacement::Bytes { bytes: b"x".to_vec(), ttl };
    assert!(store.replace(&key, &bytes, &replacement).await.unwrap());
    let left: u64 = redis::ask(server.port, &["PTTL", key.as_str()]).parse().unwrap();
    assert!(left > 90_000 && left <= 100_001, "{left}");
}

#[rocket::async_test]
async fn what_flask_session_writes_is_read() {
    let Some(server) = server("what_flask_session_writes_is_read") else { return };
    let store = open(&url(&server));
    for (index, record) in conformance::flask_records().iter().enumerate() {
        let key = format!("session:{index}");
        redis::ask_with(server.port, &["SETEX", &key, "3600"], Some(record));
        let read = store.load(&StoreKey::new(key)).await.unwrap().unwrap();
        assert_eq!(read.bytes, *record);
        assert!(read.expires_in.unwrap() > LONG - Duration::from_secs(60));
    }
    redis::ask(server.port, &["SET", "session:for ever", "x"]);
    let record = store.load(&StoreKey::new("session:for ever")).await.unwrap().unwrap();
    assert_eq!(record.expires_in, None);
    redis::ask(server.port, &["SET", "session:empty", ""]);
    let empty = StoreKey::new("session:empty");
    assert_eq!(store.load(&empty).await.unwrap(), None);
    assert!(!store.replace(&empty, b"", &Replacement::Removed).await.unwrap());
}

#[rocket::async_test]
async fn prefixes_and_databases_keep_applications_apart() {
    let Some(server) = server("prefixes_and_databases_keep_applications_apart") else { return };
    let store = open(&url(&server));
    let other = open(&format!("redis://127.0.0.1:{}/7", server.port));
    for key in ["a*b:1", "aXb:1", "a*b:2", "a?b:1", "[ab]:1", "b:1", "a*", "A*b:1", "a\\*b:1"] {
        store.create(&StoreKey::new(key), b"x", LONG).await.unwrap();
    }
    redis::ask(server.port, &["RPUSH", "a*b:list", "x"]);
    let no_text = "return redis.call('SET', KEYS[1] .. '\\255', 'x')";
    redis::ask(server.port, &["EVAL", no_text, "1", "a*b:"]);
    let listed = async |store: &dyn Store, prefix: &str| {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = store.scan(prefix, from.as_ref(), 2).await.unwrap().unwrap();
            found.extend(page.sessions.iter().map(|listed| listed.key.as_str().to_owned()));
            from = page.next;
            if from.is_none() {
                found.sort();
                found.dedup();
                return found;
            }
        }
    };
    assert_eq!(listed(&*store, "a*b:").await, ["a*b:1", "a*b:2"]);
    assert_eq!(listed(&*store, "[ab]:").await, ["[ab]:1"]);
    assert_eq!(listed(&*store, "a\\").await, ["a\\*b:1"]);
    assert!(listed(&*other, "").await.is_empty());
    assert_eq!(other.load(&StoreKey::new("b:1")).await.unwrap(), None);
}

#[rocket::async_test]
async fn a_listing_begins_again_when_the_server_does() {
    let Some(mut server) = server("a_listing_begins_again_when_the_server_does") else { return };
    let store = open(&url(&server));
    let mut keys: Vec<_> = (0..300).map(|i| StoreKey::new(format!("session:{i}"))).collect();
    for key in &keys {
        store.create(key, b"x", LONG).await.unwrap();
    }
    let page = store.scan("session:", None, 100).await.unwrap().unwrap();
    server.kill();
    server.restart();
    let (mut found, mut from) = (Vec::new(), page.next);
    while let Some(cursor) = from {
        let page = store.scan("session:", Some(&cursor), 100).await.unwrap().unwrap();
        found.extend(page.sessions.into_iter().map(|listed| listed.key));
        from = page.next;
    }
    found.sort();
    found.dedup();
    keys.sort();
    assert_eq!(found, keys);
}

#[test]
fn the_documented_settings_are_taken() {
    let documented = servers::documented("redis");
    assert!(!documented.is_empty());
    for text in documented {
        let settings = Figment::from(Toml::string(&text));
        assert!(connect(&Settings::from_figment(&settings).unwrap()).is_ok(), "{text}");
    }
}
