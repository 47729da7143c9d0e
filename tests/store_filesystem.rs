//! The file store keeps every store's promises, and some of its own.

#![cfg(feature = "filesystem")]

mod conformance;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use dewar::session::settings::{FileHash, FileSettings};
use dewar::session::store::filesystem::{CacheFile, file_name};
use dewar::session::store::{FilesystemStore, Replacement, Store};
use dewar::session::{Error, SessionId, StoreKey};
use rocket::tokio;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(3600);

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("session:", true)
}

fn settings(dir: &Path) -> FileSettings {
    FileSettings { dir: dir.into(), threshold: 0, mode: 0o600, hash: FileHash::Sha256 }
}

fn open(dir: &Path) -> FilesystemStore {
    FilesystemStore::open(settings(dir)).unwrap()
}

/// A directory that is not there yet, and what removes it.
fn directory() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flask_session");
    (dir, path)
}

fn file_of(dir: &Path, hash: FileHash, key: &StoreKey) -> PathBuf {
    dir.join(file_name(hash, key.as_str()))
}

fn own_file(dir: &Path, key: &StoreKey) -> PathBuf {
    file_of(dir, FileHash::Sha256, key)
}

async fn stored(store: &dyn Store, key: &StoreKey) -> Option<Vec<u8>> {
    store.load(key).await.unwrap().map(|record| record.bytes)
}

fn moved(key: &StoreKey, bytes: &[u8]) -> Replacement {
    Replacement::Moved { key: key.clone(), bytes: bytes.to_vec(), ttl: LONG, forward: None }
}

/// The names of the files that cachelib would take for sessions.
fn sessions(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|n| !n.ends_with(".__wz_cache")).collect()
}

#[rocket::async_test]
async fn it_conforms_with_names_of_either_kind() {
    let conforms = async |hash| {
        let (_guard, dir) = directory();
        let open = || FilesystemStore::open(FileSettings { hash, ..settings(&dir) }).unwrap();
        conformance::all(|| async { Arc::new(open()) as Arc<dyn Store> }).await;
        while open().sweep(100).await.unwrap() > 0 {}
        assert_eq!(sessions(&dir), [""; 0], "nothing is left behind");
    };
    tokio::join!(conforms(FileHash::Sha256), conforms(FileHash::Md5));
}

#[rocket::async_test]
async fn processes_that_update_at_the_same_time_lose_nothing() {
    let (_guard, dir) = directory();
    conformance::processes_that_update_at_the_same_time_lose_nothing(
        "processes_that_update_at_the_same_time_lose_nothing",
        dir.to_str().unwrap(),
        |place| async move { Arc::new(open(Path::new(&place))) as Arc<dyn Store> },
    )
    .await;
}

#[rocket::async_test]
async fn a_process_killed_while_it_moves_a_session_leaves_it_in_one_place() {
    let nth = |n: usize| StoreKey::new(format!("session:{n}"));
    if let Some((dir, _)) = conformance::in_another_process() {
        let store = open(Path::new(&dir));
        for n in 0.. {
            assert!(store.replace(&nth(n), b"x", &moved(&nth(n + 1), b"x")).await.unwrap());
        }
    }
    for round in 0..10 {
        let (_guard, dir) = directory();
        let store = open(&dir);
        store.create(&nth(0), b"x", LONG).await.unwrap();
        let mut child = conformance::another_process(
            "a_process_killed_while_it_moves_a_session_leaves_it_in_one_place",
            dir.to_str().unwrap(),
            &nth(0),
        )
        .spawn()
        .unwrap();
        while own_file(&dir, &nth(0)).exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(10 + 7 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let live = sessions(&dir);
        assert_eq!(live.len(), 1, "{live:?}");
        let bytes = fs::read(dir.join(&live[0])).unwrap();
        assert_eq!(CacheFile::parse(&bytes).unwrap().record, b"x");
        assert!(live[0] != file_name(FileHash::Sha256, nth(0).as_str()), "it never moved");
    }
}

#[test]
fn nobody_sees_a_moving_session_in_two_places() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nth = |n: usize| StoreKey::new(format!("session:{n}"));
    runtime.block_on(store.create(&nth(0), b"x", LONG)).unwrap();
    let (now, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let exists = |n: usize| own_file(&dir, &nth(n)).exists();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let n = now.load(Ordering::Relaxed);
                // It never comes back to a place that it has left.
                assert!(!(exists(n + 1) && exists(n)), "{n} is there after the next has come");
            }
        });
        let moves = (0..300).map(|n| {
            now.store(n, Ordering::Relaxed);
            runtime.block_on(store.replace(&nth(n), b"x", &moved(&nth(n + 1), b"x")))
        });
        let moved: Vec<_> = moves.collect();
        ended.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
        assert!(moved.into_iter().all(Result::unwrap));
    });
}

#[test]
fn the_directory_and_its_files_are_their_owners_alone() {
    let (_guard, dir) = directory();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (private, shared) = (key(), key());
    let store = open(&dir);
    assert!(runtime.block_on(store.create(&private, b"x", LONG)).unwrap());
    let store = FilesystemStore::open(FileSettings { mode: 0o660, ..settings(&dir) }).unwrap();
    assert!(runtime.block_on(store.create(&shared, b"x", LONG)).unwrap());
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&own_file(&dir, &private)), 0o600);
    assert_eq!(mode(&own_file(&dir, &shared)), 0o660);
}

#[test]
fn what_is_no_safe_directory_is_refused_in_words() {
    let guard = tempfile::tempdir().unwrap();
    let (dir, file) = (guard.path().join("open"), guard.path().join("file"));
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
    fs::write(&file, "").unwrap();
    for (path, problem) in [(&dir, "chmod 700"), (&file, "file")] {
        let shown = FilesystemStore::open(settings(path)).unwrap_err().to_string();
        assert!(shown.contains(problem) && shown.contains(path.to_str().unwrap()), "{shown}");
    }
}

#[rocket::async_test]
async fn a_session_under_the_other_hash_is_found_and_gets_its_own_name() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let old = FilesystemStore::open(FileSettings { hash: FileHash::Md5, ..settings(&dir) });
    let old = old.unwrap();
    let [written, touched, moved_away, ended] = [0; 4].map(|_| key());
    for key in [&written, &touched, &moved_away, &ended] {
        assert!(old.create(key, b"x", LONG).await.unwrap());
        assert_eq!(stored(&store, key).await.unwrap(), b"x");
        assert!(!store.create(key, b"y", LONG).await.unwrap(), "it is there already");
    }
    let bytes = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    assert!(store.replace(&written, b"x", &bytes).await.unwrap());
    assert!(store.touch(&touched, LONG).await.unwrap());
    let target = key();
    assert!(store.replace(&moved_away, b"x", &moved(&target, b"z")).await.unwrap());
    store.delete(&ended).await.unwrap();
    for key in [&written, &touched, &moved_away, &ended] {
        assert!(!file_of(&dir, FileHash::Md5, key).exists());
    }
    assert_eq!(stored(&old, &written).await.unwrap(), b"y");
    assert_eq!(stored(&old, &target).await.unwrap(), b"z");
    assert_eq!(sessions(&dir).len(), 3);
}

#[rocket::async_test]
async fn the_count_is_kept_where_flask_session_keeps_one() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let count_file = dir.join(file_name(FileHash::Sha256, "__wz_cache_count"));
    let count = || CacheFile::parse(&fs::read(&count_file).unwrap()).unwrap().record;
    let (one, other) = (key(), key());
    store.create(&one, b"x", LONG).await.unwrap();
    assert!(!count_file.exists());

    fs::write(&count_file, b"\0\0\0\0\x80\x05K\x01.").unwrap();
    store.create(&other, b"x", Duration::ZERO).await.unwrap();
    assert_eq!(count(), b"\x80\x05K\x02.");
    store.touch(&one, LONG).await.unwrap();
    let target = key();
    store.replace(&one, b"x", &moved(&target, b"x")).await.unwrap();
    assert_eq!(count(), b"\x80\x05K\x02.");
    store.delete(&one).await.unwrap();
    assert_eq!(count(), b"\x80\x05K\x02.", "it was gone already");
    store.delete(&target).await.unwrap();
    assert_eq!(count(), b"\x80\x05K\x01.");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(store.sweep(10).await.unwrap(), 1);
    assert_eq!(count(), b"\x80\x05K\0.");
    assert!(count_file.exists(), "the count is no session");
}

#[rocket::async_test]
async fn no_live_session_is_thrown_out_unless_a_threshold_says_so() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let keys: Vec<_> = (0..8).map(|_| key()).collect();
    for (n, key) in keys.iter().enumerate() {
        store.create(key, b"x", LONG + Duration::from_secs(10 * n as u64)).await.unwrap();
    }
    let expired = key();
    store.create(&expired, b"x", Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    let store = FilesystemStore::open(FileSettings { threshold: 6, ..settings(&dir) }).unwrap();
    assert!(own_file(&dir, &expired).exists());
    let last = key();
    store.create(&last, b"x", LONG).await.unwrap();
    assert!(!own_file(&dir, &expired).exists(), "the expired go first");
    let mut live = Vec::new();
    for key in &keys {
        live.push(stored(&store, key).await.is_some());
    }
    assert_eq!(live, [false, false, true, true, true, true, true, true], "the soonest to expire");
    assert!(stored(&store, &last).await.is_some());
}

#[rocket::async_test]
async fn files_of_others_stay_and_what_a_crash_left_goes() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let hour = SystemTime::now() - Duration::from_secs(3700);
    let stays = [".gitkeep", "README", "tmpabc.__wz_cache", "dewar-young.__wz_cache", "0f"];
    for name in stays.iter().chain(&["dewar-old.__wz_cache"]) {
        let file = File::create(dir.join(name)).unwrap();
        if *name != "dewar-young.__wz_cache" {
            file.set_modified(hour).unwrap();
        }
    }
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert!(!dir.join("dewar-old.__wz_cache").exists());
    for name in stays {
        assert!(dir.join(name).exists(), "{name}");
    }
}

#[rocket::async_test]
async fn neither_links_nor_pipes_are_taken_for_sessions() {
    let (guard, dir) = directory();
    let store = open(&dir);
    let outside = guard.path().join("outside");
    let bytes = CacheFile::new(b"planted".to_vec(), SystemTime::now(), LONG).to_bytes();
    fs::write(&outside, &bytes).unwrap();
    let (link, pipe, folder) = (key(), key(), key());
    symlink(&outside, own_file(&dir, &link)).unwrap();
    let made = Command::new("mkfifo").arg(own_file(&dir, &pipe)).status().unwrap();
    assert!(made.success());
    fs::create_dir(own_file(&dir, &folder)).unwrap();
    for key in [&link, &pipe, &folder] {
        assert!(matches!(store.load(key).await, Err(Error::Store { .. })));
        assert!(store.touch(key, LONG).await.is_err());
        assert!(store.create(key, b"x", LONG).await.is_err());
    }
    assert_eq!(store.sweep(100).await.unwrap(), 0);
    assert_eq!(fs::read(&outside).unwrap(), bytes);

    // The lock could be a link to a file that somebody else wants emptied or locked.
    let lock = dir.join(".dewar-lock.__wz_cache");
    fs::remove_file(&lock).unwrap();
    symlink(&outside, &lock).unwrap();
    assert!(store.create(&self::key(), b"x", LONG).await.is_err());
    assert!(FilesystemStore::open(settings(&dir)).is_err());
}

#[rocket::async_test]
async fn what_could_not_be_read_is_not_written() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let (fits, planted) = (key(), key());
    let mut bytes = vec![b'x'; 16 * 1024 * 1024 - 4];
    assert!(store.create(&fits, &bytes, LONG).await.unwrap());
    assert_eq!(stored(&store, &fits).await.as_ref(), Some(&bytes));
    bytes.push(b'x');
    let larger = Replacement::Bytes { bytes: bytes.clone(), ttl: LONG };
    assert!(store.replace(&fits, &bytes[1..], &larger).await.is_err());
    assert!(store.create(&planted, &bytes, LONG).await.is_err());
    assert_eq!(sessions(&dir).len(), 1);
    File::create(own_file(&dir, &planted)).unwrap().set_len(1 << 40).unwrap();
    assert!(store.load(&planted).await.is_err());
}

#[rocket::async_test]
async fn a_file_cut_off_at_its_beginning_is_no_session_and_its_place_is_taken() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    for content in [&b""[..], b"abc"] {
        let key = key();
        fs::write(own_file(&dir, &key), content).unwrap();
        assert_eq!(stored(&store, &key).await, None);
        assert_eq!(store.sweep(100).await.unwrap(), 0);
        assert!(store.create(&key, b"x", LONG).await.unwrap());
        assert_eq!(stored(&store, &key).await.unwrap(), b"x");
    }
}

#[rocket::async_test]
async fn a_directory_that_vanishes_is_an_error_and_its_return_is_noticed() {
    let (guard, dir) = directory();
    let store = open(&dir);
    let kept = key();
    store.create(&kept, b"x", LONG).await.unwrap();
    let away = guard.path().join("away");
    fs::rename(&dir, &away).unwrap();
    for _ in 0..2 {
        assert!(matches!(store.load(&kept).await, Err(Error::Store { .. })));
        assert!(store.create(&key(), b"x", LONG).await.is_err());
        assert!(store.touch(&kept, LONG).await.is_err());
        assert!(store.delete(&kept).await.is_err());
        assert!(store.ping().await.is_err());
        // An empty directory in its place is the mount point of a disk that is not there.
        let _ = fs::create_dir(&dir);
    }
    assert_eq!(sessions(&dir), [""; 0]);
    fs::remove_dir(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    assert_eq!(stored(&store, &kept).await.unwrap(), b"x");
    assert!(store.touch(&kept, LONG).await.unwrap());
    store.ping().await.unwrap();
}

#[rocket::async_test]
async fn a_lock_held_elsewhere_is_waited_for_but_not_for_ever() {
    let (_guard, dir) = directory();
    let store = open(&dir);
    let key = key();
    store.create(&key, b"x", LONG).await.unwrap();
    let lock = File::open(dir.join(".dewar-lock.__wz_cache")).unwrap();
    lock.lock().unwrap();
    assert!(stored(&store, &key).await.is_some(), "readers need no lock");
    let begun = Instant::now();
    let shown = store.touch(&key, LONG).await.unwrap_err().to_string();
    assert!(shown.contains("lock"), "{shown}");
    assert!(begun.elapsed() < Duration::from_secs(8));
    let release = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        lock.unlock().unwrap();
    });
    assert!(store.touch(&key, LONG).await.unwrap());
    release.join().unwrap();
}
