//! Sessions that move from one place to another, with nobody signed out.

mod layer;
mod servers;
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dewar::session::{SessionId, StoreKey};
use layer::{App, cookie_of};
use servers::redis;
use support::{Browser, PASSWORD, Site, USER, has};

/// The settings of a SQLite file whose ids are as Flask-Session has them.
fn plain(path: &Path) -> String {
    format!("SESSION_SQLITE_PATH = '{}'\nSESSION_HASH_IDS = false\n", path.display())
}

/// Those of another, hashed, which takes its sessions from the first.
fn moving(path: &Path, from: &Path) -> String {
    format!(
        "SESSION_SQLITE_PATH = '{}'\nSESSION_KEY_PREFIX = 'new:'\n\
         SESSION_SERIALIZATION_FORMAT = 'json'\n\
         SESSION_MIGRATE_FROM = {{ SESSION_TYPE = 'sqlite', SESSION_SQLITE_PATH = '{}', \
         SESSION_HASH_IDS = false, SESSION_KEY_PREFIX = 'session:' }}",
        path.display(),
        from.display()
    )
}

struct Both {
    old: App,
    new: App,
    dir: tempfile::TempDir,
}

impl Both {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("old.db"), dir.path().join("new.db"));
        let (old, new) =
            (App::configured(&plain(&from)).await, App::configured(&moving(&to, &from)).await);
        Self { old, new, dir }
    }
}

#[rocket::async_test]
async fn a_session_moves_with_its_visitors_next_request() {
    let both = Both::new().await;
    let cookie = both.old.session_with("a", 1).await;
    let answer = both.new.get("/get/a", &cookie).await;
    assert_eq!(answer.body, "1");
    assert_eq!(cookie_of(&answer.set_cookie.unwrap()), cookie, "under the id it had");
    assert_eq!(both.old.get("/get/a", &cookie).await.body, "null", "and is there no more");
    both.new.post("/increment/a", &cookie).await;
    assert_eq!(both.new.get("/get/a", &cookie).await.body, "2");
    assert_eq!(both.new.get("/get/a", "session=unknown").await.body, "null");
}

#[rocket::async_test]
async fn requests_that_come_at_once_move_a_session_once_and_lose_nothing() {
    let both = Both::new().await;
    for _ in 0..10 {
        let cookie = both.old.session_with("a", 0).await;
        let add = || both.new.post("/increment/a", &cookie);
        let answers = rocket::tokio::join!(add(), add(), add(), add(), add(), add(), add(), add());
        drop(answers);
        assert_eq!(both.new.get("/get/a", &cookie).await.body, "8");
    }
}

#[rocket::async_test]
async fn a_moved_session_that_is_ended_does_not_come_back() {
    let both = Both::new().await;
    for end in ["/clear", "/remove/a", "/regenerate"] {
        let cookie = both.old.session_with("a", 1).await;
        assert_eq!(both.new.post(end, &cookie).await.status.code, 200);
        assert_eq!(both.new.get("/get/a", &cookie).await.body, "null", "{end}");
        assert_eq!(both.old.get("/get/a", &cookie).await.body, "null", "{end}");
    }
}

#[rocket::async_test]
async fn a_session_that_was_copied_and_not_removed_ends_in_both_places() {
    let both = Both::new().await;
    for end in ["/clear", "/remove/a", "/regenerate"] {
        let cookie = both.old.session_with("a", 1).await;
        let (store, key) = (both.old.sessions_store(), plain_key(&cookie));
        let record = store.load(&key).await.unwrap().unwrap();
        assert_eq!(both.new.get("/get/a", &cookie).await.body, "1");
        assert!(store.create(&key, &record.bytes, Duration::from_secs(600)).await.unwrap());
        assert_eq!(both.new.post(end, &cookie).await.status.code, 200);
        assert_eq!(both.new.get("/get/a", &cookie).await.body, "null", "{end}");
    }
}

#[rocket::async_test]
async fn a_session_ends_here_though_the_old_store_fails() {
    let both = Both::new().await;
    let cookie = both.old.session_with("a", 1).await;
    assert_eq!(both.new.get("/get/a", &cookie).await.body, "1");
    assert_eq!(both.new.sessions_store().live().await.unwrap(), Some(1));
    std::fs::remove_file(both.dir.path().join("old.db")).unwrap();
    rocket::tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = both.new.post("/clear", &cookie).await;
    assert_eq!((answer.status.code, answer.set_cookie), (503, None));
    assert_eq!(both.new.sessions_store().live().await.unwrap(), Some(0));
}

#[rocket::async_test]
async fn a_reload_does_not_forget_whose_end_could_not_be_written() {
    let test = "a_reload_does_not_forget_whose_end_could_not_be_written";
    if !has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test) {
        return;
    }
    let mut store = redis::server();
    let place =
        format!("SESSION_TYPE = 'redis'\nSESSION_REDIS = 'redis://127.0.0.1:{}/0'\n", store.port);
    let app = App::at(&place, "SESSION_STORE_TIMEOUT = 1").await;
    let cookie = app.session_with("a", 1).await;
    let clear = app.post("/slow_clear", &cookie);
    let killed = async {
        app.sleep(150).await;
        store.kill();
    };
    let (answer, ()) = rocket::tokio::join!(clear, killed);
    assert_eq!(answer.status.code, 503);
    app.set("SESSION_STORE_TIMEOUT = 2");
    store.restart();
    assert_eq!(app.get("/get/a", &cookie).await.body, "null");
}

/// The key of a cookie's id in the old place.
fn plain_key(cookie: &str) -> StoreKey {
    let id = SessionId::parse(cookie.strip_prefix("session=").unwrap()).unwrap();
    id.store_key("session:", false)
}

#[rocket::async_test]
async fn ids_are_hashed_in_place_under_another_prefix_and_a_key_signs_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let old = App::configured(&plain(&path)).await;
    let new = App::configured(&moving(&path, &path)).await;
    let cookie = old.session_with("a", 1).await;
    assert_eq!(new.get("/get/a", &cookie).await.body, "1");
    let id = SessionId::parse(cookie.strip_prefix("session=").unwrap()).unwrap();
    let key = id.store_key("", true);
    for read_in_the_store in [key.as_str().to_owned(), format!("new:{}", key.as_str())] {
        let thief = format!("session={read_in_the_store}");
        assert_eq!(new.get("/get/a", &thief).await.body, "null");
    }
    assert_eq!(new.get("/get/a", &cookie).await.body, "1");
}

#[rocket::async_test]
async fn sessions_in_flasks_cookies_get_a_record_of_their_own() {
    let key = "SECRET_KEY = 'the key of the Flask application, kept'\n";
    let dir = tempfile::tempdir().unwrap();
    let old = App::configured(&format!("{key}SESSION_TYPE = 'cookie'")).await;
    let path = dir.path().join("new.db");
    let new = App::configured(&format!(
        "{key}SESSION_SQLITE_PATH = '{}'\nSESSION_MIGRATE_FROM = 'cookie'",
        path.display()
    ))
    .await;
    let signed = old.session_with("a", 1).await;
    let answer = new.get("/get/a", &signed).await;
    assert_eq!(answer.body, "1");
    let id = cookie_of(&answer.set_cookie.unwrap());
    assert_ne!(id, signed);
    assert_eq!(new.get("/get/a", &id).await.body, "1");
    assert_eq!(new.get("/get/a", &signed.replace('.', "x")).await.body, "null");
    // Whoever comes with a forged one begins as anybody does, with a permanent session.
    let forged = format!("{}_", signed.strip_suffix(|_: char| true).unwrap());
    for stranger in ["", &forged] {
        let begun = new.post("/increment/a", stranger).await.set_cookie.unwrap();
        assert!(begun.contains("; Expires="), "{stranger}: {begun}");
        assert_eq!(new.get("/get/a", &cookie_of(&begun)).await.body, "1");
    }
}

#[test]
fn the_command_copies_sessions_again_and_again() {
    let site = Site::new("SESSION_HASH_IDS = false\nSESSION_SQLITE_PATH = 'old.db'");
    let server = site.serve();
    let visitors: Vec<_> = (0..5).map(|_| server.signed_in()).collect();
    let copy = |more: &[&str]| {
        let to = ["--to-set", "SESSION_SQLITE_PATH=new.db", "--to-set", "SESSION_HASH_IDS=true"];
        let arguments =
            [&["sessions", "copy", "--json", "--from", "sqlite", "--to", "sqlite"], &to[..], more];
        serde_json::from_str::<serde_json::Value>(&site.run(&arguments.concat())).unwrap()
    };
    let told = |copied: u8, there: u8| serde_json::json!({ "copied": copied, "there": there, "ended": 0, "unreadable": 0 });
    assert_eq!(copy(&[]), told(5, 0));
    assert_eq!(copy(&[]), told(0, 5));
    assert!(visitors.iter().all(Browser::is_signed_in));
    let late = server.signed_in();
    let visitors = visitors.iter().chain([&late]);
    let cookies: Vec<_> =
        visitors.map(|visitor| visitor.cookie.borrow().clone().unwrap()).collect();
    assert_eq!(copy(&["--remove"]), told(1, 5));
    assert!(!late.is_signed_in());
    drop(server);

    site.configure("SESSION_SQLITE_PATH = 'new.db'");
    let server = site.serve();
    for cookie in cookies {
        assert!(Browser::with_cookie(server.port, &cookie).is_signed_in());
    }
}

#[test]
fn what_cannot_be_copied_is_told() {
    let site = Site::new("");
    for (arguments, problem) in [
        (&["--from", "sqlite", "--to", "cookie"][..], "cookies"),
        (&["--from", "sqlite", "--to", "sqlite"], "the same place"),
        (
            &["--from", "sqlite", "--to", "sqlite", "--to-set", "SESSION_HASH_IDS=false"],
            "cannot become plain",
        ),
        (&["--from", "punchcards", "--to", "sqlite"], "SESSION_TYPE"),
        (&["--from", "sqlite", "--to", "ftp://example.org"], "SESSION_SQLALCHEMY"),
        (&["--from", "sqlite", "--to", "sqlite", "--to-set", "x"], "SETTING=VALUE"),
    ] {
        let (status, error) = site.fail(&[&["sessions", "copy"], arguments].concat(), b"");
        assert!(status == 2 && error.contains(problem), "{arguments:?}: {error}");
    }
    site.configure("SESSION_TYPE = 'cookie'\nSECRET_KEY = 'the key of nobody, but a long one'\nSESSION_MIGRATE_FROM = 'sqlite'");
    assert!(site.fail(&["check"], b"").1.contains("SESSION_MIGRATE_FROM moves sessions into"));
    for same in ["'sqlite'", "{ SESSION_HASH_IDS = false, SESSION_KEY_PREFIX = 'session:x' }"] {
        site.configure(&format!("SESSION_MIGRATE_FROM = {same}"));
        assert!(site.fail(&["check"], b"").1.contains("names the same store"), "{same}");
    }
    site.configure("SESSION_MIGRATE_FROM = { SESSION_TYPE = 'redis', SESSION_REDIS = 'x' }");
    let (_, error) = site.fail(&["check"], b"");
    assert!(error.contains("SESSION_MIGRATE_FROM is wrong") && error.contains("SESSION_REDIS"));
    assert!(!error.contains(PASSWORD) && USER.len() == 3);
}

/// How many sessions the large move has, and how many visitors use theirs meanwhile.
const MANY: usize = 10_000;
const BUSY: usize = 24;

#[test]
fn ten_thousand_sessions_move_to_redis_under_load_and_nobody_is_signed_out() {
    let test = "ten_thousand_sessions_move_to_redis_under_load_and_nobody_is_signed_out";
    if !has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", test) {
        return;
    }
    let store = redis::server();
    let url = format!("redis://127.0.0.1:{}/0", store.port);
    let site = Site::new("");
    let cookies = fill(&site);
    site.configure(&format!(
        "SESSION_TYPE = 'redis'\nSESSION_REDIS = '{url}'\nSESSION_MIGRATE_FROM = 'sqlite'"
    ));
    let server = site.serve();
    let moving = AtomicBool::new(true);
    let (busy, idle) = cookies.split_at(BUSY);
    std::thread::scope(|scope| {
        // Each visits again and again, before and after their session moves; one in three signs
        // out on the way.
        let visitors: Vec<_> = busy
            .iter()
            .enumerate()
            .map(|(number, cookie)| {
                let (moving, server) = (&moving, &server);
                scope.spawn(move || {
                    let visitor = Browser::with_cookie(server.port, cookie);
                    let signs_out = number % 3 == 0;
                    let mut visits = 0;
                    while moving.load(Ordering::SeqCst) || visits < 3 {
                        assert!(visitor.is_signed_in(), "signed out after {visits} visits");
                        visits += 1;
                        if signs_out && visits == 3 {
                            assert_eq!(visitor.post("/logout", &[]).status, 303);
                            break;
                        }
                    }
                    signs_out
                })
            })
            .collect();
        let told =
            site.run(&["sessions", "copy", "--json", "--remove", "--from", "sqlite", "--to", &url]);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["unreadable"], 0);
        moving.store(false, Ordering::SeqCst);
        let signed_out: Vec<bool> =
            visitors.into_iter().map(|visitor| visitor.join().unwrap()).collect();
        for (cookie, signed_out) in busy.iter().zip(signed_out) {
            let again = Browser::with_cookie(server.port, cookie);
            assert_eq!(again.is_signed_in(), !signed_out, "a copy of the cookie");
        }
    });
    drop(server);

    // All have moved: the old place can go.
    site.configure(&format!("SESSION_TYPE = 'redis'\nSESSION_REDIS = '{url}'"));
    let server = site.serve();
    for cookie in idle.iter().step_by(97) {
        assert!(Browser::with_cookie(server.port, cookie).is_signed_in());
    }
    let live: usize = redis::ask(store.port, &["DBSIZE"]).trim().parse().unwrap();
    let signed_out = (0..BUSY).filter(|number| number % 3 == 0).count();
    assert_eq!(live, MANY - signed_out);
}

/// Puts many signed-in sessions into the site's database, as sign-ins would, and gives the cookies.
fn fill(site: &Site) -> Vec<String> {
    let server = site.serve();
    let one = server.signed_in().cookie.borrow().clone().unwrap();
    drop(server);
    let first = SessionId::parse(one.strip_prefix("session=").unwrap()).unwrap();
    let ids: Vec<String> = (1..MANY).map(|number| format!("{number:043}")).collect();
    let mut connection = rusqlite::Connection::open(site.database()).unwrap();
    let sign_in: String =
        connection.query_row("SELECT id FROM sign_ins", [], |row| row.get(0)).unwrap();
    let transaction = connection.transaction().unwrap();
    for (number, id) in ids.iter().enumerate() {
        // Each with a sign-in of its own, whose name is as long as the first one's.
        let own = format!("{number:022}");
        let registered = transaction.execute(
            "INSERT INTO sign_ins SELECT ?1, account, created, last_seen, expires, address, agent \
             FROM sign_ins WHERE id = ?2",
            [&own, &sign_in],
        );
        assert_eq!(registered.unwrap(), 1);
        let copied = transaction.execute(
            "INSERT INTO sessions (id, data, expires) SELECT ?2, \
             unhex(replace(hex(data), hex(?3), hex(?4))), expires FROM sessions WHERE id = ?1",
            [
                first.store_key("session:", true).as_str(),
                SessionId::parse(id).unwrap().store_key("session:", true).as_str(),
                &sign_in,
                &own,
            ],
        );
        assert_eq!(copied.unwrap(), 1);
    }
    transaction.commit().unwrap();
    std::iter::once(one).chain(ids.into_iter().map(|id| format!("session={id}"))).collect()
}
