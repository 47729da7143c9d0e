//! Sessions in Redis or Valkey, as Flask-Session keeps them there: `SET key value` with an expiry.

mod cluster;
mod error;
mod link;
mod scan;
mod script;
mod sentinel;
mod servers;
mod tls;
mod url;

use std::time::Duration;

use redis::{Value, pipe};

use super::{Cursor, Forward, Page, Record, Replacement, Store, move_in_steps};
use crate::session::error::Error;
use crate::session::token::StoreKey;
use error::{Failure, integer, unexpected};
use script::{MOVE, REMOVE, REPLACE, Script};
use servers::Servers;
use url::Target;

/// Sessions in Redis 6 or later, or Valkey: one server, the primary that Sentinels name, or a
/// Cluster.
///
/// All requests share one connection to each server, on which commands go out as they come and
/// answers come back in their order, so the number of connections does not grow with the load.
/// One that is lost, or on which half of the time limit passes without an answer, is replaced on
/// the next use. What only reads, or is the same done twice, is then asked once more; a conditional
/// write that may have been done is not.
///
/// Conditional writes are scripts, which Redis runs one at a time. In a Cluster a move to another
/// key takes two steps, as the keys may live on different servers: the new record is written where
/// none is, then the old one removed or replaced if it still holds what is expected; if it does not,
/// the new one is removed again. The new key is told to nobody before both are done, and a failure
/// between them leaves the old record, or, where the answer was lost, what was written.
#[derive(Debug)]
pub struct RedisStore {
    servers: Servers,
}

impl RedisStore {
    /// The store at a URL (`SESSION_REDIS`): `redis://[[user]:password@]host[:port][/db]`,
    /// `rediss://…` the same over TLS, `redis+sentinel://[…@]host[:port],…/NAME[/db]`, or
    /// `redis+cluster://[…@]host[:port],…`, with TLS `rediss+cluster://…`. It connects when it is
    /// first used. `limit` is how long callers wait for an operation.
    ///
    /// # Errors
    /// When the URL is none of these, or the machine lists no authorities to trust in TLS.
    pub fn open(url: &str, limit: Duration) -> Result<Self, Error> {
        let target = Target::parse(url).map_err(failed("open"))?;
        Ok(Self { servers: Servers::new(target, limit).map_err(failed("open"))? })
    }

    /// Whether the script did what it does. The first key decides which server it runs on.
    async fn run(
        &self,
        script: &Script,
        key: &StoreKey,
        others: &[&StoreKey],
        arguments: &[&[u8]],
    ) -> Result<bool, Failure> {
        let keys: Vec<&StoreKey> = std::iter::once(key).chain(others.iter().copied()).collect();
        let mut answers = self.servers.ask(key, &script.by_hash(&keys, arguments)).await?;
        if script::is_unknown(&answers) {
            answers = self.servers.ask(key, &script.in_full(&keys, arguments)).await?;
        }
        Ok(integer(answers.pop())? == 1)
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Failure> {
        let mut command = pipe();
        command.cmd("SET").arg(key.as_str()).arg(bytes).arg("NX").arg("PX").arg(milliseconds(ttl));
        match self.servers.ask(key, &command).await?.pop() {
            Some(Value::Okay) => Ok(true),
            Some(Value::Nil) => Ok(false),
            other => Err(unexpected(other)),
        }
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Failure> {
        match replacement {
            Replacement::Bytes { bytes, ttl } => self.put(key, expected, bytes, *ttl).await,
            Replacement::Removed => self.run(&REMOVE, key, &[], &[expected]).await,
            Replacement::Moved { key: to, bytes, ttl, .. } if to == key => {
                self.put(key, expected, bytes, *ttl).await
            }
            Replacement::Moved { key: to, bytes, ttl, forward } => {
                let ttl = milliseconds(*ttl).to_string();
                let (left, left_ttl) = match forward {
                    Some(Forward { bytes, ttl }) => (&**bytes, milliseconds(*ttl).to_string()),
                    None => (&b""[..], String::new()),
                };
                let arguments = [expected, bytes, ttl.as_bytes(), left, left_ttl.as_bytes()];
                self.run(&MOVE, key, &[to], &arguments).await
            }
        }
    }

    async fn put(
        &self,
        key: &StoreKey,
        expected: &[u8],
        bytes: &[u8],
        ttl: Duration,
    ) -> Result<bool, Failure> {
        let ttl = milliseconds(ttl).to_string();
        self.run(&REPLACE, key, &[], &[expected, bytes, ttl.as_bytes()]).await
    }
}

/// A time to live in Redis's unit, rounded up so that nothing expires early.
fn milliseconds(ttl: Duration) -> u64 {
    // Far more than any lifetime, and far from what overflows in Redis.
    const MOST: u128 = 100 * 366 * 86_400_000;
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000).clamp(1, MOST)).unwrap_or(1)
}

/// A record from the answers to `GET` and `PTTL`. An empty value counts as absent, and so does one
/// that expired between the two.
fn record(value: Value, pttl: Value) -> Result<Option<Record>, Failure> {
    let bytes = match value {
        Value::Nil => return Ok(None),
        Value::BulkString(bytes) if bytes.is_empty() => return Ok(None),
        Value::BulkString(bytes) => bytes,
        other => return Err(unexpected(Some(other))),
    };
    Ok(match integer(Some(pttl))? {
        -2 => None,
        left => {
            // Negative: it lives for ever.
            let expires_in = u64::try_from(left).ok().map(Duration::from_millis);
            Some(Record { bytes, expires_in })
        }
    })
}

fn failed(operation: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::store(operation, failure)
}

#[rocket::async_trait]
impl Store for RedisStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<Record>, Error> {
        let mut commands = pipe();
        commands.cmd("GET").arg(key.as_str());
        commands.cmd("PTTL").arg(key.as_str());
        let mut answers = self.servers.ask_again(key, &commands).await.map_err(failed("load"))?;
        match (answers.pop(), answers.pop()) {
            (Some(pttl), Some(value)) => record(value, pttl).map_err(failed("load")),
            (other, _) => Err(failed("load")(unexpected(other))),
        }
    }

    async fn create(&self, key: &StoreKey, bytes: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.create(key, bytes, ttl).await.map_err(failed("save"))
    }

    async fn replace(
        &self,
        key: &StoreKey,
        expected: &[u8],
        replacement: &Replacement,
    ) -> Result<bool, Error> {
        match (replacement, &self.servers) {
            // The keys may live on different servers.
            (Replacement::Moved { key: to, bytes, ttl, forward }, Servers::Cluster(_))
                if to != key =>
            {
                let new = (to, &**bytes, *ttl);
                move_in_steps(self, (key, expected), new, forward.as_ref()).await
            }
            _ => self.replace(key, expected, replacement).await.map_err(failed("save")),
        }
    }

    async fn touch(&self, key: &StoreKey, ttl: Duration) -> Result<bool, Error> {
        let mut command = pipe();
        command.cmd("PEXPIRE").arg(key.as_str()).arg(milliseconds(ttl));
        let mut answers = self.servers.ask_again(key, &command).await.map_err(failed("refresh"))?;
        Ok(integer(answers.pop()).map_err(failed("refresh"))? == 1)
    }

    async fn delete(&self, key: &StoreKey) -> Result<(), Error> {
        let mut command = pipe();
        command.cmd("DEL").arg(key.as_str());
        let mut answers = self.servers.ask_again(key, &command).await.map_err(failed("delete"))?;
        integer(answers.pop()).map_err(failed("delete"))?;
        Ok(())
    }

    /// Redis expires records by itself.
    async fn sweep(&self, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    async fn scan(
        &self,
        prefix: &str,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        scan::page(&self.servers, prefix, from, limit).await.map(Some).map_err(failed("list"))
    }

    async fn ping(&self) -> Result<(), Error> {
        let mut command = pipe();
        command.cmd("PING");
        for (_, link) in self.servers.primaries().await.map_err(failed("answer"))? {
            let mut answers = link.ask(&command).await.map_err(failed("answer"))?;
            match answers.pop() {
                Some(Value::SimpleString(_) | Value::BulkString(_) | Value::Okay) => {}
                other => return Err(failed("answer")(unexpected(other))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live_are_rounded_up() {
        assert_eq!(milliseconds(Duration::ZERO), 1);
        assert_eq!(milliseconds(Duration::from_micros(1500)), 2);
        assert_eq!(milliseconds(Duration::from_secs(31 * 86_400)), 2_678_400_000);
        assert_eq!(milliseconds(Duration::MAX), 100 * 366 * 86_400_000);
    }

    #[test]
    fn an_empty_value_and_one_that_just_expired_are_absent() {
        let value = |text: &str| Value::BulkString(text.into());
        assert_eq!(record(Value::Nil, Value::Int(-2)).unwrap(), None);
        assert_eq!(record(value(""), Value::Int(5)).unwrap(), None);
        assert_eq!(record(value("x"), Value::Int(-2)).unwrap(), None);
        let live = record(value("x"), Value::Int(1500)).unwrap().unwrap();
        assert_eq!(live.expires_in, Some(Duration::from_millis(1500)));
        assert_eq!(record(value("x"), Value::Int(-1)).unwrap().unwrap().expires_in, None);
    }
}
