//! Slows down guessing: a few free tries, then growing waits, for each account and each address.
//!
//! Waits stay short enough that nobody is locked out for long, and an address from which an
//! account has signed in before is counted on its own, so that guessing elsewhere does not keep
//! its owner out. Where several nodes share a database they share the counters in it; one on a
//! SQLite file has them in memory, and in the file for its next start.

mod kept;
mod memory;
mod shared;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::db::{Db, Error};

use memory::Memory;
use shared::Shared;

/// How failures turn into waiting.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Failures that cost nothing.
    free: u32,
    /// The longest wait.
    longest: Duration,
}

const ACCOUNT: Limit = Limit { free: 5, longest: Duration::from_secs(30) };
const ADDRESS: Limit = Limit { free: 30, longest: Duration::from_secs(60) };
/// Failures are forgotten after this long without another.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// How long a try stands in line behind others that are being checked.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many accounts and addresses are remembered.
const CAPACITY: usize = 50_000;

/// The counters.
#[derive(Clone, Debug)]
pub struct Throttle(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Memory(Arc<Memory>),
    Shared(Arc<Shared>),
}

/// A try that is being checked. Dropped, it counts as failed.
#[derive(Debug)]
pub struct Attempt<'t>(AttemptKind<'t>);

#[derive(Debug)]
enum AttemptKind<'t> {
    Memory(memory::Attempt<'t>),
    Shared(shared::Attempt<'t>),
}

/// Why a try is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There were too many: the next one is taken after this time.
    #[error("too many tries; the next is taken in {0:?}")]
    Wait(Duration),
    /// The counters that the nodes share cannot be reached.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Failed,
    Succeeded,
    Void,
}

enum Verdict<T> {
    Begun(T),
    Later(Duration),
    Full,
}

impl Throttle {
    /// The counters of whoever uses the database.
    pub fn new(db: &Db) -> Self {
        Self(match db {
            Db::Sqlite(file) => Kind::Memory(Arc::new(Memory::kept_in(file))),
            Db::Postgresql(server) => Kind::Shared(Arc::new(Shared::new(server))),
        })
    }

    /// Begins a try at `account` from `address`. Where more are being checked than may fail at
    /// once it stands in line, so that those who know the password get in however many they are.
    ///
    /// # Errors
    /// The time until the next try is taken, or that the counters are out of reach.
    pub async fn begin(&self, account: &str, address: IpAddr) -> Result<Attempt<'_>, Refusal> {
        Ok(Attempt(match &self.0 {
            Kind::Memory(memory) => {
                let begun = memory.begin(account, address).await;
                AttemptKind::Memory(begun.map_err(Refusal::Wait)?)
            }
            Kind::Shared(shared) => AttemptKind::Shared(shared.begin(account, address).await?),
        }))
    }

    /// Removes what is too old to count.
    ///
    /// # Errors
    /// When the counters are out of reach.
    pub async fn sweep(&self) -> Result<(), Error> {
        match &self.0 {
            Kind::Memory(memory) => Ok(memory.sweep().await?),
            Kind::Shared(shared) => Ok(shared.sweep().await?),
        }
    }
}

impl Attempt<'_> {
    /// The password was wrong.
    ///
    /// # Errors
    /// When the counters are out of reach.
    pub async fn failed(self) -> Result<(), Error> {
        self.settle(Outcome::Failed).await
    }

    /// The password was right: the account's failures are forgotten.
    ///
    /// # Errors
    /// When the counters are out of reach.
    pub async fn succeeded(self) -> Result<(), Error> {
        self.settle(Outcome::Succeeded).await
    }

    /// The password could not be checked, which is nobody's failure.
    ///
    /// # Errors
    /// When the counters are out of reach.
    pub async fn void(self) -> Result<(), Error> {
        self.settle(Outcome::Void).await
    }

    async fn settle(self, outcome: Outcome) -> Result<(), Error> {
        match self.0 {
            AttemptKind::Memory(attempt) => attempt.settle(outcome),
            AttemptKind::Shared(attempt) => attempt.settle(outcome).await?,
        }
        Ok(())
    }
}

/// Hashes of what is counted. What people type into the name's field is at times their password.
#[derive(Clone, Debug)]
struct Keys<T> {
    account: T,
    pair: T,
    address: T,
}

impl Keys<Vec<u8>> {
    fn of(account: &str, address: IpAddr) -> Self {
        let network = network(address).to_string();
        Self {
            account: hash(["account", account, ""]),
            pair: hash(["pair", account, &network]),
            address: hash(["address", "", &network]),
        }
    }
}

fn hash(parts: [&str; 3]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// Who an address stands for: all of an IPv6 /64 is usually one household.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::network;
    use std::net::IpAddr;

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let two: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(network(one), network(two));
        assert_eq!(network(mapped), IpAddr::from([192, 0, 2, 1]));
    }
}
