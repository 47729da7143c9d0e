//! What a page and a crowd cost Redis.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dewar::session::store::Replacement;
use rocket::tokio;

use crate::servers::redis;
use crate::support::Site;
use crate::{LONG, key, open, server, url};

#[rocket::async_test]
async fn a_crowd_shares_one_connection() {
    let Some(server) = server("a_crowd_shares_one_connection") else { return };
    let store = open(&url(&server));
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
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
