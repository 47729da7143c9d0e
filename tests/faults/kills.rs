//! The process is killed: what it has acknowledged stays.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use crate::harness::group::Group;
use crate::harness::load::Load;
use crate::harness::row::Row;
use crate::harness::{assert_sound, cookie_of, full, kernel_has, memory, run, site, times};
use crate::servers::free_port;
use crate::support::{Browser, Server, Site, has, wait_for};

/// A spread of moments without a random seed to report: 5 to 500 ms.
fn moment(round: usize) -> Duration {
    Duration::from_millis(5 + (round as u64 * 137) % 496)
}

#[test]
fn kills_under_load_lose_no_acknowledged_sign_in_and_revive_no_sign_out() {
    let mut row = Row::new(1, "kill -9 in the middle of writing");
    let site = site("");
    let mut server = site.serve();
    let mut slowest = Duration::ZERO;
    for round in 0..times(12, 200) {
        let load = Load::on(server.port).under_way();
        std::thread::sleep(moment(round));
        server.kill();
        let ledger = load.stop();
        // The file as the kill left it: log, shared memory and all.
        if full() {
            assert_sound(&copy_of(&site));
        }
        let began = Instant::now();
        server = site.serve();
        slowest = slowest.max(began.elapsed());
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
    }
    server.kill();
    assert_sound(&site.database());
    row.tell(format!("integrity_check ok after each; ready in {slowest:.2?} at most"));
    assert!(row.acknowledged > row.rounds, "too little load to tell");
    assert!(slowest < Duration::from_secs(20), "the restart took {slowest:?}");
}

/// The database and its log, copied while nobody writes.
fn copy_of(site: &Site) -> std::path::PathBuf {
    let dir = site.path().join("copy");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir(&dir).unwrap();
    for name in ["dewar.db", "dewar.db-wal"] {
        let _ = std::fs::copy(site.path().join(name), dir.join(name));
    }
    dir.join("dewar.db")
}

#[test]
fn crash_after_crash_it_comes_up_again() {
    let mut row = Row::new(43, "crashes in a row");
    let site = site("");
    let cookie = cookie_of(&site.serve().signed_in());
    for round in 0..times(5, 50) {
        let mut server = site.serve();
        std::thread::sleep(Duration::from_millis(round as u64 % 7));
        server.kill();
        row.rounds += 1;
    }
    let server = site.serve();
    assert!(Browser::with_cookie(server.port, &cookie).is_signed_in());
    row.tell("the unit restarts without a limit, after 1 s: StartLimitIntervalSec=0, RestartSec=1");
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/dewar.service"))
            .unwrap();
    for line in ["StartLimitIntervalSec=0", "Restart=always", "RestartSec=1"] {
        assert!(unit.lines().any(|given| given == line), "{line}");
    }
}

#[test]
fn the_port_opens_when_everything_behind_it_is_ready() {
    let mut row = Row::new(44, "requests from the first moment on");
    let site = site("");
    let cookie = cookie_of(&site.serve().signed_in());
    for _ in 0..times(3, 30) {
        let port = free_port();
        let mut command = site.command(&["serve"]);
        command.env("ROCKET_PORT", port.to_string());
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                wait_for("the port", || TcpStream::connect(("127.0.0.1", port)).ok());
                let visitor = Browser::with_cookie(port, &cookie);
                for _ in 0..50 {
                    assert_eq!(visitor.get("/brief_introduction").status, 200);
                    assert_eq!(visitor.get("/healthz").status, 200);
                }
            });
            let _server = Server::start(command);
            first.join().unwrap();
        });
        row.rounds += 1;
        row.acknowledged += 100;
    }
    row.tell("0 of the first 100 requests failed, in each round");
}

#[test]
fn out_of_memory_loses_nothing_that_was_acknowledged() {
    let test = "out_of_memory_loses_nothing_that_was_acknowledged";
    if !has(run("prlimit", &["--version"]), "prlimit (util-linux)", test) {
        return;
    }
    let mut row = Row::new(48, "out of memory (prlimit --as)");
    let site = site("");
    let mut died = 0;
    for round in 0..times(4, 40) {
        let mut server = site.serve();
        let load = Load::on(server.port).under_way();
        std::thread::sleep(moment(round));
        let pid = server.child.id();
        // A little more than it has, in bytes.
        let limit = (memory(pid, "VmSize:") + (round as u64 % 8) * 1024) * 1024;
        assert!(run("prlimit", &[&format!("--as={limit}"), "-p", &pid.to_string()]));
        std::thread::sleep(Duration::from_millis(700));
        died += usize::from(server.child.try_wait().unwrap().is_some());
        let _ = server.child.kill();
        let _ = server.child.wait();
        let ledger = load.stop();
        let server = site.serve();
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
    }
    assert_sound(&site.database());
    row.tell(format!("it answered 503, or ended by itself ({died} times), until it was killed"));
}

#[test]
fn killed_for_its_memory_it_loses_nothing_that_was_acknowledged() {
    const MIB: u64 = 1024 * 1024;
    let test = "killed_for_its_memory_it_loses_nothing_that_was_acknowledged";
    let group = Group::new();
    if !kernel_has(group.is_some(), "control group for memory", test) {
        return;
    }
    let group = group.unwrap();
    let mut row = Row::new(48, "out of memory in a control group of less and less");
    let site = site("");
    let (mut least, mut killed) = (u64::MAX, 0);
    for _ in 0..times(2, 20) {
        let mut limit = 256 * MIB;
        assert!(group.allow(limit));
        let mut server = Server::start(group.command(&site.command(&["serve"])));
        let load = Load::on(server.port).under_way();
        // Until the kernel kills it, or has taken away what it can and it goes on with that.
        let began = Instant::now();
        let status = loop {
            if group.allow(limit - MIB) {
                limit -= MIB;
            }
            match server.child.try_wait().unwrap() {
                None if began.elapsed() < Duration::from_secs(15) => {}
                status => break status,
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        match status {
            Some(status) => assert_eq!(status.signal(), Some(9), "{status}: {}", server.log()),
            None => server.kill(),
        }
        killed += usize::from(status.is_some());
        least = least.min(limit / MIB);
        let ledger = load.stop();
        let server = site.serve();
        let found = ledger.replay(server.port);
        row.rounds += 1;
        row.acknowledged += ledger.acknowledged();
        row.holds(found.lost, found.revived);
    }
    assert_sound(&site.database());
    assert!(killed > 0 || !full(), "it was never killed");
    row.tell(format!(
        "killed {killed} times, else it went on with what it had; {least} MiB at the least"
    ));
}
