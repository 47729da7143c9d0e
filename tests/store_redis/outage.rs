//! Redis away, hung, or refusing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dewar::session::store::Replacement;
use rocket::tokio;

use crate::servers::{self, redis};
use crate::support::Site;
use crate::{LIMIT, LONG, key, open, server, url};

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
            store.create(&crate::key(), b"x", LONG).await.unwrap_err(),
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

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_in() {
    let Some(server) = server("a_store_outlives_the_runtime_that_it_was_first_used_in") else {
        return;
    };
    let store = open(&url(&server));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime().block_on(store.load(&key())).unwrap(), None);
    // One ends in the middle of an attempt to connect.
    server.hang();
    runtime().block_on(async {
        let (store, key) = (Arc::clone(&store), key());
        tokio::spawn(async move { store.load(&key).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    server.go_on();
    let last = runtime();
    let loads = (0..3).map(|_| last.block_on(store.load(&key())));
    assert_eq!(loads.last().unwrap().unwrap(), None);
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
        let begin = Instant::now();
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

#[rocket::async_test]
async fn a_server_that_is_not_redis_is_an_error() {
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"$-5\r\n", b"*3\r\n", b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            }
        });
        let failure = open(&format!("redis://:hunter2@{at}")).load(&key()).await.unwrap_err();
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
