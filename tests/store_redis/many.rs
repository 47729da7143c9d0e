//! More than one server: behind Sentinels, and in a Cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dewar::session::StoreKey;
use dewar::session::store::{Replacement, Store};
use rocket::tokio;

use crate::servers::{self, redis};
use crate::support::wait_for;
use crate::{LONG, conformance, is_here, key, open};

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
        let to = crate::key();
        let moved =
            Replacement::Moved { key: to.clone(), bytes: b"y".to_vec(), ttl: LONG, forward: None };
        assert!(!store.replace(key, b"stale", &moved).await.unwrap());
        assert_eq!(store.load(&to).await.unwrap(), None, "undone");
        assert!(store.replace(key, b"x", &moved).await.unwrap());
        assert_eq!(store.load(key).await.unwrap(), None);
        assert_eq!(store.load(&to).await.unwrap().unwrap().bytes, b"y");
    }
    let single = open(&crate::url(&nodes[0]));
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
            tokio::spawn(async move {
                let begin = Instant::now();
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
    let begin = Instant::now();
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
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(store.create(&crate::key(), b"x", LONG).await.unwrap());
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
    let begin = Instant::now();
    while let Err(failure) = store.touch(key, LONG).await {
        assert!(begin.elapsed() < Duration::from_secs(2), "{failure}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(store.load(key).await.unwrap().unwrap().bytes, b"x");
}
