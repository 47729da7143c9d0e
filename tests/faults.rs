//! Disks and locks that fail under a running server: a clear answer meanwhile, and right again by
//! itself afterwards.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::{PASSWORD, Server, Site, USER, has, wait_for};

/// A small file system of its own, gone when dropped.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    /// `None` where mounting is not allowed.
    fn new(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let disk = Self { dir };
        let mounted =
            run("mount", &["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", disk.text()]);
        has(mounted, "the right to mount a tmpfs", test).then_some(disk)
    }

    fn text(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("dewar.db")
    }

    fn fill(&self) -> PathBuf {
        let ballast = self.dir.path().join("ballast");
        let file = std::fs::File::create(&ballast).unwrap();
        let block = [0; 4096];
        while std::io::Write::write(&mut &file, &block).is_ok_and(|written| written > 0) {}
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", self.text()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn site_on(disk: &Disk) -> Site {
    let site = Site::empty("");
    let text = format!("[default]\nport = 0\nDATABASE = {:?}\n", disk.database());
    std::fs::write(site.path().join("Rocket.toml"), text).unwrap();
    site.run_with_input(&["user", "add", USER, "--password-stdin"], PASSWORD);
    site
}

fn login(server: &Server) -> u16 {
    server.browser().post("/login", &[("username", USER), ("password", PASSWORD)]).status
}

#[test]
fn a_full_disk_is_503_for_writes_and_nobody_is_signed_out_or_in_by_it() {
    let test = "a_full_disk_is_503_for_writes_and_nobody_is_signed_out_or_in_by_it";
    let Some(disk) = Disk::new(test) else { return };
    let site = site_on(&disk);
    let server = site.serve();
    let (stays, leaves) = (server.signed_in(), server.signed_in());
    let ballast = disk.fill();
    // The log may have room left in pages it owns already; signing in uses it up.
    wait_for("a write to fail", || (login(&server) == 503).then_some(()));

    assert!(stays.is_signed_in(), "reading goes on");
    let cookie = leaves.cookie.borrow().clone().unwrap();
    let answer = leaves.post("/logout", &[]);
    let again = support::Browser::with_cookie(server.port, &cookie);
    match answer.status {
        303 => assert!(!again.is_signed_in(), "a logout was pretended"),
        503 => assert_eq!(answer.header("Set-Cookie"), None),
        other => panic!("logout answered {other}"),
    }

    std::fs::remove_file(ballast).unwrap();
    wait_for("signing in to work again", || (login(&server) == 303).then_some(()));
    assert!(stays.is_signed_in());
    assert_eq!(again.post("/logout", &[]).status, 303);
    assert!(!again.is_signed_in());
}

#[test]
fn a_start_on_a_read_only_disk_stops_with_one_line() {
    let Some(disk) = Disk::new("a_start_on_a_read_only_disk_stops_with_one_line") else { return };
    let site = site_on(&disk);
    assert!(run("mount", &["-o", "remount,ro", disk.text()]));
    let (status, error) = site.fail(&["serve"], b"");
    assert_eq!((status, error.lines().count()), (1, 1), "{error}");
    assert!(error.contains("read-only"), "{error}");
    assert!(run("mount", &["-o", "remount,rw", disk.text()]));
    site.serve().signed_in();
}

#[test]
fn a_lock_held_by_a_shell_is_waited_for_and_then_503_while_reading_goes_on() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    let shell = rusqlite::Connection::open(site.database()).unwrap();
    shell.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| login(&server));
        while !waiting.is_finished() {
            assert!(browser.is_signed_in());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(waiting.join().unwrap(), 503);
    });
    assert!(began.elapsed() > Duration::from_secs(4), "gave up after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(8), "waited {:?}", began.elapsed());
    shell.execute_batch("COMMIT").unwrap();
    assert_eq!(login(&server), 303);
    assert!(server.log().contains("locked by another process"));
}

#[test]
fn a_damaged_database_is_503_until_it_is_restored() {
    let site = Site::new("");
    let server = site.serve();
    let browser = server.signed_in();
    site.run(&["backup", "copy.db"]);
    replace(&site.database(), &b"garbage ".repeat(4000));
    for answer in [
        browser.get("/brief_introduction"),
        browser.get("/detailed?id=1"),
        browser.post("/logout", &[]),
        server.browser().post("/login", &[("username", USER), ("password", PASSWORD)]),
    ] {
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("Error 503") && answer.header("Retry-After").is_some());
        assert_eq!(answer.header("Set-Cookie"), None);
    }
    assert_eq!(server.browser().get("/login").status, 200);
    assert_eq!(server.browser().get("/healthz").status, 503);
    site.run(&["restore", "copy.db", "--yes"]);
    assert!(browser.is_signed_in());
    assert_eq!(server.browser().get("/healthz").status, 200);
    assert_eq!(login(&server), 303);
}

/// Puts other content under a file's name, as a careless copy would, without SQLite's side files.
fn replace(database: &Path, content: &[u8]) {
    let next = database.with_extension("next");
    std::fs::write(&next, content).unwrap();
    for side in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(database.with_extension(side));
    }
    std::fs::rename(next, database).unwrap();
}

#[test]
fn flipped_bytes_and_cuts_never_make_another_user_or_a_crash() {
    let site = Site::new("");
    let cookie = {
        let server = site.serve();
        let browser = server.signed_in();
        let cookie = browser.cookie.borrow().clone().unwrap();
        server.signal("-TERM");
        wait_for("the stop", || (!site.path().join("dewar.db-wal").exists()).then_some(()));
        cookie
    };
    let good = std::fs::read(site.database()).unwrap();
    let server = site.serve();
    let browser = support::Browser::with_cookie(server.port, &cookie);
    for round in 0..40 {
        let mut bad = good.clone();
        if round % 4 == 0 {
            bad.truncate(good.len() * round / 40);
        } else {
            let at = good.len() * round / 40 + round;
            bad[at] ^= 0x55;
        }
        replace(&site.database(), &bad);
        let answer = browser.get("/brief_introduction");
        match answer.status {
            200 => assert!(answer.body.contains("Signed in as </span>"), "{}", answer.body),
            303 | 503 => {}
            other => panic!("round {round}: {other}"),
        }
        *browser.cookie.borrow_mut() = Some(cookie.clone());
    }
    replace(&site.database(), &good);
    assert!(browser.is_signed_in(), "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
