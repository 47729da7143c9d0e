//! Sessions in MongoDB, as Flask-Session keeps them there: a document `{id, val, expiration}` each.

mod commands;
mod connection;
mod document;
mod error;
mod indexes;

use std::time::{Duration, SystemTime};

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use rocket::futures::TryStreamExt;

use super::{Cursor, Listed, Page, Record, Replacement, Store, move_in_steps};
use crate::session::error::Error;
use crate::session::token::StoreKey;
use commands::{absent_or_expired_is_written, expired, is_live, kept_for, live, replaced, with_id};
use connection::{Connection, Sessions};
pub use document::SessionDocument;
use error::Failure;

/// Sessions in the collection that Flask-Session's `mongodb` type keeps, shared with it both ways.
/// MongoDB 4.4 or later: one server, a replica set or a sharded cluster.
///
/// A write is acknowledged when a majority of the replica set has it in its journal. Every
/// conditional write is one update of one document, whose filter holds the condition, so MongoDB
/// itself decides it. A move that leaves something under the old key takes two. When a record expires is set and told by the server's clock; its TTL monitor
/// removes the document within about a minute, and until then it counts as absent.
///
/// The driver may send a write again after a failure of the network, to a replica set alone and
/// with the number it had: a server that had done it answers what it answered then.
#[derive(Debug)]
pub struct MongodbStore {
    connection: Connection,
}

impl MongodbStore {
    /// The store in `collection` of `database` at a URL (`SESSION_MONGODB`):
    /// `mongodb://[user:password@]host[:port],…/[?options]`. It connects when it is first used,
    /// and then makes the indexes that are missing. `limit` is how long callers wait for an
    /// operation.
    ///
    /// The URL's options for time limits, the pool, and read and write concerns give way to what
    /// the promises of a store need.
    ///
    /// # Errors
    /// When the URL is none of these.
    pub fn open(
        url: &str,
        database: &str,
        collection: &str,
        limit: Duration,
    ) -> Result<Self, Error> {
        let connection = Connection::new(url, database, collection, limit);
        Ok(Self { connection: connection.map_err(failed("open"))? })
    }

    /// Runs one update and answers how many documents the filter found.
    async fn update(&self, filter: Document, change: Vec<Document>) -> Result<bool, Failure> {
        self.connection
            .run(async move |sessions: Sessions| {
                Ok(sessions.documents.update_one(filter, change).await?.matched_count > 0)
            })
            .await
    }

    async fn move_to(
        &self,
        from: Document,
        to: &StoreKey,
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, Failure> {
        let (change, place) = (with_id(to, replaced(bytes, ttl)), to.clone());
        self.connection
            .run(async move |sessions: Sessions| {
                // A unique index refuses a place that is taken; without one it has to be looked at.
                if !sessions.ids_are_unique {
                    sessions.documents.delete_many(expired(&place)).await?;
                    if sessions.documents.find_one(live(&place)).await?.is_some() {
                        return Ok(false);
                    }
                }
                let moved = sessions.documents.update_one(from.clone(), change.clone()).await;
                match moved.map_err(Failure::from) {
                    Err(Failure::Taken) => {}
                    moved => return Ok(moved?.matched_count > 0),
                }
                if sessions.documents.delete_many(expired(&place)).await?.deleted_count == 0 {
                    return Ok(false);
                }
                match sessions.documents.update_one(from, change).await.map_err(Failure::from) {
                    Err(Failure::Taken) => Ok(false),
                    moved => Ok(moved?.matched_count > 0),
                }
            })
            .await
    }
}

fn failed(operation: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::store(operation, failure)
}

#[rocket::async_trait]
impl Store for MongodbStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let filter = live(key);
        self.connection
            .run(async move |sessions: Sessions| {
                let fields = doc! {
                    "_id": 0, "val": 1, "left": { "$subtract": ["$expiration", "$$NOW"] },
                };
                let found = sessions.documents.find_one(filter).projection(fields).await?;
                Ok(found.and_then(|found| document::record(found.as_bytes())))
            })
            .await
            .map_err(failed("load"))
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        let filter = doc! { "id": key.as_str() };
        let change = absent_or_expired_is_written(bytes, ttl);
        self.connection
            .run(async move |sessions: Sessions| {
                let write = async || {
                    let update = sessions.documents.update_one(filter.clone(), change.clone());
                    let result = update.upsert(true).await.map_err(Failure::from)?;
                    Ok(result.upserted_id.is_some() || result.modified_count > 0)
                };
                match write().await {
                    // Another came first; what it wrote is looked at.
                    Err(Failure::Taken) => match write().await {
                        Err(Failure::Taken) => Ok(false),
                        result => result,
                    },
                    result => result,
                }
            })
            .await
            .map_err(failed("save"))
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        let mut seen = live(key);
        seen.insert("val", commands::binary(expected));
        let replaced = match replacement {
            // No update changes two documents at once.
            Replacement::Moved { key: to, bytes, ttl, forward: Some(forward) } if to != key => {
                let new = (to, &**bytes, *ttl);
                return move_in_steps(self, (key, expected), new, Some(forward)).await;
            }
            Replacement::Moved { key: to, bytes, ttl, forward: None } if to != key => {
                self.move_to(seen, to, bytes, *ttl).await
            }
            Replacement::Bytes { bytes, ttl } | Replacement::Moved { bytes, ttl, .. } => {
                self.update(seen, replaced(bytes, *ttl)).await
            }
            Replacement::Removed => {
                self.connection
                    .run(async move |sessions: Sessions| {
                        Ok(sessions.documents.delete_one(seen).await?.deleted_count > 0)
                    })
                    .await
            }
        };
        replaced.map_err(failed("save"))
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.update(live(key), kept_for(ttl)).await.map_err(failed("refresh"))
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        let filter = doc! { "id": key.as_str() };
        self.connection
            .run(async move |sessions: Sessions| {
                // All of them, where the collection has doubles from before there was an index.
                sessions.documents.delete_many(filter).await?;
                Ok(())
            })
            .await
            .map_err(failed("delete"))
    }

    /// MongoDB sweeps by itself about once a minute; this does not wait for it.
    async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        if limit == 0 {
            return Ok(0);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection
            .run(async move |sessions: Sessions| {
                // The first condition finds them by the index, and dates alone; the second is true.
                let mut expired = doc! {
                    "expiration": { "$lte": DateTime::now() },
                    "$expr": { "$not": [is_live()] },
                };
                let find = sessions.documents.find(expired.clone()).projection(doc! { "_id": 1 });
                let found: Vec<_> = find.limit(limit).await?.try_collect().await?;
                let ids = found.iter().filter_map(|found| found.get("_id").ok().flatten());
                let ids: Vec<Bson> = ids.filter_map(|id| id.try_into().ok()).collect();
                if ids.is_empty() {
                    return Ok(0);
                }
                expired.insert("_id", doc! { "$in": ids });
                let swept = sessions.documents.delete_many(expired).await?.deleted_count;
                Ok(usize::try_from(swept).unwrap_or(usize::MAX))
            })
            .await
            .map_err(failed("sweep"))
    }

    /// In the order of `_id`, which a document keeps as long as it lives.
    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        let after = from.and_then(|cursor| ObjectId::parse_str(&cursor.0).ok());
        let filter = commands::begins_with(prefix, after);
        let limit = limit.max(1);
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let prefix = prefix.to_owned();
        self.connection
            .run(async move |sessions: Sessions| {
                let find = sessions.documents.find(filter).sort(doc! { "_id": 1 }).limit(most);
                let found: Vec<_> = find.await?.try_collect().await?;
                let last = found.last().filter(|_| found.len() == limit);
                let next = last.and_then(|last| last.get_object_id("_id").ok());
                let documents = found.iter().filter_map(|it| SessionDocument::parse(it.as_bytes()));
                let sessions = documents.filter(|document| document.id.starts_with(&prefix));
                let sessions = sessions.map(|document| Listed {
                    key: StoreKey::new(document.id),
                    bytes: document.val,
                    expires: u64::try_from(document.expiration).ok().and_then(|milliseconds| {
                        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
                    }),
                });
                Ok(Page { sessions: sessions.collect(), next: next.map(|id| Cursor(id.to_hex())) })
            })
            .await
            .map(Some)
            .map_err(failed("list"))
    }

    async fn ping(&self) -> Result<(), Error> {
        self.connection
            .run(async move |sessions: Sessions| {
                sessions.documents.find_one(doc! { "id": "" }).await?;
                Ok(())
            })
            .await
            .map_err(failed("answer"))
    }
}
