//! The server, or the servers, that keys live on.

use std::fmt;
use std::time::Duration;

use redis::{Pipeline, Value};

use super::cluster::Cluster;
use super::error::Failure;
use super::link::{Goal, Link};
use super::sentinel::Primary;
use super::tls::Tls;
use super::url::{Place, Target, Watched};
use crate::session::token::StoreKey;

/// Where the keys are.
pub enum Servers {
    /// All on one server, or on the one that is the primary at the time.
    One(Link),
    /// Spread over the nodes of a Cluster.
    Cluster(Cluster),
}

impl fmt::Debug for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(link) => link.fmt(formatter),
            Self::Cluster(_) => formatter.write_str("Cluster"),
        }
    }
}

impl Servers {
    pub fn new(target: Target, limit: Duration) -> Result<Self, Failure> {
        let tls = |wanted: bool| wanted.then(Tls::new).transpose();
        Ok(match target {
            Target::One(place) => {
                let tls = tls(place.tls)?;
                Self::One(Link::new(Goal::Server { place, tls }, limit))
            }
            Target::Sentinel(watched) => {
                let Watched { sentinels, name, login, database } = watched;
                let sentinel = |address| {
                    let login = login.clone();
                    let place = Place { address, tls: false, login, database: 0, sentinel: true };
                    Link::new(Goal::Server { place, tls: None }, limit)
                };
                let sentinels = sentinels.into_iter().map(sentinel).collect();
                let primary = Primary { sentinels, name, login, database };
                Self::One(Link::new(Goal::Primary(primary), limit))
            }
            Target::Cluster(nodes) => {
                let tls = tls(nodes.tls)?;
                Self::Cluster(Cluster::new(nodes, tls, limit))
            }
        })
    }

    /// The answers to commands that all concern `key`, in one round trip.
    pub async fn ask(&self, key: &StoreKey, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        match self {
            Self::One(link) => link.ask(commands).await,
            Self::Cluster(cluster) => cluster.ask(key.as_str().as_bytes(), commands).await,
        }
    }

    /// The same for commands that may as well run twice: when the connection turns out to be lost
    /// they are sent once more, on a new one.
    pub async fn ask_again(
        &self,
        key: &StoreKey,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Failure> {
        match self.ask(key, commands).await {
            Err(Failure::Lost) => self.ask(key, commands).await,
            answers => answers,
        }
    }

    /// Every server that holds keys, by a name that is its own, in the order of the names.
    pub async fn primaries(&self) -> Result<Vec<(String, Link)>, Failure> {
        match self {
            Self::One(link) => Ok(vec![(String::new(), link.clone())]),
            Self::Cluster(cluster) => cluster.primaries().await,
        }
    }
}
