//! A sign-out that could not be written is remembered, so that it is never undone.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Cursor, Merge, Page, Record, Replacement, Store};
use crate::session::error::Error;
use crate::session::token::StoreKey;

/// More are not remembered; each takes some hundred bytes until the store takes writes again.
const MOST: usize = 100_000;

/// A store that refuses the sessions which it failed to end. Whoever comes with one first has it
/// ended, or hears that the store fails; a sweep ends them too.
#[derive(Debug)]
pub struct Ended {
    store: Arc<dyn Store>,
    owed: Arc<Mutex<HashSet<StoreKey>>>,
}

impl Ended {
    /// `store`, with a memory for ends.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, owed: Arc::default() }
    }

    /// `store`, which is where `self` is, but opened anew: what is owed is owed to it.
    pub fn reopened(&self, store: Arc<dyn Store>) -> Self {
        Self { store, owed: Arc::clone(&self.owed) }
    }

    fn owed(&self) -> MutexGuard<'_, HashSet<StoreKey>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the session under `key` is still to be ended.
    fn owe(&self, key: &StoreKey) {
        let mut owed = self.owed();
        match owed.len() < MOST {
            true => {
                owed.insert(key.clone());
            }
            false => log::error!("too many sessions wait to be ended; this one may go on"),
        }
    }

    /// Ends the session under `key` now if that is still to be done.
    async fn settle(&self, key: &StoreKey) -> Result<(), Error> {
        let due = self.owed().contains(key);
        match due {
            true => self.delete(key).await,
            false => Ok(()),
        }
    }
}

#[rocket::async_trait]
impl Store for Ended {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        self.settle(key).await?;
        self.store.load(key).await
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.store.create(key, bytes, ttl).await
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        self.settle(key).await?;
        let result = self.store.replace(key, expected, replacement).await;
        if result.is_err() && matches!(replacement, Replacement::Removed) {
            self.owe(key);
        }
        result
    }

    async fn update(&self, key: &StoreKey, expected: &[u8], merge: Merge) -> Result<bool, Error> {
        self.settle(key).await?;
        let ends = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ends);
        let merge: Merge = Arc::new(move |current| {
            let replacement = merge(current);
            seen.store(matches!(replacement, Ok(Replacement::Removed)), Ordering::Relaxed);
            replacement
        });
        let result = self.store.update(key, expected, merge).await;
        if result.is_err() && ends.load(Ordering::Relaxed) {
            self.owe(key);
        }
        result
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.settle(key).await?;
        self.store.touch(key, ttl).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        let result = self.store.delete(key).await;
        match &result {
            Ok(()) => {
                self.owed().remove(key);
            }
            Err(_) => self.owe(key),
        }
        result
    }

    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        let owed: Vec<_> = self.owed().iter().take(limit).cloned().collect();
        for key in owed {
            self.delete(&key).await?;
        }
        self.store.sweep(limit).await
    }

    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        self.store.scan(prefix, from, limit).await
    }

    async fn live(&self) -> Result<Option<u64>, Error> {
        self.store.live().await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.store.ping().await
    }
}
