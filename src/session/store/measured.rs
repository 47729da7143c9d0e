//! Tells somebody how long a store takes.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cursor, Merge, Page, Record, Replacement, Store};
use crate::session::error::Error;
use crate::session::token::StoreKey;

/// One operation on a store, when it is over.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The store's `SESSION_TYPE`.
    pub store: &'static str,
    /// The name of the [`Store`] method.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Whether it failed.
    pub failed: bool,
}

/// Is told of what is asked of the session stores, for metrics. Called on the task that asked, so
/// it must not wait.
pub trait Watch: Send + Sync + fmt::Debug {
    /// An operation is over.
    fn operation(&self, operation: Operation);

    /// So many expired records were swept.
    fn swept(&self, removed: usize);
}

/// A store whose operations somebody is told of.
#[derive(Debug)]
pub struct Measured {
    store: Arc<dyn Store>,
    name: &'static str,
    watch: Arc<dyn Watch>,
}

impl Measured {
    /// `store`, whose `SESSION_TYPE` is `name`.
    pub fn new(store: Arc<dyn Store>, name: &'static str, watch: Arc<dyn Watch>) -> Self {
        Self { store, name, watch }
    }

    async fn measure<T>(
        &self,
        name: &'static str,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let result = future.await;
        let (took, failed) = (begun.elapsed(), matches!(result, Err(Error::Store { .. })));
        self.watch.operation(Operation { store: self.name, name, took, failed });
        result
    }
}

#[rocket::async_trait]
impl Store for Measured {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        self.measure("load", self.store.load(key)).await
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.measure("create", self.store.create(key, bytes, ttl)).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        self.measure("replace", self.store.replace(key, expected, replacement)).await
    }

    async fn update(&self, key: &StoreKey, expected: &[u8], merge: Merge) -> Result<bool, Error> {
        self.measure("update", self.store.update(key, expected, merge)).await
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.measure("touch", self.store.touch(key, ttl)).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        self.measure("delete", self.store.delete(key)).await
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        let removed = self.measure("sweep", self.store.sweep(limit)).await?;
        self.watch.swept(removed);
        Ok(removed)
    }

    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        self.measure("scan", self.store.scan(prefix, from, limit)).await
    }

    async fn live(&self) -> Result<Option<u64>, Error> {
        self.measure("live", self.store.live()).await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.measure("ping", self.store.ping()).await
    }
}
