//! A limit on how long a store may take.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rocket::tokio::time::timeout;

use super::{Cursor, Merge, Page, Record, Replacement, Store};
use crate::session::error::Error;
use crate::session::token::StoreKey;

/// A store on the network, which may hang: every operation ends within the limit, with an error
/// if need be (`SESSION_STORE_TIMEOUT`).
#[derive(Debug)]
pub struct Timed {
    store: Arc<dyn Store>,
    limit: Duration,
}

/// The store did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", limit.as_secs_f64())]
struct TimedOut {
    limit: Duration,
}

impl Timed {
    /// `store`, each operation of which takes no longer than `limit`.
    pub fn new(store: Arc<dyn Store>, limit: Duration) -> Self {
        Self { store, limit }
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = self.limit;
        match timeout(limit, future).await {
            Ok(result) => result,
            Err(_) => Err(Error::store(operation, TimedOut { limit })),
        }
    }
}

#[rocket::async_trait]
impl Store for Timed {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        self.within("load", self.store.load(key)).await
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.within("save", self.store.create(key, bytes, ttl)).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        self.within("save", self.store.replace(key, expected, replacement)).await
    }

    async fn update(&self, key: &StoreKey, expected: &[u8], merge: Merge) -> Result<bool, Error> {
        self.within("save", self.store.update(key, expected, merge)).await
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.within("refresh", self.store.touch(key, ttl)).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        self.within("delete", self.store.delete(key)).await
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        self.within("sweep", self.store.sweep(limit)).await
    }

    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        self.within("list", self.store.scan(prefix, from, limit)).await
    }

    async fn live(&self) -> Result<Option<u64>, Error> {
        self.within("count", self.store.live()).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.within("answer", self.store.ping()).await
    }
}
