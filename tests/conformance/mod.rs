//! What every session store promises, as tests that any store runs: call [`all`] with a way to
//! open the same store again and again.

#![allow(dead_code)]

use std::collections::HashSet;
use std::future::Future;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dewar::session::store::{Forward, Replacement, Store};
use dewar::session::{SessionId, StoreKey};

const LONG: Duration = Duration::from_secs(3600);

/// Runs the whole suite. `open` opens the store under test, each time a new connection to the same
/// data; sessions of other keys may be in it.
pub async fn all<F>(open: impl Fn() -> F)
where
    F: Future<Output = Arc<dyn Store>>,
{
    let store = open().await;
    absent_is_an_answer_and_not_an_error(&*store).await;
    a_created_record_reads_back_and_is_not_created_twice(&*store).await;
    every_byte_value_and_a_mebibyte_survive(&*store).await;
    only_the_exact_key_is_found(&*store).await;
    a_replacement_needs_the_bytes_that_are_there(&*store).await;
    a_deleted_session_is_not_written_again(&*store).await;
    a_move_is_one_step_and_takes_no_live_place(&*store).await;
    a_move_may_leave_a_forward_behind(&*store).await;
    moves_at_the_same_time_are_one(Arc::clone(&store)).await;
    a_removal_needs_the_bytes_that_are_there(&*store).await;
    updates_at_the_same_time_lose_nothing(Arc::clone(&store)).await;
    a_touch_prolongs_and_never_revives(&*store).await;
    an_expired_record_is_absent_at_once_and_a_live_one_never_early(&*store).await;
    an_expired_place_can_be_taken_again(&*store).await;
    a_sweep_is_bounded_and_takes_the_expired_alone(&*store).await;
    a_scan_lists_each_live_session_of_the_prefix_and_no_other(&*store).await;
    what_was_written_is_there_for_another_connection(&*store, &*open().await).await;
}

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("conformance:", true)
}

fn bytes(bytes: &[u8]) -> Replacement {
    Replacement::Bytes { bytes: bytes.to_vec(), ttl: LONG }
}

async fn stored(store: &dyn Store, key: &StoreKey) -> Option<Vec<u8>> {
    store.load(key).await.unwrap().map(|record| record.bytes)
}

async fn absent_is_an_answer_and_not_an_error(store: &dyn Store) {
    let key = key();
    assert_eq!(stored(store, &key).await, None);
    assert!(!store.touch(&key, LONG).await.unwrap());
    assert!(!store.replace(&key, b"", &bytes(b"x")).await.unwrap());
    assert!(!store.update(&key, b"", Arc::new(|_| Ok(bytes(b"x")))).await.unwrap());
    store.delete(&key).await.unwrap();
    assert_eq!(stored(store, &key).await, None);
    store.ping().await.unwrap();
}

async fn a_created_record_reads_back_and_is_not_created_twice(store: &dyn Store) {
    let key = key();
    assert!(store.create(&key, b"first", LONG).await.unwrap());
    assert!(!store.create(&key, b"second", LONG).await.unwrap());
    let record = store.load(&key).await.unwrap().unwrap();
    assert_eq!(record.bytes, b"first");
    if let Some(left) = record.expires_in {
        // An engine of whole seconds rounds up.
        let most = LONG + Duration::from_secs(1);
        assert!(left <= most && left > LONG - Duration::from_secs(60), "{left:?}");
    }
    store.delete(&key).await.unwrap();
    assert_eq!(stored(store, &key).await, None);
}

async fn every_byte_value_and_a_mebibyte_survive(store: &dyn Store) {
    let all: Vec<u8> = (0..=255).collect();
    // Below the item limit of a mebibyte that some engines count the key into.
    let large: Vec<u8> = all.iter().copied().cycle().take(1024 * 1024 - 1024).collect();
    for record in [&all, &large] {
        let key = key();
        assert!(store.create(&key, record, LONG).await.unwrap());
        assert_eq!(stored(store, &key).await.as_ref(), Some(record));
        assert!(store.replace(&key, record, &bytes(b"small")).await.unwrap());
        assert!(store.replace(&key, b"small", &bytes(record)).await.unwrap());
        assert_eq!(stored(store, &key).await.as_ref(), Some(record));
        store.delete(&key).await.unwrap();
    }
}

async fn only_the_exact_key_is_found(store: &dyn Store) {
    let base = "conformance:AbCdEfGhIjKlMnOpQrStUvWx-_";
    let key = StoreKey::new(base);
    store.create(&key, b"exact", LONG).await.unwrap();
    for other in [
        base.to_lowercase(),
        base.to_uppercase(),
        base[..base.len() - 1].to_owned(),
        format!("{base}x"),
        format!("{base}%"),
        base.replace('_', "-"),
        base.replace("AbC", "%"),
    ] {
        assert_eq!(stored(store, &StoreKey::new(&*other)).await, None, "{other}");
    }
    assert!(stored(store, &key).await.is_some());
    store.delete(&key).await.unwrap();
}

async fn a_replacement_needs_the_bytes_that_are_there(store: &dyn Store) {
    let key = key();
    store.create(&key, b"one", LONG).await.unwrap();
    assert!(store.replace(&key, b"one", &bytes(b"two")).await.unwrap());
    for stale in [&b"one"[..], b"", b"tw", b"two ", b"TWO"] {
        assert!(!store.replace(&key, stale, &bytes(b"three")).await.unwrap(), "{stale:?}");
    }
    assert_eq!(stored(store, &key).await.unwrap(), b"two");
    assert!(store.replace(&key, b"two", &bytes(b"two")).await.unwrap(), "unchanged bytes");
    store.delete(&key).await.unwrap();
}

async fn a_deleted_session_is_not_written_again(store: &dyn Store) {
    let key = key();
    store.create(&key, b"alive", LONG).await.unwrap();
    store.delete(&key).await.unwrap();
    let moved =
        Replacement::Moved { key: self::key(), bytes: b"late".to_vec(), ttl: LONG, forward: None };
    for late in [bytes(b"late"), moved] {
        assert!(!store.replace(&key, b"alive", &late).await.unwrap());
        let merge = late.clone();
        assert!(!store.update(&key, b"alive", Arc::new(move |_| Ok(merge.clone()))).await.unwrap());
    }
    assert!(!store.touch(&key, LONG).await.unwrap());
    assert_eq!(stored(store, &key).await, None);
}

async fn a_move_is_one_step_and_takes_no_live_place(store: &dyn Store) {
    let (from, to, taken) = (key(), key(), key());
    let moved = |key: &StoreKey| Replacement::Moved {
        key: key.clone(),
        bytes: b"moved".to_vec(),
        ttl: LONG,
        forward: None,
    };
    store.create(&from, b"here", LONG).await.unwrap();
    store.create(&taken, b"other", LONG).await.unwrap();
    assert!(!store.replace(&from, b"stale", &moved(&to)).await.unwrap());
    assert!(!store.replace(&from, b"here", &moved(&taken)).await.unwrap());
    assert_eq!(stored(store, &from).await.unwrap(), b"here");
    assert_eq!(stored(store, &taken).await.unwrap(), b"other");
    assert!(store.replace(&from, b"here", &moved(&to)).await.unwrap());
    assert_eq!(stored(store, &from).await, None);
    assert_eq!(stored(store, &to).await.unwrap(), b"moved");
    for key in [to, taken] {
        store.delete(&key).await.unwrap();
    }
}

fn moved_with_forward(to: &StoreKey, forward: &[u8], ttl: Duration) -> Replacement {
    let forward = Some(Forward { bytes: forward.to_vec(), ttl });
    Replacement::Moved { key: to.clone(), bytes: b"moved".to_vec(), ttl: LONG, forward }
}

async fn a_move_may_leave_a_forward_behind(store: &dyn Store) {
    let (from, to, taken) = (key(), key(), key());
    store.create(&from, b"here", LONG).await.unwrap();
    store.create(&taken, b"other", LONG).await.unwrap();
    let moved = |to: &StoreKey| moved_with_forward(to, b"forward", Duration::from_secs(1));
    assert!(!store.replace(&from, b"stale", &moved(&to)).await.unwrap());
    assert_eq!(stored(store, &to).await, None);
    assert!(!store.replace(&from, b"here", &moved(&taken)).await.unwrap());
    assert_eq!(stored(store, &from).await.unwrap(), b"here");
    assert_eq!(stored(store, &taken).await.unwrap(), b"other");
    assert!(!store.replace(&key(), b"here", &moved(&to)).await.unwrap(), "from nowhere");

    let begin = Instant::now();
    assert!(store.replace(&from, b"here", &moved(&to)).await.unwrap());
    let left = stored(store, &from).await;
    assert!(left.is_some_and(|left| left == b"forward") || begin.elapsed().as_secs() > 0);
    assert_eq!(stored(store, &to).await.unwrap(), b"moved");
    assert!(!store.replace(&from, b"here", &bytes(b"late")).await.unwrap());
    sleep(2_100).await;
    assert_eq!(stored(store, &from).await, None, "a forward outlives its time");
    assert_eq!(stored(store, &to).await.unwrap(), b"moved");

    // The place of a forward is one like any other.
    assert!(store.replace(&to, b"moved", &moved_with_forward(&from, b"back", LONG)).await.unwrap());
    assert_eq!(stored(store, &from).await.unwrap(), b"moved");
    assert!(store.replace(&to, b"back", &Replacement::Removed).await.unwrap());
    for key in [from, to, taken] {
        store.delete(&key).await.unwrap();
    }
}

async fn moves_at_the_same_time_are_one(store: Arc<dyn Store>) {
    let from = key();
    store.create(&from, b"here", LONG).await.unwrap();
    let move_away = |_| {
        let (store, from, to) = (Arc::clone(&store), from.clone(), key());
        rocket::tokio::spawn(async move {
            let moved = moved_with_forward(&to, to.as_str().as_bytes(), LONG);
            (store.replace(&from, b"here", &moved).await.unwrap(), to)
        })
    };
    let tasks: Vec<_> = (0..8).map(move_away).collect();
    let mut winners = Vec::new();
    for task in tasks {
        let (moved, to) = task.await.unwrap();
        assert_eq!(stored(&*store, &to).await.is_some(), moved, "a loser left something");
        winners.extend(moved.then_some(to));
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(stored(&*store, &from).await.unwrap(), winners[0].as_str().as_bytes());
    for key in [&from, &winners[0]] {
        store.delete(key).await.unwrap();
    }
}

async fn a_removal_needs_the_bytes_that_are_there(store: &dyn Store) {
    let key = key();
    store.create(&key, b"changed", LONG).await.unwrap();
    assert!(!store.replace(&key, b"seen", &Replacement::Removed).await.unwrap());
    assert!(stored(store, &key).await.is_some());
    assert!(store.replace(&key, b"changed", &Replacement::Removed).await.unwrap());
    assert_eq!(stored(store, &key).await, None);
}

async fn updates_at_the_same_time_lose_nothing(store: Arc<dyn Store>) {
    let key = key();
    store.create(&key, b"0", LONG).await.unwrap();
    let increment = || {
        let (store, key) = (Arc::clone(&store), key.clone());
        rocket::tokio::spawn(async move { count_up(&*store, &key, 25).await })
    };
    let tasks: Vec<_> = (0..8).map(|_| increment()).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stored(&*store, &key).await.unwrap(), b"200");
    store.delete(&key).await.unwrap();
}

async fn count_up(store: &dyn Store, key: &StoreKey, times: u32) {
    for _ in 0..times {
        let merge = |seen: &[u8]| {
            let count: u32 = std::str::from_utf8(seen).unwrap().parse().unwrap();
            Ok(bytes((count + 1).to_string().as_bytes()))
        };
        assert!(store.update(key, b"0", Arc::new(merge)).await.unwrap());
    }
}

const PLACE: &str = "DEWAR_CONFORMANCE_PLACE";
const KEY: &str = "DEWAR_CONFORMANCE_KEY";

/// What makes the test named `test` run again in a process of its own, with `key` and the store
/// at `place`, which [`in_another_process`] tells it.
pub fn another_process(test: &str, place: &str, key: &StoreKey) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(PLACE, place).env(KEY, key.as_str());
    command.stdout(Stdio::null());
    command
}

/// The place and the key, where this is such a process.
pub fn in_another_process() -> Option<(String, StoreKey)> {
    Some((std::env::var(PLACE).ok()?, StoreKey::new(std::env::var(KEY).ok()?)))
}

/// Not part of [`all`], as it runs the calling test, `test`, in other processes too. `open` opens
/// the store at `place`.
pub async fn processes_that_update_at_the_same_time_lose_nothing<F>(
    test: &str,
    place: &str,
    open: impl Fn(String) -> F,
) where
    F: Future<Output = Arc<dyn Store>>,
{
    if let Some((place, key)) = in_another_process() {
        return count_up(&*open(place).await, &key, 50).await;
    }
    let (store, key) = (open(place.to_owned()).await, key());
    store.create(&key, b"0", LONG).await.unwrap();
    let processes: Vec<_> =
        (0..2).map(|_| another_process(test, place, &key).spawn().unwrap()).collect();
    count_up(&*store, &key, 50).await;
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(stored(&*store, &key).await.unwrap(), b"150");
    store.delete(&key).await.unwrap();
}

async fn a_touch_prolongs_and_never_revives(store: &dyn Store) {
    let key = key();
    store.create(&key, b"x", Duration::from_secs(1)).await.unwrap();
    assert!(store.touch(&key, LONG).await.unwrap());
    sleep(2_100).await;
    assert_eq!(stored(store, &key).await.unwrap(), b"x");
    assert!(store.touch(&key, Duration::from_secs(1)).await.unwrap());
    sleep(2_100).await;
    assert!(!store.touch(&key, LONG).await.unwrap());
    assert_eq!(stored(store, &key).await, None);
}

async fn an_expired_record_is_absent_at_once_and_a_live_one_never_early(store: &dyn Store) {
    let (short, long) = (key(), key());
    let begin = Instant::now();
    // A busy machine may be late to ask.
    let is_due = |seconds| begin.elapsed() >= Duration::from_secs(seconds);
    store.create(&short, b"x", Duration::from_secs(1)).await.unwrap();
    store.create(&long, b"x", Duration::from_secs(3)).await.unwrap();
    sleep(700).await;
    assert!(stored(store, &short).await.is_some() || is_due(1), "expired early");
    sleep(1_400).await;
    assert_eq!(stored(store, &short).await, None, "served after its time");
    assert!(!store.replace(&short, b"x", &bytes(b"y")).await.unwrap());
    assert!(stored(store, &long).await.is_some() || is_due(3), "expired early");
    store.delete(&long).await.unwrap();
}

async fn an_expired_place_can_be_taken_again(store: &dyn Store) {
    let key = key();
    store.create(&key, b"old", Duration::from_secs(1)).await.unwrap();
    sleep(2_100).await;
    assert!(store.create(&key, b"new", LONG).await.unwrap());
    assert_eq!(stored(store, &key).await.unwrap(), b"new");
    store.delete(&key).await.unwrap();
}

async fn a_sweep_is_bounded_and_takes_the_expired_alone(store: &dyn Store) {
    while store.sweep(1000).await.unwrap() > 0 {}
    let (expired, live): (Vec<_>, Vec<_>) = (0..7).map(|_| (key(), key())).unzip();
    for (expired, live) in expired.iter().zip(&live) {
        store.create(expired, b"x", Duration::from_secs(1)).await.unwrap();
        store.create(live, b"x", LONG).await.unwrap();
    }
    sleep(2_100).await;
    let first = store.sweep(3).await.unwrap();
    // An engine that expires by itself has nothing to sweep.
    assert!(first == 3 || first == 0, "swept {first} of 3");
    if first > 0 {
        assert_eq!(store.sweep(100).await.unwrap(), 4);
        assert_eq!(store.sweep(100).await.unwrap(), 0);
    }
    for key in &live {
        assert!(stored(store, key).await.is_some(), "a live session was swept");
        store.delete(key).await.unwrap();
    }
}

async fn a_scan_lists_each_live_session_of_the_prefix_and_no_other(store: &dyn Store) {
    let prefix = format!("{}:", key().handle());
    let keys: HashSet<StoreKey> = (0..25).map(|i| StoreKey::new(format!("{prefix}{i}"))).collect();
    for key in &keys {
        store.create(key, b"x", LONG).await.unwrap();
    }
    let dead = StoreKey::new(format!("{prefix}dead"));
    store.create(&dead, b"x", Duration::from_secs(1)).await.unwrap();
    let other = key();
    store.create(&other, b"x", LONG).await.unwrap();
    sleep(2_100).await;
    let mut found = HashSet::new();
    let mut from = None;
    // An engine that cannot list has nothing to show here.
    while let Some(page) = store.scan(&prefix, from.as_ref(), 10).await.unwrap() {
        assert!(page.sessions.iter().all(|listed| listed.bytes == b"x"));
        found.extend(page.sessions.into_iter().map(|listed| listed.key));
        from = page.next;
        if from.is_none() {
            assert_eq!(found, keys);
            break;
        }
    }
    for key in keys.iter().chain([&other]) {
        store.delete(key).await.unwrap();
    }
}

async fn what_was_written_is_there_for_another_connection(store: &dyn Store, other: &dyn Store) {
    let key = key();
    store.create(&key, b"shared", LONG).await.unwrap();
    assert_eq!(stored(other, &key).await.unwrap(), b"shared");
    assert!(other.replace(&key, b"shared", &bytes(b"changed")).await.unwrap());
    assert_eq!(stored(store, &key).await.unwrap(), b"changed");
    other.delete(&key).await.unwrap();
    assert_eq!(stored(store, &key).await, None);
}

async fn sleep(milliseconds: u64) {
    rocket::tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Records as Flask-Session writes them, in either format, from `tests/data/flask.json`.
pub fn flask_records() -> Vec<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flask.json");
    let vectors: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let records = vectors["records"].as_array().unwrap().iter().flat_map(|case| {
        let packed = case["msgpack"].as_str().map(|text| STANDARD.decode(text).unwrap());
        [packed, case["json"].as_str().map(|text| text.as_bytes().to_vec())]
    });
    let records: Vec<_> = records.flatten().collect();
    assert!(records.len() > 50);
    records
}
