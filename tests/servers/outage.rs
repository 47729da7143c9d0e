//! What every store on the network does while its server is away, and when it comes back.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dewar::session::store::{Replacement, Store};
use dewar::session::{Error, SessionId, StoreKey};
use rocket::tokio;

use super::Service;

const LONG: Duration = Duration::from_secs(3600);
/// How soon after its server a store must work.
const BACK: Duration = Duration::from_secs(2);
/// What a busy machine may add to a time limit.
const SLACK: Duration = Duration::from_millis(500);

fn key() -> StoreKey {
    SessionId::generate(32).unwrap().store_key("outage:", true)
}

/// Hangs, kills and restarts `server` under `store`, each operation of which ends within `limit`.
/// `connections` counts those that the store has to it, at most `most`.
pub async fn is_survived(
    store: Arc<dyn Store>,
    server: &mut Service,
    limit: Duration,
    connections: impl Fn() -> usize,
    most: usize,
) {
    let key = key();
    assert!(store.create(&key, b"x", LONG).await.unwrap());

    server.hang();
    everything_fails_in_time(&store, &key, limit).await;
    crowds_fail_in_time(&store, &key, limit).await;
    server.go_on();
    comes_back(&*store, &key).await;
    crowds_are_served(&store).await;
    assert!(connections() <= most, "{} connections", connections());

    server.kill();
    everything_fails_in_time(&store, &key, limit).await;
    crowds_fail_in_time(&store, &key, limit).await;
    server.restart();
    comes_back(&*store, &key).await;
    crowds_are_served(&store).await;
    assert!(connections() <= most, "{} connections", connections());

    // Nothing was asked while it was away.
    server.kill();
    server.restart();
    comes_back(&*store, &key).await;
}

async fn in_time<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let result = future.await;
    assert!(begin.elapsed() <= limit + SLACK, "{what} took {:?}", begin.elapsed());
    result
}

async fn everything_fails_in_time(store: &Arc<dyn Store>, key: &StoreKey, limit: Duration) {
    let failure = in_time(limit, "a load", store.load(key)).await.unwrap_err();
    assert!(matches!(failure, Error::Store { .. }), "{failure:?}");
    for shown in [failure.to_string(), format!("{failure:?}")] {
        assert!(!shown.contains(key.as_str()), "{shown}");
    }
    let bytes = Replacement::Bytes { bytes: b"y".to_vec(), ttl: LONG };
    assert!(in_time(limit, "a creation", store.create(&self::key(), b"x", LONG)).await.is_err());
    assert!(in_time(limit, "a change", store.replace(key, b"other", &bytes)).await.is_err());
    assert!(in_time(limit, "a touch", store.touch(key, LONG)).await.is_err());
    assert!(in_time(limit, "an end", store.delete(&self::key())).await.is_err());
    assert!(in_time(limit, "a ping", store.ping()).await.is_err());
}

async fn crowds_fail_in_time(store: &Arc<dyn Store>, key: &StoreKey, limit: Duration) {
    let load = || {
        let (store, key) = (Arc::clone(store), key.clone());
        tokio::spawn(async move { store.load(&key).await })
    };
    let loads: Vec<_> = (0..200).map(|_| load()).collect();
    in_time(limit, "200 loads", async {
        for load in loads {
            assert!(load.await.unwrap().is_err());
        }
    })
    .await;
}

async fn comes_back(store: &dyn Store, key: &StoreKey) {
    let begin = Instant::now();
    while let Err(failure) = store.load(key).await {
        assert!(begin.elapsed() <= BACK, "not back: {failure}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() <= BACK, "back after {:?}", begin.elapsed());
}

async fn crowds_are_served(store: &Arc<dyn Store>) {
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let key = key();
                assert!(store.create(&key, b"x", LONG).await.unwrap());
                assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, b"x");
                store.delete(&key).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
