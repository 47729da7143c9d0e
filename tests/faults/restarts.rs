//! Stopped and started under load, and started twice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::strace::{self, Strace};
use crate::harness::{assert_sound, cookie_of, sign_in, site, times};
use crate::servers::free_port;
use crate::support::{Browser, Server, output_of};

/// What became of the requests of one restart.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    refused: AtomicUsize,
    /// Ended before they were sent, as the connection was reset or closed: never accepted.
    unsent: AtomicUsize,
    /// The ports of those that were sent and closed without an answer.
    unanswered: Mutex<Vec<u16>>,
}

/// One request on a connection of its own.
fn request(port: u16, cookie: &str, tally: &Tally) {
    let count = |counter: &AtomicUsize| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return count(&tally.refused);
    };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "GET /brief_introduction HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).is_err() {
        return count(&tally.unsent);
    }
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    match ended.is_ok() && answer.starts_with(b"HTTP/1.1 200") {
        true => count(&tally.answered),
        false => tally.unanswered.lock().unwrap().push(stream.local_addr().unwrap().port()),
    }
}

#[test]
fn a_stop_answers_what_it_has_accepted_and_writes_the_log_back() {
    let test = "a_stop_answers_what_it_has_accepted_and_writes_the_log_back";
    if !strace::is_here(test) {
        return;
    }
    let mut row = Row::new(41, "SIGTERM under load");
    let site = site("");
    let tally = Tally::default();
    let (mut cut, mut never) = (0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..times(6, 100) {
        let port = free_port();
        let mut command = site.command(&["serve"]);
        command.env("ROCKET_PORT", port.to_string());
        let mut server = Server::start(command);
        let strace = Strace::attach(server.child.id(), &["-e", "trace=accept4"]);
        let cookie = cookie_of(&server.signed_in());
        let stop = AtomicBool::new(false);
        let load = Load::on(server.port).under_way();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        request(port, &cookie, &tally);
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(300 + (round as u64 * 37) % 200));
            server.signal("-TERM");
            let began = Instant::now();
            let status = server.child.wait().unwrap();
            slowest = slowest.max(began.elapsed());
            stop.store(true, Ordering::Relaxed);
            assert!(status.success(), "{status}: {}", server.log());
        });
        let ledger = load.stop();
        let accepted = std::fs::read_to_string(strace.log()).unwrap();
        for port in tally.unanswered.lock().unwrap().drain(..) {
            match accepted.contains(&format!("sin_port=htons({port})")) {
                true => cut += 1,
                false => never += 1,
            }
        }
        assert!(!site.path().join("dewar.db-wal").exists(), "the log is written back at the end");
        let server = site.serve();
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
    }
    let of = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    row.tell(format!(
        "{} requests answered, {cut} accepted and not answered, {} reset that waited to be accepted; \
         ended after {slowest:.1?} at most, status 0, log written back",
        of(&tally.answered),
        never + of(&tally.unsent)
    ));
    assert!(slowest < Duration::from_secs(7), "took {slowest:?}");
    assert_eq!(cut, 0, "accepted requests without an answer");
    assert_sound(&site.database());
}

#[test]
fn a_second_start_on_one_port_is_told_so_and_harms_nothing() {
    let mut row = Row::new(52, "started twice on one port, and on one database");
    let site = site("");
    let server = site.serve();
    let browser = server.signed_in();
    for _ in 0..times(2, 20) {
        let mut second = site.command(&["serve"]);
        second.env("ROCKET_PORT", server.port.to_string());
        let output = output_of(second, b"");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(error.contains(&format!("cannot listen on 127.0.0.1:{}", server.port)), "{error}");
        assert!(browser.is_signed_in());
        row.rounds += 1;
    }
    // On another port both serve, and each sees what the other does.
    let second = site.serve();
    let other = second.signed_in();
    assert_eq!(sign_in(&server), 303);
    let cookie = cookie_of(&other);
    assert!(Browser::with_cookie(server.port, &cookie).is_signed_in());
    row.tell("one port: status 1 and a line that names it; one database: both serve");
    assert!(browser.is_signed_in());
}
