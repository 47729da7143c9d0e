//! The Redis store keeps every store's promises, and some of its own.

#![cfg(feature = "app")]

mod conformance;
mod servers;
mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dewar::session::store::{Replacement, Store, connect};
use dewar::session::{SessionId, Settings, StoreKey};
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use servers::{Service, redis};
use support::{Site, has, wait_for};

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

#[rocket::async_test]
async fn outages_end_within_the_limit_and_by_themselves() {
    let Some(mut server) = server("outages_end_within_the_limit_and_by_themselves") else { return };
    let store = open(&url(&server));
    let port = server.port;
    servers::outage::is_survived(store, &mut server, LIMIT, || redis::connections(port), 1).await;
}

#[rocket::async_test]
async fn a_server_that_takes_no_writes_says_why_and_is_used_again_when_it_does() {
    let test = "a_server_that_takes_no_writes_says_why_and_is_used_again_when_it_does";
    let Some(server) = server(test) else { return };
    let (store, key) = (open(&url(&server)), key());
    store.create(&key, b"x", LONG).await.unwrap();
    let change = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    let same = Replacement::Bytes { bytes: b"x".to_vec(), ttl: LONG };
    let nowhere = servers::free_port().to_string();
    for (before, words, after) in [
        (
            &["CONFIG", "SET", "maxmemory", "1"][..],
            "out of memory",
            &["CONFIG", "SET", "maxmemory", "0"][..],
        ),
        (&["REPLICAOF", "127.0.0.1", &nowhere], "replica", &["REPLICAOF", "NO", "ONE"]),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            "too few",
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ] {
        assert_eq!(redis::ask(server.port, before), "OK");
        for failure in [
            store.create(&self::key(), b"x", LONG).await.unwrap_err(),
            store.replace(&key, b"x", &change).await.unwrap_err(),
        ] {
            let shown = format!("{failure} {failure:?}");
            assert!(shown.contains(words), "{shown}");
            assert!(!shown.contains(key.as_str()), "{shown}");
        }
        assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, b"x", "reads go on: {words}");
        assert_eq!(redis::ask(server.port, after), "OK");
        assert!(store.replace(&key, b"x", &same).await.unwrap(), "{words}");
    }
}

#[rocket::async_test]
async fn passwords_are_used_and_never_shown() {
    let Some(server) = server("passwords_are_used_and_never_shown") else { return };
    let at = format!("127.0.0.1:{}", server.port);
    redis::ask(server.port, &["ACL", "SETUSER", "app", "on", ">hunter2:@/", "~session:*", "+@all"]);
    redis::ask(
        server.port,
        &["ACL", "SETUSER", "reader", "on", ">hunter2", "~*", "+@read", "+ping"],
    );
    redis::ask(server.port, &["CONFIG", "SET", "requirepass", "hunter3"]);
    for (login, words) in
        [("", "wants a password"), (":hunter2@", "refuses"), ("nobody:hunter2@", "refuses")]
    {
        let store = open(&format!("redis://{login}{at}"));
        let failure = store.load(&key()).await.unwrap_err();
        let shown = format!("{failure} {failure:?} {store:?}");
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for login in ["app:hunter2%3A%40%2F@", ":hunter3@", "default:hunter3@"] {
        let store = open(&format!("redis://{login}{at}"));
        assert!(store.create(&key(), b"x", LONG).await.unwrap(), "{login}");
    }
    let reader = open(&format!("redis://reader:hunter2@{at}"));
    assert_eq!(reader.load(&key()).await.unwrap(), None);
    let shown = reader.create(&key(), b"x", LONG).await.unwrap_err().to_string();
    assert!(shown.contains("lacks a permission"), "{shown}");
    let beyond = open(&format!("redis://:hunter3@{at}/99"));
    let shown = beyond.ping().await.unwrap_err().to_string();
    assert!(shown.contains("no database of the number"), "{shown}");
}

#[rocket::async_test]
async fn the_documented_user_may_do_all_that_is_needed() {
    let Some(server) = server("the_documented_user_may_do_all_that_is_needed") else { return };
    let docs = include_str!("../docs/stores.md");
    let line = docs.lines().find(|line| line.starts_with("ACL SETUSER")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(redis::ask(server.port, &words), "OK");
    let store = open(&format!("redis://dewar:password@127.0.0.1:{}/1", server.port));
    let (key, to) = (key(), key());
    let change = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    let moved = Replacement::Moved { key: to.clone(), bytes: b"z".to_vec(), ttl: LONG };
    assert!(store.create(&key, b"x", LONG).await.unwrap());
    assert!(store.replace(&key, b"x", &change).await.unwrap());
    assert!(store.replace(&key, b"y", &moved).await.unwrap());
    assert!(store.touch(&to, LONG).await.unwrap());
    assert_eq!(store.scan("session:", None, 10).await.unwrap().unwrap().sessions.len(), 1);
    assert!(store.replace(&to, b"z", &Replacement::Removed).await.unwrap());
    store.delete(&to).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(redis::connections(server.port), 1, "it may give its name");
    assert!(store.create(&StoreKey::new("other:1"), b"x", LONG).await.is_err());
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let Some(server) = server("a_store_outlives_the_runtime_that_it_was_first_used_in") else {
        return;
    };
    let store = open(&url(&server));
    let runtime =
        || rocket::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime().block_on(store.load(&key())).unwrap(), None);
    // One ends in the middle of an attempt to connect.
    server.hang();
    runtime().block_on(async {
        let (store, key) = (Arc::clone(&store), key());
        rocket::tokio::spawn(async move { store.load(&key).await });
        rocket::tokio::time::sleep(Duration::from_millis(100)).await;
    });
    server.go_on();
    let last = runtime();
    let loads = (0..3).map(|_| last.block_on(store.load(&key())));
    assert_eq!(loads.last().unwrap().unwrap(), None);
}

#[rocket::async_test]
async fn a_crowd_shares_one_connection() {
    let Some(server) = server("a_crowd_shares_one_connection") else { return };
    let store = open(&url(&server));
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let store = Arc::clone(&store);
            rocket::tokio::spawn(async move {
                let key = key();
                assert!(store.create(&key, b"x", LONG).await.unwrap());
                assert!(store.load(&key).await.unwrap().is_some());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(redis::connections(server.port), 1);
    redis::ask(server.port, &["SCRIPT", "FLUSH"]);
    let key = key();
    store.create(&key, b"x", LONG).await.unwrap();
    assert!(store.replace(&key, b"x", &Replacement::Removed).await.unwrap(), "a forgotten script");
    redis::ask(server.port, &["CLIENT", "KILL", "TYPE", "normal"]);
    assert_eq!(store.load(&key).await.unwrap(), None, "a connection closed while idle");
}

/// Carries bytes between the program and a server and counts the round trips: how often the
/// program speaks after the server has.
fn counting(server: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, trips) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&trips);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let answered = Arc::new(AtomicBool::new(true));
            let (count, asked) = (Arc::clone(&count), Arc::clone(&answered));
            carry(client.try_clone().unwrap(), server.try_clone().unwrap(), move || {
                count.fetch_add(usize::from(asked.swap(false, Ordering::SeqCst)), Ordering::SeqCst);
            });
            carry(server, client, move || answered.store(true, Ordering::SeqCst));
        }
    });
    (port, trips)
}

fn carry(mut from: TcpStream, mut to: TcpStream, each: impl Fn() + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            each();
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_page_costs_one_round_trip() {
    let Some(redis) = server("a_page_costs_one_round_trip") else { return };
    let (port, trips) = counting(redis.port);
    let settings =
        format!("SESSION_TYPE = \"redis\"\nSESSION_REDIS = \"redis://127.0.0.1:{port}\"");
    let site = Site::new(&settings);
    let server = site.serve();
    let browser = server.signed_in();
    assert!(browser.is_signed_in());
    let before = trips.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(browser.get("/brief_introduction").status, 200);
    }
    assert_eq!(trips.load(Ordering::SeqCst) - before, 10);
    let keys = redis::ask(redis.port, &["KEYS", "*"]);
    assert!(keys.starts_with("session:") && keys.lines().count() == 1, "{keys}");
}

#[rocket::async_test]
async fn it_conforms_in_a_cluster() {
    if !is_here("it_conforms_in_a_cluster") {
        return;
    }
    let nodes = redis::cluster();
    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", nodes[0].port, nodes[1].port);
    conformance::all(|| async { open(&url) }).await;
    let store = open(&url);
    let keys: Vec<_> = (0..50).map(|_| key()).collect();
    for key in &keys {
        store.create(key, b"x", LONG).await.unwrap();
    }
    for node in &nodes {
        let count: usize = redis::ask(node.port, &["DBSIZE"]).parse().unwrap();
        assert!((5..40).contains(&count), "spread over all: {count}");
        assert!(redis::connections(node.port) <= 2, "one of each store");
    }
    for key in &keys {
        let to = self::key();
        let moved = Replacement::Moved { key: to.clone(), bytes: b"y".to_vec(), ttl: LONG };
        assert!(!store.replace(key, b"stale", &moved).await.unwrap());
        assert_eq!(store.load(&to).await.unwrap(), None, "undone");
        assert!(store.replace(key, b"x", &moved).await.unwrap());
        assert_eq!(store.load(key).await.unwrap(), None);
        assert_eq!(store.load(&to).await.unwrap().unwrap().bytes, b"y");
    }
    let single = open(&self::url(&nodes[0]));
    let mut failures = Vec::new();
    for key in &keys {
        failures.extend(single.load(key).await.err());
    }
    assert!(failures[0].to_string().contains("redis+cluster://"), "{}", failures[0]);
}

#[rocket::async_test]
async fn a_part_of_a_cluster_that_hangs_holds_up_its_own_keys_alone() {
    let test = "a_part_of_a_cluster_that_hangs_holds_up_its_own_keys_alone";
    if !is_here(test) {
        return;
    }
    let nodes = redis::cluster();
    for node in &nodes {
        redis::ask(node.port, &["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = open(&format!("redis+cluster://127.0.0.1:{}", nodes[0].port));
    let keys: Vec<_> = (0..30).map(|_| key()).collect();
    for key in &keys {
        store.create(key, b"x", LONG).await.unwrap();
    }
    nodes[1].hang();
    for _ in 0..2 {
        let loads = keys.iter().map(|key| {
            let (store, key) = (Arc::clone(&store), key.clone());
            rocket::tokio::spawn(async move {
                let begin = std::time::Instant::now();
                (store.load(&key).await.is_ok(), begin.elapsed())
            })
        });
        let loads: Vec<_> = loads.collect();
        let (mut good, mut bad) = (0, 0);
        for load in loads {
            let (ok, took) = load.await.unwrap();
            *(if ok { &mut good } else { &mut bad }) += 1;
            let most = Duration::from_millis(if ok { 500 } else { 1500 });
            assert!(took <= most, "{ok}: {took:?}");
        }
        assert!(good >= 10 && bad >= 3, "{good} {bad}");
    }
    nodes[1].go_on();
    let begin = std::time::Instant::now();
    for key in &keys {
        while let Err(failure) = store.load(key).await {
            assert!(begin.elapsed() < Duration::from_secs(2), "{failure}");
        }
    }
}

#[rocket::async_test]
async fn slots_that_move_are_followed() {
    if !is_here("slots_that_move_are_followed") {
        return;
    }
    let nodes = redis::cluster();
    let store = open(&format!("redis+cluster://127.0.0.1:{}", nodes[2].port));
    let (moved, between) = (StoreKey::new("{a}:1"), StoreKey::new("{a}:2"));
    let late = StoreKey::new("{a}:3");
    for key in [&moved, &between, &late] {
        store.create(key, b"x", LONG).await.unwrap();
    }
    let slot = redis::ask(nodes[0].port, &["CLUSTER", "KEYSLOT", "a"]);
    let ids: Vec<_> = nodes.iter().map(|n| redis::ask(n.port, &["CLUSTER", "MYID"])).collect();
    let from = nodes
        .iter()
        .position(|node| redis::ask(node.port, &["CLUSTER", "COUNTKEYSINSLOT", &slot]) == "3")
        .unwrap();
    let to = (from + 1) % 3;
    let on = |node: usize, words: &[&str]| redis::ask(nodes[node].port, words);
    on(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[from]]);
    on(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[to]]);
    let port = nodes[to].port.to_string();
    for key in [&moved, &between] {
        let words = ["MIGRATE", "127.0.0.1", &port, key.as_str(), "0", "1000"];
        assert_eq!(on(from, &words), "OK");
    }
    // Two are there already, one is here yet, and a new one is made there.
    let fresh = StoreKey::new("{a}:4");
    assert!(store.create(&fresh, b"x", LONG).await.unwrap());
    let change = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    for key in [&moved, &late, &fresh] {
        assert_eq!(store.load(key).await.unwrap().unwrap().bytes, b"x");
        assert!(store.replace(key, b"x", &change).await.unwrap());
    }
    let words = ["MIGRATE", "127.0.0.1", &port, late.as_str(), "0", "1000"];
    assert_eq!(on(from, &words), "OK");
    for node in [to, from, (from + 2) % 3] {
        on(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &ids[to]]);
    }
    for key in [&moved, &late, &fresh] {
        assert_eq!(store.load(key).await.unwrap().unwrap().bytes, b"y");
    }
    assert!(store.replace(&between, b"x", &Replacement::Removed).await.unwrap());
}

#[rocket::async_test]
async fn a_failover_is_followed() {
    if !is_here("a_failover_is_followed") {
        return;
    }
    let mut servers = redis::Watched::start();
    let url = sentinel_url(&servers);
    conformance::all(|| async { open(&url) }).await;
    let (store, key) = (open(&url), key());
    store.create(&key, b"x", LONG).await.unwrap();
    assert_eq!(redis::ask(servers.primary.port, &["WAIT", "1", "5000"]), "1");

    servers.primary.kill();
    assert!(store.load(&key).await.is_err());
    wait_for("the failover", || (servers.primary_port() == servers.replica.port).then_some(()));
    works_within_two_seconds(&*store, &key).await;

    servers.sentinel.kill();
    assert!(store.load(&key).await.is_ok(), "Sentinels are asked when a connection is made");
    let shown = open(&url).load(&key).await.unwrap_err().to_string();
    assert!(shown.contains("no Sentinel names a primary"), "{shown}");
}

#[rocket::async_test]
async fn a_primary_that_becomes_a_replica_is_left() {
    if !is_here("a_primary_that_becomes_a_replica_is_left") {
        return;
    }
    let servers = redis::Watched::start();
    let (store, key) = (open(&sentinel_url(&servers)), key());
    store.create(&key, b"x", LONG).await.unwrap();
    assert_eq!(redis::ask(servers.primary.port, &["WAIT", "1", "5000"]), "1");
    wait_for("the Sentinel to agree", || {
        let words = ["SENTINEL", "FAILOVER", "sessions"];
        (redis::ask(servers.sentinel.port, &words) == "OK").then_some(())
    });
    wait_for("the failover", || (servers.primary_port() == servers.replica.port).then_some(()));
    works_within_two_seconds(&*store, &key).await;
    rocket::tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(store.create(&self::key(), b"x", LONG).await.unwrap());
    assert_eq!(redis::connections(servers.replica.port), 1, "the new primary");
    assert_eq!(
        redis::connections(servers.primary.port),
        0,
        "the old, whatever it takes itself for"
    );
}

#[rocket::async_test]
async fn a_primary_may_want_a_password_and_its_sentinels_none() {
    if !is_here("a_primary_may_want_a_password_and_its_sentinels_none") {
        return;
    }
    let servers = redis::Watched::start();
    redis::ask(servers.primary.port, &["CONFIG", "SET", "requirepass", "hunter2"]);
    let url = sentinel_url(&servers);
    let store = open(&url.replace("://", "://:hunter2@"));
    assert!(store.create(&key(), b"x", LONG).await.unwrap());
    for (login, words) in [("", "wants a password"), (":hunter3@", "refuses")] {
        let store = open(&url.replace("://", &format!("://{login}")));
        let shown = store.ping().await.unwrap_err().to_string();
        assert!(shown.contains("primary"), "{shown}");
        // The Sentinel that is away may have been heard last.
        assert!(shown.contains(words) || shown.contains("refused"), "{shown}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}

/// Where it asks, the first of two Sentinels being away.
fn sentinel_url(servers: &redis::Watched) -> String {
    let (away, here) = (servers::free_port(), servers.sentinel.port);
    format!("redis+sentinel://127.0.0.1:{away},127.0.0.1:{here}/sessions/0")
}

async fn works_within_two_seconds(store: &dyn Store, key: &StoreKey) {
    let begin = std::time::Instant::now();
    while let Err(failure) = store.touch(key, LONG).await {
        assert!(begin.elapsed() < Duration::from_secs(2), "{failure}");
        rocket::tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.load(key).await.unwrap().unwrap().bytes, b"x");
}

#[rocket::async_test]
async fn tls_wants_an_authority_that_this_machine_trusts() {
    let test = "tls_wants_an_authority_that_this_machine_trusts";
    if let Some((place, key)) = conformance::in_another_process() {
        let store = open(&place);
        store.create(&key, b"over TLS", LONG).await.unwrap();
        return conformance::all(|| async { open(&place) }).await;
    }
    let here = is_here(test) && has(servers::find("openssl").is_some(), "openssl", test);
    if !here {
        return;
    }
    let (server, authority) = redis::with_tls();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("rediss://{host}:{}", server.port);
        let key = key();
        let mut trusting = conformance::another_process(test, &url, &key);
        assert!(trusting.env("SSL_CERT_FILE", &authority).status().unwrap().success());
    }
    // Without the authority it is no better than a stranger.
    let mut stranger =
        conformance::another_process(test, &format!("rediss://127.0.0.1:{}", server.port), &key());
    let output =
        stranger.env_remove("SSL_CERT_FILE").stderr(std::process::Stdio::piped()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && shown.contains("SSL_CERT_FILE"), "{shown}");
    // And one that does not speak TLS gets nowhere.
    let shown = open(&url(&server)).load(&key()).await.unwrap_err().to_string();
    assert!(shown.contains("by rediss://"), "{shown}");
    let plain = redis::server();
    let store = open(&format!("rediss://127.0.0.1:{}", plain.port));
    let shown = store.load(&key()).await.unwrap_err().to_string();
    assert!(shown.contains("by redis://"), "{shown}");
}

#[test]
fn an_outage_is_a_503_and_signs_nobody_out() {
    let Some(mut redis) = server("an_outage_is_a_503_and_signs_nobody_out") else { return };
    let settings = format!(
        "SESSION_TYPE = \"redis\"\nSESSION_REDIS = \"{}\"\nSESSION_STORE_TIMEOUT = 1",
        url(&redis)
    );
    let site = Site::new(&settings);
    let server = site.serve();
    let browser = server.signed_in();
    let is_away = || {
        let begin = std::time::Instant::now();
        let answer = browser.get("/brief_introduction");
        assert_eq!(answer.status, 503);
        assert!(answer.header("Retry-After").is_some() && answer.header("Set-Cookie").is_none());
        assert!(begin.elapsed() < Duration::from_millis(1500), "{:?}", begin.elapsed());
    };
    redis.hang();
    is_away();
    redis.go_on();
    std::thread::sleep(Duration::from_secs(2));
    assert!(browser.is_signed_in());
    redis.kill();
    is_away();
    redis.restart();
    std::thread::sleep(Duration::from_secs(2));
    assert!(browser.is_signed_in());
    assert!(!server.log().contains("session:"), "no key in the log");
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
