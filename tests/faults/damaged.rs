//! A file that is damaged, cut, empty or something else, and logs that do not belong to it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dewar::session::SessionId;

use crate::harness::load::name;
use crate::harness::row::Row;
use crate::harness::{cookie_of, site, times};
use crate::replaced::replace;
use crate::support::{Browser, PASSWORD, Server, Site, output_of};

const PAGE: usize = 4096;

/// Stops a server so that its log is written back.
fn stop(site: &Site, mut server: Server) {
    server.signal("-TERM");
    assert!(server.child.wait().unwrap().success());
    assert!(!site.path().join("dewar.db-wal").exists());
}

/// Where to flip a byte: every other time where a page begins, whose first bytes say what it is.
fn place(length: usize, round: usize, rounds: usize) -> usize {
    match round % 2 {
        0 => (round / 2 % (length / PAGE)) * PAGE + round * 7 % 24,
        _ => length * round / rounds + round % 97,
    }
}

/// A database with two visitors' sessions, at rest, and their cookies.
fn two_visitors(site: &Site) -> Vec<(String, String)> {
    let server = site.serve();
    let cookies = (0..2)
        .map(|client| {
            let browser = server.browser();
            let form = [("username", &*name(client)), ("password", PASSWORD)];
            assert_eq!(browser.post("/login", &form).status, 303);
            (name(client), cookie_of(&browser))
        })
        .collect();
    stop(site, server);
    cookies
}

#[test]
fn flipped_bytes_and_cuts_never_make_another_user_or_a_crash() {
    let mut row = Row::new(10, "a flipped byte, a cut file, under a running server");
    let site = site("");
    let visitors = two_visitors(&site);
    let good = std::fs::read(site.database()).unwrap();
    let server = site.serve();
    let mut answers = std::collections::BTreeMap::<u16, usize>::new();
    let (flips, cuts) = (times(40, 200), times(10, 50));
    for round in 0..flips + cuts {
        let mut bad = good.clone();
        match round < flips {
            true => bad[place(good.len(), round, flips)] ^= 0x55,
            false => bad.truncate(good.len() * (round - flips) / cuts),
        }
        replace(&site.database(), &bad);
        // Until the server looks which file bears the name.
        std::thread::sleep(Duration::from_millis(250));
        for (name, cookie) in &visitors {
            let answer = Browser::with_cookie(server.port, cookie).get("/brief_introduction");
            *answers.entry(answer.status).or_default() += 1;
            match answer.status {
                200 => assert!(
                    answer.body.contains(&format!("Signed in as </span>{name}"))
                        || !answer.body.contains("Signed in as </span>client"),
                    "round {round}: {}",
                    answer.body
                ),
                303 | 503 => {}
                other => panic!("round {round}: {other}"),
            }
        }
        row.rounds += 1;
    }
    replace(&site.database(), &good);
    assert!(Browser::with_cookie(server.port, &visitors[0].1).is_signed_in(), "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    row.tell(format!("0 crashes, 0 wrong users; answers {answers:?}"));
}

#[test]
fn a_start_on_a_damaged_file_names_it_and_the_page_or_serves_what_is_right() {
    let mut row = Row::new(10, "start on a damaged, cut, empty or foreign file");
    let site = site("");
    let visitors = two_visitors(&site);
    let good = std::fs::read(site.database()).unwrap();
    let (mut stopped, mut pages) = (0, 0);
    let flips = times(12, 200);
    for round in 0..flips {
        let mut bad = good.clone();
        bad[place(good.len(), round, flips)] ^= 0x55;
        replace(&site.database(), &bad);
        let output = output_of(unable_to_listen(&site), b"");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        if !error.contains("cannot listen") {
            stopped += 1;
            assert!(error.contains("dewar.db") && error.contains("dewar restore"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            pages += usize::from(error.to_lowercase().contains("page"));
        }
        row.rounds += 1;
    }
    for (content, words) in [
        (good[..good.len() / 2].to_vec(), "restore"),
        (b"not a database at all, but a text\n".repeat(200), "is not a SQLite database"),
    ] {
        replace(&site.database(), &content);
        let (status, error) = site.fail(&["serve"], b"");
        assert!(status == 1 && error.contains("dewar.db") && error.contains(words), "{error}");
        row.rounds += 1;
    }
    // An empty file is a new database.
    replace(&site.database(), b"");
    let server = site.serve();
    server.wait_for_log("there are no accounts yet");
    assert_eq!(alive(server.port, &visitors.iter().map(|v| v.1.clone()).collect::<Vec<_>>()), 0);
    drop(server);
    row.tell(format!("{stopped} stopped with one line that names the file, {pages} the page too"));
    assert!(stopped > 0 && pages > 0);
    replace(&site.database(), &good);
    assert!(Browser::with_cookie(site.serve().port, &visitors[0].1).is_signed_in());
}

/// A site whose server was killed, so that its log holds what was not written back.
fn killed() -> (Site, Vec<String>) {
    let site = site("");
    let mut server = site.serve();
    let cookies = (0..5).map(|_| cookie_of(&server.signed_in())).collect();
    server.kill();
    assert!(site.path().join("dewar.db-wal").exists());
    (site, cookies)
}

fn side(site: &Site, suffix: &str) -> std::path::PathBuf {
    site.path().join(format!("dewar.db-{suffix}"))
}

fn alive(port: u16, cookies: &[String]) -> usize {
    cookies.iter().filter(|cookie| Browser::with_cookie(port, cookie).is_signed_in()).count()
}

fn sound(database: &Path) -> bool {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
        .is_ok_and(|verdict| verdict == "ok")
}

#[test]
fn missing_stale_and_foreign_side_files_damage_nothing_unseen() {
    let mut row = Row::new(11, "log or shared memory missing, stale or of another database");
    // The shared memory is made anew from the log.
    let (site, cookies) = killed();
    std::fs::remove_file(side(&site, "shm")).unwrap();
    let server = site.serve();
    assert_eq!(alive(server.port, &cookies), cookies.len());
    drop(server);
    std::fs::write(side(&site, "shm"), b"\xff".repeat(32768)).unwrap();
    let server = site.serve();
    assert_eq!(alive(server.port, &cookies), cookies.len());
    row.tell("shared memory missing or garbage: nothing lost");
    drop(server);

    // Without the log what was in it alone is gone, and nothing else.
    let (site, cookies) = killed();
    std::fs::remove_file(side(&site, "wal")).unwrap();
    let said = without_listening(&site);
    assert!(said.contains("dewar.db-wal is missing"), "{said}");
    let outcome = output_until_ready(&site);
    row.tell(format!(
        "log missing: {} of {} sessions lost that were in it alone, {}",
        cookies.len() - outcome.map_or(0, |port| alive(port.port, &cookies)),
        cookies.len(),
        if sound(&site.database()) { "sound" } else { "refused" },
    ));

    // A log of an earlier time, and one of another database.
    for (what, source) in [("stale", killed()), ("foreign", killed())] {
        let (site, cookies) = killed();
        let wal = match what {
            "stale" => std::fs::read(side(&site, "wal")).unwrap(),
            _ => std::fs::read(side(&source.0, "wal")).unwrap(),
        };
        let server = site.serve();
        let late: Vec<_> = (0..5).map(|_| cookie_of(&server.signed_in())).collect();
        stop(&site, server);
        std::fs::write(side(&site, "wal"), wal).unwrap();
        let _ = std::fs::remove_file(side(&site, "shm"));
        match output_until_ready(&site) {
            Some(server) => {
                assert!(sound(&site.database()), "{what}: served from a damaged file");
                let all = [cookies, late].concat();
                row.tell(format!(
                    "{what} log: sound, {} of {} there",
                    alive(server.port, &all),
                    all.len()
                ));
            }
            None => row.tell(format!("{what} log: the start is refused")),
        }
    }
    row.rounds = 5;
}

/// A server that cannot listen, so that a start on a sound file goes as far as that.
fn unable_to_listen(site: &Site) -> Command {
    let mut command = site.command(&["serve"]);
    command.env("ROCKET_PORT", "1").env("ROCKET_ADDRESS", "192.0.2.1");
    command
}

/// What it says.
fn without_listening(site: &Site) -> String {
    String::from_utf8_lossy(&output_of(unable_to_listen(site), b"").stderr).into_owned()
}

/// A server, or `None` when the start is refused with a message that names the file.
fn output_until_ready(site: &Site) -> Option<Server> {
    let error = without_listening(site);
    match error.contains("cannot listen") {
        true => Some(site.serve()),
        false => {
            assert!(error.contains("dewar.db"), "{error}");
            None
        }
    }
}

#[test]
fn a_record_nested_without_end_is_no_session_and_no_crash() {
    let mut row = Row::new(47, "session records nested 100 000 deep");
    let site = site("");
    let server = site.serve();
    let visitor = server.signed_in();
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    let deep: [&[u8]; 4] = [b"\x91", b"\x81\xa1a", b"[", b"{\"a\":"];
    for round in 0..times(8, 100) {
        let id = format!("{round:A>42}A");
        let key = SessionId::parse(&id).unwrap().store_key("session:", true);
        let record = deep[round % deep.len()].repeat(100_000);
        let add = "INSERT INTO sessions VALUES (?1, ?2, 4000000000000)";
        connection.execute(add, rusqlite::params![key.as_str(), record]).unwrap();
        let stranger = Browser::with_cookie(server.port, &format!("session={id}"));
        assert_eq!(stranger.get("/brief_introduction").status, 303);
        assert!(visitor.is_signed_in());
        row.rounds += 1;
    }
    row.tell("refused each time, the process alive");
}
