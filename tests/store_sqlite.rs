//! The SQLite store keeps every store's promises, and some of its own.

mod conformance;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dewar::session::store::{SqliteStore, Store};
use dewar::session::{Error, SessionId, StoreKey};
use rocket::tokio;

const LONG: Duration = Duration::from_secs(3600);

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("session:", true)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).unwrap()
}

#[rocket::async_test]
async fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    conformance::all(|| async { Arc::new(open(&path)) as Arc<dyn Store> }).await;
}

#[rocket::async_test]
async fn processes_that_update_at_the_same_time_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    conformance::processes_that_update_at_the_same_time_lose_nothing(
        "processes_that_update_at_the_same_time_lose_nothing",
        dir.path().join("sessions.db").to_str().unwrap(),
        |place| async move { Arc::new(open(Path::new(&place))) as Arc<dyn Store> },
    )
    .await;
}

/// Creates sessions with ids of its own, so many at once that they share commits.
async fn create_many(store: &Arc<SqliteStore>, sessions: usize) {
    for _ in 0..sessions / 1000 {
        let creations = (0..1000).map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.create(&key(), b"x", LONG).await.unwrap() })
        });
        for creation in creations.collect::<Vec<_>>() {
            assert!(creation.await.unwrap(), "an id was drawn twice");
        }
    }
}

#[rocket::async_test]
async fn two_processes_that_create_fifty_thousand_sessions_each_draw_no_id_twice() {
    let test = "two_processes_that_create_fifty_thousand_sessions_each_draw_no_id_twice";
    if let Some((place, _)) = conformance::in_another_process() {
        return create_many(&Arc::new(open(Path::new(&place))), 50_000).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let store = open(&path);
    let start = || conformance::another_process(test, path.to_str().unwrap(), &key()).spawn();
    for mut process in [start().unwrap(), start().unwrap()] {
        assert!(process.wait().unwrap().success());
    }
    let count = |connection: &rusqlite::Connection| {
        connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(store.database().read_blocking(count).unwrap(), 100_000);
}

#[rocket::async_test]
async fn records_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let (kept, ended) = (key(), key());
    {
        let store = open(&path);
        store.create(&kept, b"kept", LONG).await.unwrap();
        store.create(&ended, b"ended", LONG).await.unwrap();
        store.delete(&ended).await.unwrap();
    }
    let store = open(&path);
    assert_eq!(store.load(&kept).await.unwrap().unwrap().bytes, b"kept");
    assert_eq!(store.load(&ended).await.unwrap(), None);
}

#[test]
fn the_files_are_their_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let _store = open(&path);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[rocket::async_test]
async fn an_ended_session_leaves_nothing_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let key = key();
    {
        let store = open(&path);
        store.create(&key, b"a very telling value", LONG).await.unwrap();
        store.delete(&key).await.unwrap();
    }
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        for trace in [b"a very telling value".as_slice(), key.as_str().as_bytes()] {
            assert!(!content.windows(trace.len()).any(|window| window == trace));
        }
    }
}

#[rocket::async_test]
async fn concurrent_writes_share_commits_and_all_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("sessions.db")));
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let key = key();
                assert!(store.create(&key, b"x", LONG).await.unwrap());
                key
            })
        })
        .collect();
    for task in tasks {
        let key = task.await.unwrap();
        assert!(store.load(&key).await.unwrap().is_some());
    }
    assert_eq!(store.database().statistics().writes, 501, "500 and the schema");
}

#[rocket::async_test]
async fn a_failing_change_undoes_itself_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("sessions.db"));
    let database = Arc::clone(store.database());
    let (good, bad) = (key(), key());
    let failing = {
        let bad = bad.clone();
        database.write(move |connection| {
            connection.execute("INSERT INTO sessions VALUES (?1, x'00', 9e15)", [bad.as_str()])?;
            connection.execute_batch("INSERT INTO nowhere VALUES (1)")
        })
    };
    let panicking = database.write(|_| -> rusqlite::Result<()> { panic!("in a change") });
    let (failed, panicked, created) =
        tokio::join!(failing, panicking, store.create(&good, b"x", LONG));
    assert!(failed.is_err() && panicked.is_err());
    assert!(created.unwrap());
    assert_eq!(store.load(&bad).await.unwrap(), None);
    assert!(store.load(&good).await.unwrap().is_some());
}

#[rocket::async_test]
async fn a_lock_held_elsewhere_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let store = open(&path);
    let key = key();
    store.create(&key, b"x", LONG).await.unwrap();
    let shell = rusqlite::Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let read = store.load(&key).await.unwrap();
    assert!(read.is_some(), "a writer elsewhere must not stop readers");
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        shell.execute_batch("COMMIT").unwrap();
    });
    assert!(store.touch(&key, LONG).await.unwrap());
    release.join().unwrap();
}

/// Readers look at the file's name a few times a second.
fn notice() {
    std::thread::sleep(Duration::from_millis(250));
}

#[rocket::async_test]
async fn a_replaced_or_damaged_file_is_noticed_and_its_return_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sessions.db");
    let good = dir.path().join("good.db");
    let key = key();
    {
        let store = open(&path);
        store.create(&key, b"x", LONG).await.unwrap();
    }
    std::fs::copy(&path, &good).unwrap();
    let store = open(&path);
    assert!(store.load(&key).await.unwrap().is_some());

    let put = |content: Vec<u8>| {
        for side in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.path().join(format!("sessions.db{side}")));
        }
        let next = dir.path().join("next");
        std::fs::write(&next, content).unwrap();
        std::fs::rename(&next, &path).unwrap();
        notice();
    };
    let mut halved = std::fs::read(&good).unwrap();
    halved.truncate(halved.len() / 2);
    for damaged in [b"this is not a database at all, but text".repeat(200), halved] {
        put(damaged);
        assert!(matches!(store.load(&key).await, Err(Error::Store { .. })));
        assert!(store.touch(&key, LONG).await.is_err());
        put(std::fs::read(&good).unwrap());
        assert!(store.load(&key).await.unwrap().is_some(), "right again by itself");
        assert!(store.touch(&key, LONG).await.unwrap());
    }

    std::fs::rename(&path, dir.path().join("away")).unwrap();
    notice();
    assert!(store.load(&key).await.is_err(), "a missing file is not an empty one");
    assert!(store.create(&self::key(), b"x", LONG).await.is_err());
    std::fs::rename(dir.path().join("away"), &path).unwrap();
    assert!(store.load(&key).await.unwrap().is_some());
}

#[test]
fn what_is_no_database_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "buy milk\n".repeat(500)).unwrap();
    let shown = SqliteStore::open(&text).unwrap_err().to_string();
    assert!(shown.contains("not a SQLite database"), "{shown}");
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "buy milk\n".repeat(500));
    let missing = SqliteStore::open(&dir.path().join("no/such/dir.db")).unwrap_err().to_string();
    assert!(missing.contains("no/such/dir.db"), "{missing}");
}
