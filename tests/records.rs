//! What lies in a store and is no session of ours: it signs nobody in, stops nobody and is never
//! run, in whichever store it lies.

mod servers;
mod support;

use std::time::Duration;

use dewar::session::{Settings, StoreKey, store};
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use servers::mariadb::Mariadb;
use servers::postgres::Postgres;
use servers::{memcached, mongodb, redis};
use support::{Browser, Site, has};

const HOUR: Duration = Duration::from_secs(3600);

/// Values under `user_id` that are no number of an account, and whole sessions that are none.
const SHAPES: &[&str] = &[
    r#"{"user_id":null,"user_epoch":0}"#,
    r#"{"user_id":true,"user_epoch":0}"#,
    r#"{"user_id":"1","user_epoch":0}"#,
    r#"{"user_id":"gkf","user_epoch":0}"#,
    r#"{"user_id":"","user_epoch":0}"#,
    r#"{"user_id":[1],"user_epoch":0}"#,
    r#"{"user_id":[],"user_epoch":0}"#,
    r#"{"user_id":{},"user_epoch":0}"#,
    r#"{"user_id":{"$gt":0},"user_epoch":0}"#,
    r#"{"user_id":{"1":1},"user_epoch":0}"#,
    r#"{"user_id":1.5,"user_epoch":0}"#,
    r#"{"user_id":1e400,"user_epoch":0}"#,
    r#"{"user_id":-1,"user_epoch":0}"#,
    r#"{"user_id":0,"user_epoch":0}"#,
    r#"{"user_id":NaN,"user_epoch":0}"#,
    r#"{"user_id":Infinity,"user_epoch":0}"#,
    r#"{"user_id":-Infinity,"user_epoch":0}"#,
    r#"{"user_id":9223372036854775807,"user_epoch":0}"#,
    r#"{"user_id":9223372036854775808,"user_epoch":0}"#,
    r#"{"user_id":18446744073709551617,"user_epoch":0}"#,
    r#"{"user_id":-9223372036854775809,"user_epoch":0}"#,
    r#"{"user_id":1}"#,
    r#"{"user_id":1,"user_epoch":null}"#,
    r#"{"user_id":1,"user_epoch":"0"}"#,
    r#"{"user_id":1,"user_epoch":[0]}"#,
    r#"{"user_id":1,"user_epoch":-1}"#,
    r#"{"user_id":1,"user_epoch":1e9}"#,
    r#"{"user_epoch":0}"#,
    r#"{"User_id":1,"user_epoch":0}"#,
    r#"{"user":{"user_id":1,"user_epoch":0}}"#,
    r#"{"_permanent":[],"user_id":"1","user_epoch":{}}"#,
    r#"{"csrf_token":7,"_flashes":5,"user_id":{"user_id":1}}"#,
    r#"{"user_id":1,"user_id":7,"user_epoch":0}"#,
    r#"[["user_id",1],["user_epoch",0]]"#,
    r#""user_id""#,
    "1",
    "null",
    "{",
    "",
];

/// Bytes that hurt careless readers: code, depth and lengths that are announced and do not come.
fn bombs(made: &std::path::Path) -> Vec<(&'static str, Vec<u8>)> {
    let command = format!("touch {}", made.display());
    let length = u8::try_from(command.len()).unwrap();
    let code = [b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c", &[length][..], command.as_bytes()];
    let old = format!("cposix\nsystem\n(S'{command}'\ntR.");
    let deep = |open: &[u8]| open.repeat(100_000);
    let nested = |open: &str, close: &str| {
        format!("{{\"user_id\":{}1{}}}", open.repeat(100_000), close.repeat(100_000)).into_bytes()
    };
    vec![
        ("a pickle that runs a command", [&code.concat()[..], b"\x85R."].concat()),
        ("one of the oldest protocol", old.into_bytes()),
        (
            "one in a dictionary",
            [b"\x80\x04}\x8c\x07user_id", &code.concat()[2..], b"\x85Rs."].concat(),
        ),
        ("lists in lists of MessagePack", deep(b"\x91")),
        ("maps in maps of MessagePack", deep(b"\x81\xa1a")),
        ("lists in lists of JSON", nested("[", "]")),
        ("objects in objects of JSON", nested("{\"a\":", "}")),
        ("lists in lists of pickle", [&b"\x80\x04"[..], &deep(b"]"), &deep(b"a"), b"."].concat()),
        ("a list of four billion", b"\xdd\xff\xff\xff\xff".to_vec()),
        ("a map of four billion", b"\xdf\xff\xff\xff\xff".to_vec()),
        ("a text of four billion bytes", b"\xdb\xff\xff\xff\xffa".to_vec()),
        ("a list of four billion in a map", b"\x81\xa7user_id\xdd\xff\xff\xff\xff".to_vec()),
        ("a pickled text of two billion bytes", b"\x80\x04X\xff\xff\xff\x7fa.".to_vec()),
        (
            "a pickled frame of any length",
            b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.".to_vec(),
        ),
        ("every byte", (0..=255).collect()),
        ("nothing but zeros", vec![0; 4096]),
    ]
}

fn store_of(site: &Site) -> std::sync::Arc<dyn store::Store> {
    let file = site.path().join("Rocket.toml");
    let figment = Figment::from(Toml::file(file).nested()).select("default");
    store::connect(&Settings::from_figment(&figment).unwrap()).unwrap().unwrap()
}

/// Puts every record into the store that `settings` name, and visits with each.
fn harmless(settings: &str) {
    let site = Site::new(&format!("SESSION_HASH_IDS = false\n{settings}"));
    let server = site.serve();
    let insider = server.signed_in();
    let made = site.path().join("made-by-a-pickle");
    let shapes = SHAPES.iter().map(|shape| (*shape, shape.as_bytes().to_vec()));
    let records: Vec<_> = shapes.chain(bombs(&made)).collect();
    let runtime = rocket::tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let store = store_of(&site);
    let right = br#"{"user_id":1,"user_epoch":0}"#;
    for (index, (what, record)) in records.iter().enumerate() {
        let key = StoreKey::new(format!("session:record{index}"));
        if let Err(error) = runtime.block_on(store.create(&key, record, HOUR)) {
            // What the store has no room for cannot come from it.
            assert!(record.len() > 60_000, "{what}: {error}");
            continue;
        }
        let visitor = Browser::with_cookie(server.port, &format!("session=record{index}"));
        for path in ["/brief_introduction", "/detailed?id=1"] {
            let answer = visitor.get(path);
            assert_eq!(answer.status, 303, "{what} in {settings}: {answer:?}");
        }
        assert_eq!(visitor.post("/logout", &[]).status, 303, "{what} in {settings}");
    }
    assert!(!made.exists(), "a pickle was run: {settings}");
    assert!(insider.is_signed_in(), "{settings}");
    assert!(!server.log().contains("panicked"), "{settings}: {}", server.log());
    let peak = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 300 * 1024, "{settings}: {peak} KiB");

    // A right record is a session, or the above would show nothing.
    let key = StoreKey::new("session:right");
    assert!(runtime.block_on(store.create(&key, right, HOUR)).unwrap());
    assert!(Browser::with_cookie(server.port, "session=right").is_signed_in(), "{settings}");
}

#[test]
fn in_sqlite() {
    harmless("");
}

#[test]
fn in_files() {
    harmless("SESSION_TYPE = 'filesystem'\nSESSION_FILE_DIR = 'sessions'");
}

#[test]
fn in_flasks_table_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sessions.db");
    harmless(&format!(
        "SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = 'sqlite:///{}'",
        file.display()
    ));
}

#[test]
fn in_redis() {
    if has(redis::is_here(), "Redis (Debian's redis-server and redis-tools)", "in_redis") {
        let store = redis::server();
        let url = format!("redis://127.0.0.1:{}/0", store.port);
        harmless(&format!("SESSION_TYPE = 'redis'\nSESSION_REDIS = '{url}'"));
    }
}

#[test]
fn in_memcached() {
    if has(memcached::is_here(), "memcached (Debian's memcached)", "in_memcached") {
        let store = memcached::server(&[]);
        let address = format!("127.0.0.1:{}", store.port);
        harmless(&format!("SESSION_TYPE = 'memcached'\nSESSION_MEMCACHED = '{address}'"));
    }
}

#[test]
#[ignore = "the stand-in itself, which another test starts"]
fn the_stand_in() {
    mongodb::serve();
}

#[test]
fn in_what_stands_in_for_mongodb() {
    let store = mongodb::stand_in("the_stand_in");
    let url = format!("mongodb://127.0.0.1:{}", store.port);
    harmless(&format!("SESSION_TYPE = 'mongodb'\nSESSION_MONGODB = '{url}'"));
}

#[test]
fn in_postgresql() {
    let Some(store) = Postgres::start("in_postgresql", &[]) else { return };
    harmless(&format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = '{}'", store.url()));
}

#[test]
fn in_mariadb() {
    let Some(store) = Mariadb::start("in_mariadb") else { return };
    harmless(&format!("SESSION_TYPE = 'sqlalchemy'\nSESSION_SQLALCHEMY = '{}'", store.url()));
}
