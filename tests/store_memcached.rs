//! The memcached store keeps every store's promises, and some of its own.

#![cfg(feature = "app")]

mod conformance;
mod servers;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use dewar::session::store::{Replacement, Store, connect};
use dewar::session::{SessionId, Settings, StoreKey};
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use servers::{Service, memcached};
use support::has;

const LONG: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(1);

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("session:", true)
}

/// The store on these servers, as the settings open it.
fn open(servers: &[&str]) -> Arc<dyn Store> {
    let settings = Figment::from(("SESSION_TYPE", "memcached"))
        .merge(("SESSION_MEMCACHED", servers))
        .merge(("SESSION_STORE_TIMEOUT", LIMIT.as_secs()));
    connect(&Settings::from_figment(&settings).unwrap()).unwrap().unwrap()
}

fn address(server: &Service) -> String {
    format!("127.0.0.1:{}", server.port)
}

fn server(test: &str, options: &'static [&'static str]) -> Option<Service> {
    let here = has(memcached::is_here(), "memcached (Debian's memcached)", test);
    here.then(|| memcached::server(options))
}

/// What the server answers, up to a line that is `end`.
fn ask(port: u16, message: &[u8], end: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(message).unwrap();
    let mut answer = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if line == end {
            break;
        }
        answer += &(line + "\n");
    }
    answer
}

fn put(port: u16, key: &str, bytes: &[u8]) {
    let command = format!("set {key} 0 0 {}\r\n", bytes.len());
    let message = [command.as_bytes(), bytes, b"\r\n"];
    assert_eq!(ask(port, &message.concat(), "STORED"), "");
}

/// The connections that it has, but for the one that asks.
fn connections(port: u16) -> usize {
    let told = ask(port, b"stats\r\n", "END");
    let count = told.lines().find_map(|line| line.strip_prefix("STAT curr_connections "));
    // It counts its listener too.
    count.unwrap().parse::<usize>().unwrap() - 2
}

#[rocket::async_test]
async fn it_conforms() {
    let Some(server) = server("it_conforms", &[]) else { return };
    conformance::all(|| async { open(&[&address(&server)]) }).await;
}

#[rocket::async_test]
async fn it_conforms_on_several_servers() {
    let test = "it_conforms_on_several_servers";
    let (Some(a), Some(b), Some(c)) = (server(test, &[]), server(test, &[]), server(test, &[]))
    else {
        return;
    };
    let servers = [&a, &b, &c].map(address);
    let servers: Vec<&str> = servers.iter().map(|server| &**server).collect();
    conformance::all(|| async { open(&servers) }).await;
    for server in [a, b, c] {
        assert!(!ask(server.port, b"stats\r\n", "END").contains("STAT cmd_set 0\n"), "has no keys");
    }
}

#[rocket::async_test]
async fn processes_that_update_at_the_same_time_lose_nothing() {
    let test = "processes_that_update_at_the_same_time_lose_nothing";
    let open = |place: String| async move { open(&[&place]) };
    if conformance::in_another_process().is_some() {
        conformance::processes_that_update_at_the_same_time_lose_nothing(test, "", open).await;
    } else if let Some(server) = server(test, &[]) {
        let at = address(&server);
        conformance::processes_that_update_at_the_same_time_lose_nothing(test, &at, open).await;
    }
}

#[rocket::async_test]
async fn what_flask_session_writes_is_read() {
    let Some(server) = server("what_flask_session_writes_is_read", &[]) else { return };
    let store = open(&[&address(&server)]);
    for (index, record) in conformance::flask_records().iter().enumerate() {
        let key = format!("session:{index}");
        put(server.port, &key, record);
        let read = store.load(&StoreKey::new(key)).await.unwrap().unwrap();
        assert_eq!((read.bytes, read.expires_in), (record.clone(), None));
    }
    put(server.port, "session:empty", b"");
    let empty = StoreKey::new("session:empty");
    assert_eq!(store.load(&empty).await.unwrap(), None);
    assert!(!store.replace(&empty, b"", &Replacement::Removed).await.unwrap());
}

#[rocket::async_test]
async fn an_item_has_no_flags_and_the_lifetime_that_was_asked_for() {
    let test = "an_item_has_no_flags_and_the_lifetime_that_was_asked_for";
    let Some(server) = server(test, &[]) else { return };
    let store = open(&[&address(&server)]);
    // More than 30 days memcached takes for a time since 1970.
    for days in [1, 30, 31, 400] {
        let (key, ttl) = (key(), Duration::from_secs(days * 86_400));
        store.create(&key, b"value", ttl).await.unwrap();
        let left = store.load(&key).await.unwrap().unwrap().expires_in.unwrap();
        assert!(left >= ttl && left <= ttl + Duration::from_secs(3), "{days} days: {left:?}");
        assert!(store.touch(&key, ttl).await.unwrap());
        let left = store.load(&key).await.unwrap().unwrap().expires_in.unwrap();
        assert!(left >= ttl && left <= ttl + Duration::from_secs(3), "{days} days: {left:?}");
        let message = format!("get {}\r\n", key.as_str());
        let told = ask(server.port, message.as_bytes(), "END");
        assert_eq!(told, format!("VALUE {} 0 5\nvalue\n", key.as_str()));
    }
}

#[rocket::async_test]
async fn a_key_that_memcached_refuses_is_unknown_without_asking() {
    // Nobody is there to be asked.
    let store = open(&[&format!("127.0.0.1:{}", servers::free_port())]);
    let change = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    for key in ["session:a b", "session:a\r\nflush_all", &"k".repeat(251), ""] {
        let key = StoreKey::new(key);
        assert_eq!(store.load(&key).await.unwrap(), None);
        assert!(!store.replace(&key, b"", &change).await.unwrap());
        assert!(!store.touch(&key, LONG).await.unwrap());
        store.delete(&key).await.unwrap();
        let shown = store.create(&key, b"x", LONG).await.unwrap_err().to_string();
        assert!(shown.contains("250 bytes"), "{shown}");
    }
    assert!(store.load(&key()).await.is_err());
}

#[rocket::async_test]
async fn a_session_over_the_item_limit_is_an_error_and_the_old_one_stays() {
    let test = "a_session_over_the_item_limit_is_an_error_and_the_old_one_stays";
    let Some(server) = server(test, &[]) else { return };
    let (store, key) = (open(&[&address(&server)]), key());
    store.create(&key, b"x", LONG).await.unwrap();
    let large = vec![b'x'; 1 << 20];
    let change = Replacement::Bytes { bytes: large.clone(), ttl: LONG };
    let moved =
        Replacement::Moved { key: self::key(), bytes: large.clone(), ttl: LONG, forward: None };
    for failure in [
        store.replace(&key, b"x", &change).await.unwrap_err(),
        store.replace(&key, b"x", &moved).await.unwrap_err(),
        store.create(&self::key(), &large, LONG).await.unwrap_err(),
    ] {
        let shown = failure.to_string();
        assert!(shown.contains("larger than memcached takes (1048576 bytes)"), "{shown}");
        assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, b"x");
    }
}

#[rocket::async_test]
async fn a_full_server_that_forgets_nothing_says_so() {
    let test = "a_full_server_that_forgets_nothing_says_so";
    let Some(server) = server(test, &["-m", "8", "-M"]) else { return };
    let store = open(&[&address(&server)]);
    let failure = loop {
        if let Err(failure) = store.create(&key(), &[b'x'; 100_000], LONG).await {
            break failure;
        }
    };
    assert!(failure.to_string().contains("out of memory"), "{failure}");
    assert_eq!(store.load(&key()).await.unwrap(), None, "reads go on");
}

#[rocket::async_test]
async fn outages_end_within_the_limit_and_by_themselves() {
    let test = "outages_end_within_the_limit_and_by_themselves";
    let Some(mut server) = server(test, &[]) else { return };
    let (store, port) = (open(&[&address(&server)]), server.port);
    servers::outage::is_survived(store, &mut server, LIMIT, || connections(port), 16).await;
}

#[rocket::async_test]
async fn an_old_server_that_tells_no_time_is_served_too() {
    let Some(server) = server("an_old_server_that_tells_no_time_is_served_too", &[]) else {
        return;
    };
    let at = format!("127.0.0.1:{}", disguised(server.port));
    conformance::all(|| async { open(&[&at]) }).await;
    let (store, key) = (open(&[&at]), key());
    store.create(&key, b"x", LONG).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap().unwrap().expires_in, None);
}

/// The server as one of version 1.5, which refuses `mg`.
fn disguised(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            std::thread::spawn(move || disguise(client, server));
        }
    });
    port
}

fn disguise(mut client: TcpStream, mut server: TcpStream) {
    // The first that is asked is the version.
    let mut question = [0; 9];
    client.read_exact(&mut question).unwrap();
    assert_eq!(&question, b"version\r\n");
    client.write_all(b"VERSION 1.5.22\r\n").unwrap();
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        assert!(!buffer[..length].starts_with(b"mg "), "asked for what it does not know");
        if buffer[..length] == *b"version\r\n" {
            client.write_all(b"VERSION 1.5.22\r\n").unwrap();
        } else {
            server.write_all(&buffer[..length]).unwrap();
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}

#[rocket::async_test]
async fn answers_that_are_not_memcacheds_are_errors_and_end_the_connection() {
    let long = [b'x'; 5000];
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"VA 99999999999 t1 c1\r\n",
        b"VA 3 t1 c1\r\nabcdefgh",
        b"VA 3 t1\r\nabc\r\n",
        b"VA x t1 c1\r\n",
        b"VA\r\n",
        b"EN",
        b"EN\n",
        b"\xff\xfe\r\n",
        b"SERVER_ERROR secrets\r\n",
        &long,
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let answer = answer.to_vec();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            lines.read_line(&mut String::new()).unwrap();
            stream.write_all(b"VERSION 1.6.18\r\n").unwrap();
            lines.read_line(&mut String::new()).unwrap();
            stream.write_all(&answer).unwrap();
            if answer == b"EN" {
                return stream.shutdown(std::net::Shutdown::Write).unwrap();
            }
            // The end of the connection.
            let mut rest = Vec::new();
            let _ = lines.read_to_end(&mut rest);
            assert!(rest.is_empty());
        });
        let failure = open(&[&at]).load(&key()).await.unwrap_err().to_string();
        assert!(!failure.contains("secrets"), "{failure}");
        peer.join().unwrap();
    }
}

#[test]
fn the_documented_settings_are_taken() {
    let documented = servers::documented("memcached");
    assert!(!documented.is_empty());
    for text in documented {
        let settings = Figment::from(Toml::string(&text));
        assert!(connect(&Settings::from_figment(&settings).unwrap()).is_ok(), "{text}");
    }
}
