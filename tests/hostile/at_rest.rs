//! What lies on the disk: for its owner alone, of no use to a thief, and gone when it is ended.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::siege::{Siege, id_in, right_pair};
use super::support::{Answer, Browser, PASSWORD, Server, Site, USER, encode, output_of, under};
use super::wire::{FORM, Wire};

/// The command, run by a shell that leaves every permission on.
fn without_umask(command: &Command) -> Command {
    under("sh", &["-c", "umask 000; exec \"$@\"", "sh"], command)
}

/// Everything below a directory that others could use.
fn open_to_others(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            open.push((path.clone(), mode));
        }
        if path.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}

#[test]
fn whatever_the_umask_the_data_is_its_owners_alone() {
    for settings in [
        "",
        "SESSION_SQLITE_PATH = 'sessions.db'",
        "SESSION_TYPE = 'filesystem'\nSESSION_FILE_DIR = 'a/sessions'",
        "SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = 'sqlite:///shared.db'",
    ] {
        let site = Site::empty("");
        std::fs::remove_file(site.path().join("Rocket.toml")).unwrap();
        let run = |arguments: &[&str]| {
            let output = output_of(without_umask(&site.command(arguments)), PASSWORD.as_bytes());
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        };
        run(&["init", "--user", USER, "--password-stdin"]);
        assert_eq!(open_to_others(site.path()), [], "init");
        let file = site.path().join("Rocket.toml");
        let written = std::fs::read_to_string(&file).unwrap();
        let more = format!("[default]\nport = 0\n{settings}\n");
        std::fs::write(&file, written.replacen("[default]", &more, 1)).unwrap();

        let mut server = Server::start(without_umask(&site.command(&["serve"])));
        let visitor = server.signed_in();
        assert!(visitor.is_signed_in(), "{settings}");
        run(&["backup", "copy.db"]);
        run(&["user", "add", "second", "--password-stdin"]);
        let beside =
            ["-wal", "-shm"].map(|end| site.path().join(format!("dewar.db{end}")).exists());
        assert_eq!(beside, [true, true]);
        assert_eq!(open_to_others(site.path()), [], "{settings}");
        server.kill();
        run(&["restore", "copy.db", "--yes"]);
        assert_eq!(open_to_others(site.path()), [], "{settings}");
        // Onto a machine where there is none yet.
        for side in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(site.path().join(format!("dewar.db{side}")));
        }
        run(&["restore", "copy.db", "--yes"]);
        assert_eq!(open_to_others(site.path()), [], "{settings}");
    }
}

#[test]
fn the_demo_keeps_its_data_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = super::support::dewar(&["demo", "--port", "0"]);
    command.current_dir(dir.path()).env("TMPDIR", dir.path());
    let mut server = Server::start(without_umask(&command));
    assert_eq!(server.browser().get("/login").status, 200);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(open_to_others(dir.path()), []);
    // As when the terminal is closed.
    server.signal("-HUP");
    assert!(server.child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}

/// Every byte below a directory.
fn all_bytes(dir: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(
            |path| if path.is_dir() { all_bytes(&path) } else { std::fs::read(path).unwrap() },
        )
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn nothing_stored_signs_anybody_in() {
    let siege = Siege::new();
    siege.site.run(&["backup", "copy.db"]);
    let bytes = all_bytes(siege.site.path());
    assert!(!holds(&bytes, &siege.id()), "the cookie's value is in a file");
    let database = rusqlite::Connection::open(siege.site.database()).unwrap();
    let mut keys = database.prepare("SELECT id FROM sessions").unwrap();
    let keys: Vec<Vec<u8>> = keys
        .query_map([], |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                    bytes.to_vec()
                }
                other => panic!("{other:?}"),
            })
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!keys.is_empty());
    for key in keys {
        let key = String::from_utf8(key).unwrap();
        let bare = key.trim_start_matches("session:");
        for stored in [&*key, bare, &encode(bare)] {
            assert_eq!(
                siege.with_cookie_bytes(format!("session={stored}")).status,
                303,
                "{stored}"
            );
        }
    }
}

#[test]
fn an_ended_session_is_in_no_file_any_more() {
    let site = Site::new("SESSION_HASH_IDS = false");
    let mut server = site.serve();
    let visitor = server.signed_in();
    let cookie = visitor.cookie.borrow().clone().unwrap();
    // Plain ids, so that there is something to find.
    assert!(holds(&all_bytes(site.path()), id_in(&cookie)));
    visitor.post("/logout", &[]);
    server.signal("-TERM");
    server.child.wait().unwrap();
    let database = rusqlite::Connection::open(site.database()).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    assert!(!holds(&all_bytes(site.path()), id_in(&cookie)), "the ended session is still there");
}

fn hash_of(site: &Site, name: &str) -> String {
    let database = rusqlite::Connection::open(site.database()).unwrap();
    let query = "SELECT password_hash FROM accounts WHERE name = ?1";
    database.query_row(query, [name], |row| row.get(0)).unwrap()
}

fn set_hash(site: &Site, name: &str, hash: &str) {
    let database = rusqlite::Connection::open(site.database()).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let change = "UPDATE accounts SET password_hash = ?2 WHERE name = ?1";
    assert_eq!(database.execute(change, [name, hash]).unwrap(), 1);
}

const TODAYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// Of the password, as the `argon2` command of earlier days made it.
fn weak_hash() -> String {
    use argon2::password_hash::PasswordHasher;
    let params = argon2::Params::new(4096, 3, 1, None).unwrap();
    let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash: argon2::password_hash::phc::PasswordHash =
        weak.hash_password(PASSWORD.as_bytes()).unwrap();
    hash.to_string()
}

#[test]
fn passwords_are_stored_as_argon2id_each_with_its_own_salt_and_older_hashes_are_renewed() {
    let siege = Siege::new();
    siege.add_account("second", PASSWORD);
    let (one, two) = (hash_of(&siege.site, USER), hash_of(&siege.site, "second"));
    assert!(one.starts_with(TODAYS) && two.starts_with(TODAYS), "{one} {two}");
    assert_ne!(one.split('$').nth(4), two.split('$').nth(4), "one salt for both");
    assert!(one.split('$').nth(4).unwrap().len() >= 22, "the salt is short");

    let weak = weak_hash();
    set_hash(&siege.site, "second", &weak);
    assert_eq!(siege.sign_in("second", "wrong").status, 200);
    assert_eq!(hash_of(&siege.site, "second"), weak);
    assert_eq!(siege.sign_in("second", PASSWORD).status, 303);
    let renewed = hash_of(&siege.site, "second");
    assert!(renewed.starts_with(TODAYS) && renewed != two, "{renewed}");
    assert_eq!(siege.sign_in("second", PASSWORD).status, 303);
}

#[test]
fn a_broken_hash_is_a_wrong_password_to_its_account_and_nothing_to_others() {
    // So that each try comes from an address of its own, and is not one too many.
    let site = Site::new("TRUSTED_PROXIES = ['127.0.0.1']");
    let server = site.serve();
    let broken = [
        "",
        "x",
        "$",
        "$$$$$$$$$$",
        "$argon2id$",
        "$argon2id$v=19$m=19456,t=2,p=1$",
        "$argon2id$v=19$m=19456,t=2,p=1$\u{e4}\u{1f600}$x",
        "$argon2id$v=19$m=0,t=0,p=0$YWFhYWFhYWE$YWFhYWFhYWE",
        "$argon2id$v=19$m=4294967295,t=4294967295,p=1$YWFhYWFhYWE$YWFhYWFhYWE",
        "$argon2id$v=99$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWE",
        "$2b$12$\u{e4}bcdefghijklmnopqrstuv",
        "pbkdf2:sha256:1000$x$y",
        PASSWORD,
    ];
    for (number, broken) in broken.into_iter().enumerate() {
        let name = format!("broken{number}");
        site.run_with_input(&["user", "add", &name, "--password-stdin"], PASSWORD);
        set_hash(&site, &name, broken);
        for (part, password) in [PASSWORD, broken, ""].into_iter().enumerate() {
            let answer = sign_in_from(&server, &format!("10.0.{part}.{number}"), &name, password);
            assert_eq!(answer.status, 200, "{broken:?}: {answer:?}");
        }
        server.signed_in();
    }
    // Not even text.
    let database = rusqlite::Connection::open(site.database()).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    for value in ["x'fffe00'", "12345", "NULL"] {
        let change = format!("UPDATE accounts SET password_hash = {value} WHERE name = 'broken0'");
        if database.execute(&change, []).is_ok() {
            let answer = sign_in_from(&server, "10.0.9.9", "broken0", PASSWORD);
            assert!(matches!(answer.status, 200 | 503), "{value}: {answer:?}");
            server.signed_in();
        }
    }
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains("argon2id"), "{log}");
}

/// A try from an address, as a proxy tells it.
fn sign_in_from(server: &Server, address: &str, name: &str, password: &str) -> Answer {
    let body = format!("username={}&password={}", encode(name), encode(password));
    let headers = [("X-Real-IP", address), ("Content-Type", FORM)];
    server.browser().send("POST", "/login", &headers, body.as_bytes()).unwrap()
}

#[test]
fn a_first_start_knows_nobody() {
    let names =
        ["admin", "root", "user", "test", "guest", "gkf", "dewar", "demo", "administrator", ""];
    // Fewer at a time than an account has before it is told to wait.
    for passwords in [["admin", "password", "123", "123456"], ["changeme", "secret", "demo", ""]] {
        let site = Site::empty("TRUSTED_PROXIES = ['127.0.0.1']");
        let server = site.serve();
        let pairs = names.iter().flat_map(|name| passwords.map(|password| (*name, password)));
        for (number, (name, password)) in pairs.enumerate() {
            let answer = sign_in_from(&server, &format!("10.1.0.{number}"), name, password);
            assert!(matches!(answer.status, 200 | 422), "{name} {password}: {answer:?}");
            assert_eq!(answer.header("Set-Cookie"), None, "{name} {password}");
        }
        assert_eq!(site.run(&["user", "list", "--json"]).trim(), "[]");
    }
}

#[test]
fn a_password_of_the_store_is_in_no_process_list_and_no_log() {
    let site = Site::new("");
    let secret = "hush-hush-of-the-store";
    let url = format!("redis://:{secret}@203.0.113.1:6379/0");
    let mut command = site.command(&["check"]);
    command.env("FLASK_SESSION_TYPE", "redis").env("FLASK_SESSION_REDIS", &url);
    let checked = output_of(command, b"");
    let shown = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(
        shown.contains("SESSION_REDIS leads to redis://:…@203.0.113.1:6379/0 without TLS"),
        "{shown}"
    );
    let mut command = site.command(&["serve"]);
    // A port of this machine at which nothing listens, so that no packet leaves it.
    let here = format!("redis://:{secret}@127.0.0.1:1/0");
    command.env("FLASK_SESSION_TYPE", "redis").env("FLASK_SESSION_REDIS", here);
    let server = Server::start(command);
    Wire::post("/login", FORM, right_pair()).send(server.port);
    assert_eq!(
        Browser::with_cookie(server.port, "session=abc").get("/brief_introduction").status,
        503
    );
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", server.child.id())).unwrap();
    let all =
        [server.log(), String::from_utf8_lossy(&cmdline).into_owned(), format!("{checked:?}")];
    for text in all {
        assert!(!text.contains(secret), "{text}");
    }
}
