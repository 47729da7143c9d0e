//! Floods of strangers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::harness::row::Row;
use crate::harness::{memory, site, times};
use crate::support::Site;

/// In KiB: 400 MB.
const MEMORY: u64 = 400 * 1024;

#[test]
fn five_hundred_wrong_passwords_at_once_leave_the_list_usable() {
    let mut row = Row::new(39, "500 wrong passwords at once");
    // So that each comes from an address of its own.
    let site = site("TRUSTED_PROXIES = ['127.0.0.1']");
    let server = site.serve();
    let visitor = server.signed_in();
    let done = AtomicBool::new(false);
    let (pid, port) = (server.child.id(), server.port);
    let mut answers = std::collections::BTreeMap::<String, usize>::new();
    let (mut slowest, mut most) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let guesses: Vec<_> = (0..500).map(|n| scope.spawn(move || guess(port, n))).collect();
            let all: Vec<_> = guesses.into_iter().map(|guess| guess.join().unwrap()).collect();
            done.store(true, Ordering::Relaxed);
            all
        });
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            assert!(visitor.is_signed_in());
            slowest.push(began.elapsed());
            most = most.max(memory(pid, "VmRSS:"));
        }
        for answer in flood.join().unwrap() {
            *answers.entry(answer).or_default() += 1;
        }
    });
    slowest.sort();
    assert!(most < MEMORY, "{most} KiB");
    assert!(answers.keys().all(|status| ["200", "429", "503"].contains(&&**status)), "{answers:?}");
    assert!(visitor.is_signed_in());
    row.rounds = 500;
    row.acknowledged = slowest.len();
    row.tell(format!(
        "answers {answers:?}; the list meanwhile: {:.1?} in the middle, {:.1?} for 99 of 100; memory \
         {} MB at most",
        slowest[slowest.len() / 2],
        slowest[slowest.len() * 99 / 100],
        most / 1024
    ));
}

/// The status that a wrong password gets.
fn guess(port: u16, number: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let body = format!("username=nobody{number}&password=wrong");
    let head = format!(
        "POST /login HTTP/1.1\r\nHost: x\r\nX-Real-IP: 10.0.{}.{}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        number / 250,
        number % 250,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

fn rows(site: &Site) -> usize {
    let connection = Connection::open(site.database()).unwrap();
    connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
}

#[test]
fn strangers_make_no_sessions_however_many_come() {
    let mut row = Row::new(40, "requests without a cookie, or with an unknown one");
    let site = site("");
    let server = site.serve();
    let visitor = server.signed_in();
    let before = rows(&site);
    let each = times(1_000, 125_000);
    let port = server.port;
    std::thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || flood(port, client, each));
        }
    });
    assert_eq!(rows(&site), before, "rows of strangers");
    assert!(visitor.is_signed_in());
    row.rounds = each * 8;
    row.tell("0 rows more");
}

/// Requests over one connection.
fn flood(port: u16, client: usize, count: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let paths = ["/login", "/brief_introduction", "/detailed?id=1", "/", "/api/students"];
    for round in 0..count {
        let path = paths[(round + client) % paths.len()];
        let cookie = match round % 2 {
            0 => String::new(),
            _ => format!("Cookie: session={:043}\r\n", round),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{cookie}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut got = 0;
        // Until the whole answer is there, as its length says.
        loop {
            let more = stream.read(&mut buffer[got..]).unwrap();
            assert!(more > 0, "closed in the middle");
            got += more;
            let text = String::from_utf8_lossy(&buffer[..got]).to_lowercase();
            let Some(head) = text.find("\r\n\r\n") else { continue };
            let length = text[..head]
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())
                .unwrap_or(0);
            if got >= head + 4 + length {
                assert!(!text[..head].contains("set-cookie: session"), "{text}");
                break;
            }
        }
    }
}
