//! Sessions in memcached, as Flask-Session keeps them there: an item with flags 0.

mod connection;
mod error;
mod exptime;
mod pool;
mod ring;

use std::time::Duration;

use super::{Cursor, Forward, Page, Record, Replacement, Store};
use crate::session::error::Error;
use crate::session::token::StoreKey;
use connection::{Item, Stored};
use error::Failure;
pub use exptime::exptime;
use pool::Pool;
pub use ring::node;

/// The longest key that memcached takes, in bytes.
const MAX_KEY: usize = 250;

/// Sessions in memcached 1.5 or later, on one server or several.
///
/// memcached forgets: on a restart everything, and when its memory is full what was used least.
/// It cannot list, and it counts time in whole seconds, so a record may live up to three seconds
/// longer than it has to; never less.
///
/// At most 16 connections go to each server; a request has one for itself while it talks, and a
/// connection whose talk was cut short is closed. A conditional write compares what `gets` brought
/// and writes with `cas`. A move writes the new item where none is, then ends or replaces the old one
/// with `cas`; if that was changed meanwhile, the new one is removed again, and its key was told to
/// nobody.
#[derive(Debug)]
pub struct MemcachedStore {
    /// Each server by the name that decides which keys it has.
    servers: Vec<(String, Pool)>,
}

impl MemcachedStore {
    /// The store on these servers, `host:port` each (`SESSION_MEMCACHED`). It connects when it is
    /// first used. Of several servers each key has one, the same as with pymemcache's
    /// `HashClient`.
    ///
    /// # Errors
    /// When an address is none.
    pub fn open(servers: &[String]) -> Result<Self, Error> {
        let pool = |server: &String| {
            let (host, port) = server.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            let port = port.parse().ok()?;
            (!host.is_empty()).then(|| (format!("{host}:{port}"), Pool::new(host, port)))
        };
        let servers: Option<Vec<_>> = servers.iter().map(pool).collect();
        let servers = servers.filter(|servers| !servers.is_empty());
        Ok(Self { servers: servers.ok_or_else(|| failed("open")(Failure::Address))? })
    }

    /// The server that has a key; `None` for a key that memcached would not take, under which
    /// there is nothing.
    fn server(&self, key: &StoreKey) -> Option<&Pool> {
        if !is_legal(key.as_str()) {
            return None;
        }
        let names = self.servers.iter().map(|(name, _)| &**name);
        let (_, pool) = self.servers.get(node(names, key.as_str())?)?;
        Some(pool)
    }

    async fn get(&self, key: &StoreKey) -> Result<Option<Item>, Failure> {
        let Some(server) = self.server(key) else { return Ok(None) };
        let mut connection = server.take().await?;
        let item = connection.get(key.as_str()).await?;
        connection.give_back();
        Ok(item)
    }

    async fn add(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Failure> {
        let server = self.server(key).ok_or(Failure::Key)?;
        let mut connection = server.take().await?;
        let stored = connection.add(key.as_str(), exptime::of(ttl), bytes).await?;
        connection.give_back();
        Ok(stored == Stored::Yes)
    }

    /// Writes in the place of the item with the number `unique`.
    async fn cas(
        &self,
        key: &StoreKey,
        unique: u64,
        bytes: &[u8],
        exptime: i64,
    ) -> Result<bool, Failure> {
        let Some(server) = self.server(key) else { return Ok(false) };
        let mut connection = server.take().await?;
        let stored = connection.cas(key.as_str(), exptime, bytes, unique).await?;
        connection.give_back();
        Ok(stored == Stored::Yes)
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Failure> {
        let Some(server) = self.server(key) else { return Ok(false) };
        let mut connection = server.take().await?;
        let found = connection.touch(key.as_str(), exptime::of(ttl)).await?;
        connection.give_back();
        Ok(found)
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Failure> {
        let Some(server) = self.server(key) else { return Ok(()) };
        let mut connection = server.take().await?;
        connection.delete(key.as_str()).await?;
        connection.give_back();
        Ok(())
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Failure> {
        let unique = match self.get(key).await? {
            Some(item) if item.bytes == expected => item.unique,
            _ => return Ok(false),
        };
        match replacement {
            Replacement::Bytes { bytes, ttl } => {
                self.cas(key, unique, bytes, exptime::of(*ttl)).await
            }
            Replacement::Removed => self.cas(key, unique, b"", exptime::PAST).await,
            Replacement::Moved { key: to, bytes, ttl, .. } if to == key => {
                self.cas(key, unique, bytes, exptime::of(*ttl)).await
            }
            Replacement::Moved { key: to, bytes, ttl, forward } => {
                if !self.add(to, bytes, *ttl).await? {
                    return Ok(false);
                }
                // After an error here the old item may be gone, so the new one has to stay. Its
                // key is nobody's, and it expires.
                let moved = match forward {
                    Some(Forward { bytes, ttl }) => {
                        self.cas(key, unique, bytes, exptime::of(*ttl)).await?
                    }
                    None => self.cas(key, unique, b"", exptime::PAST).await?,
                };
                if !moved {
                    self.delete(to).await?;
                }
                Ok(moved)
            }
        }
    }

    async fn ping(&self) -> Result<(), Failure> {
        for (_, server) in &self.servers {
            let mut connection = server.take().await?;
            connection.version().await?;
            connection.give_back();
        }
        Ok(())
    }
}

/// Whether memcached takes this key: up to 250 bytes without blanks and control characters.
fn is_legal(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}

fn failed(operation: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::store(operation, failure)
}

#[rocket::async_trait]
impl Store for MemcachedStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let item = self.get(key).await.map_err(failed("load"))?;
        Ok(item.map(|Item { bytes, expires_in, .. }| Record { bytes, expires_in }))
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.add(key, bytes, ttl).await.map_err(failed("save"))
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        self.replace(key, expected, replacement).await.map_err(failed("save"))
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        self.touch(key, ttl).await.map_err(failed("refresh"))
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        self.delete(key).await.map_err(failed("delete"))
    }

    /// memcached expires records by itself.
    async fn sweep(&self, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    /// memcached cannot enumerate.
    async fn scan(
        &self,
        _prefix: &str,
        _from: Option<&Cursor>,
        _limit: usize,
    ) -> Result<Option<Page>, Error> {
        Ok(None)
    }

    async fn ping(&self) -> Result<(), Error> {
        self.ping().await.map_err(failed("answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_memcached_refuses_are_nobodys() {
        assert!(is_legal("session:-56h5Ce53LwAjfkkN8UD-RgSu_QkFsoO7ZdGzgwQ8_c"));
        assert!(is_legal(&"k".repeat(250)));
        assert!(is_legal("é"));
        for bad in ["", "a b", "a\nb", "a\0", "a\x7f", "\t", &"k".repeat(251)] {
            assert!(!is_legal(bad), "{bad:?}");
        }
    }

    #[test]
    fn servers_are_named_as_pymemcache_names_them() {
        let open = |text: &str| MemcachedStore::open(&[text.to_owned()]);
        assert_eq!(open("cache.example:11211").unwrap().servers[0].0, "cache.example:11211");
        assert_eq!(open("[::1]:11211").unwrap().servers[0].0, "::1:11211");
        for bad in ["", "cache", ":11211", "cache:x", "cache:"] {
            assert!(open(bad).is_err(), "{bad}");
        }
    }
}
