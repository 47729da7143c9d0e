//! Finding the primary that Sentinels watch over, and noticing when it is another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Value, pipe};
use rocket::futures::FutureExt;
use rocket::futures::future::BoxFuture;
use rocket::tokio::task::JoinSet;
use rocket::tokio::time::{sleep, timeout};

use super::error::{Failure, text, unexpected};
use super::link::{Connection, Link};
use super::url::{Address, Login, Place};

/// How often the Sentinels are asked whether the primary is still the same.
const PERIOD: Duration = Duration::from_secs(1);

/// A primary under the name that Sentinels know it by.
#[derive(Clone)]
pub struct Primary {
    pub sentinels: Vec<Link>,
    pub name: String,
    pub login: Login,
    pub database: u32,
}

impl Primary {
    /// A connection to the server that a Sentinel names and that calls itself the primary.
    ///
    /// All Sentinels are asked at once, as any may hang or be behind the others: the first whose
    /// word proves true wins.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let mut attempts = JoinSet::new();
        for sentinel in self.sentinels.clone() {
            attempts.spawn(self.clone().follow(sentinel));
        }
        let mut last = Failure::NoPrimary("none".into());
        while let Some(ended) = attempts.join_next().await {
            match ended {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(failure)) => last = Failure::NoPrimary(failure.to_string()),
                Err(_) => {}
            }
        }
        Err(last)
    }

    /// Goes where one Sentinel points.
    async fn follow(self, sentinel: Link) -> Result<Connection, Failure> {
        let address = address_of(sentinel, self.name.clone()).await?;
        let (login, database) = (self.login.clone(), self.database);
        let place =
            Place { address: address.clone(), tls: false, login, database, sentinel: false };
        let mut connection = Connection::open(&place, None).await?;
        let mut command = pipe();
        command.cmd("ROLE");
        match connection.ask(&command).await?.pop() {
            Some(Value::Array(role)) => match text(role.into_iter().next())?.as_str() {
                "master" => {}
                _ => return Err(Failure::Refused("the server it names is a replica")),
            },
            other => return Err(unexpected(other)),
        }
        connection.leave_when(|left| self.watch(address, left));
        Ok(connection)
    }

    /// Says when a Sentinel names another server. The old one may go on for a while, taking writes
    /// that are lost when it becomes a replica.
    async fn watch(self, address: Address, left: Arc<AtomicBool>) {
        while !left.load(Ordering::Relaxed) {
            sleep(PERIOD).await;
            let mut answers = JoinSet::new();
            for sentinel in self.sentinels.clone() {
                answers.spawn(timeout(PERIOD, address_of(sentinel, self.name.clone())));
            }
            while let Some(answer) = answers.join_next().await {
                if matches!(answer, Ok(Ok(Ok(named))) if named != address) {
                    left.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}

/// The address of the primary, as one Sentinel knows it. (Boxed, as a link to the primary is made
/// of links to Sentinels.)
fn address_of(sentinel: Link, name: String) -> BoxFuture<'static, Result<Address, Failure>> {
    let ask = async move {
        let mut command = pipe();
        command.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        match sentinel.ask(&command).await?.pop() {
            Some(Value::Array(parts)) => {
                let mut parts = parts.into_iter();
                let (host, port) = (text(parts.next())?, text(parts.next())?);
                let port = port.parse().map_err(|_| Failure::Unexpected)?;
                Ok(Address { host, port })
            }
            Some(Value::Nil) => Err(Failure::Refused(
                "it does not know the name in SESSION_REDIS (sentinel monitor NAME …)",
            )),
            other => Err(unexpected(other)),
        }
    };
    ask.boxed()
}
