//! The counters in PostgreSQL, for all nodes. The rules are the migration's functions: a try begins
//! with one statement, and ends with one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rocket::tokio::runtime::Handle;
use rocket::tokio::sync::Notify;
use rocket::tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;

use super::{ACCOUNT, ADDRESS, CAPACITY, Keys, MEMORY, Outcome, PATIENCE, Refusal, Verdict};
use crate::db::Error;
use crate::sql::{self, Postgresql};

/// A try that is checked for longer than this is not checked any more, because its node has gone.
const STALE: Duration = Duration::from_secs(30);
/// How often one that stands in line looks whether another node's is done.
const LOOK: Duration = Duration::from_millis(200);
/// After so many tries on a node, and at its first, what is too old is removed.
const SWEEP_EVERY: u32 = 100;

/// The counters.
#[derive(Debug)]
pub struct Shared {
    server: Arc<Postgresql>,
    settled: Notify,
    tries: AtomicU32,
}

/// A try that is being checked.
#[derive(Debug)]
pub struct Attempt<'t> {
    throttle: &'t Shared,
    keys: Keys<Vec<u8>>,
    is_settled: bool,
}

impl Shared {
    /// The counters on a server.
    pub fn new(server: &Arc<Postgresql>) -> Self {
        Self { server: Arc::clone(server), settled: Notify::new(), tries: AtomicU32::new(0) }
    }

    /// Begins a try, perhaps after standing in line.
    pub async fn begin(&self, account: &str, address: IpAddr) -> Result<Attempt<'_>, Refusal> {
        if self.tries.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            self.sweep().await.map_err(Error::from)?;
        }
        let keys = Keys::of(account, address);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let settled = self.settled.notified();
            match self.try_begin(&keys).await.map_err(Error::from)? {
                Verdict::Begun(counted) => {
                    let keys = Keys { account: counted, ..keys };
                    return Ok(Attempt { throttle: self, keys, is_settled: false });
                }
                Verdict::Later(wait) => return Err(Refusal::Wait(wait)),
                Verdict::Full => {}
            }
            // However it ends, it is time to look again.
            let _ = timeout(LOOK, settled).await;
        }
        Err(Refusal::Wait(Duration::from_secs(1)))
    }

    async fn try_begin(&self, keys: &Keys<Vec<u8>>) -> Result<Verdict<Vec<u8>>, sql::Error> {
        let statement =
            "SELECT counted, wait FROM sign_in_begin($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let free = |limit: super::Limit| i32::try_from(limit.free).unwrap_or(i32::MAX);
        let (account, address) = (free(ACCOUNT), free(ADDRESS));
        let seconds = [ACCOUNT.longest, ADDRESS.longest, MEMORY, STALE].map(|t| t.as_secs_f64());
        let values: [&(dyn ToSql + Sync); 9] = [
            &keys.account,
            &keys.pair,
            &keys.address,
            &account,
            &seconds[0],
            &address,
            &seconds[1],
            &seconds[2],
            &seconds[3],
        ];
        let row = self.server.row(statement, &values).await?;
        let Some(row) = row else { return Ok(Verdict::Full) };
        let wait: Option<f64> = row.try_get(1)?;
        Ok(match wait.map(Duration::try_from_secs_f64) {
            None => Verdict::Full,
            Some(Ok(Duration::ZERO)) => Verdict::Begun(row.try_get(0)?),
            Some(Ok(wait)) => Verdict::Later(wait),
            Some(Err(_)) => Verdict::Later(ADDRESS.longest),
        })
    }

    /// Removes what is forgotten, and what is more than is remembered.
    pub async fn sweep(&self) -> Result<(), sql::Error> {
        let capacity = i64::try_from(CAPACITY).unwrap_or(i64::MAX);
        // A row that is in use is left to the next time.
        let tries = "DELETE FROM sign_in_tries WHERE key IN (SELECT key FROM sign_in_tries \
                     WHERE last <= greatest(clock_timestamp() - make_interval(secs => $1), \
                     (SELECT last FROM sign_in_tries ORDER BY last DESC OFFSET $3 LIMIT 1)) \
                     AND (pending = 0 OR begun <= clock_timestamp() - make_interval(secs => $2)) \
                     FOR UPDATE SKIP LOCKED)";
        let (memory, stale) = (MEMORY.as_secs_f64(), STALE.as_secs_f64());
        self.server.change(tries, &[&memory, &stale, &capacity]).await?;
        let known = "DELETE FROM sign_in_known WHERE last <= \
                     (SELECT last FROM sign_in_known ORDER BY last DESC OFFSET $1 LIMIT 1)";
        self.server.change(known, &[&capacity]).await?;
        Ok(())
    }
}

impl Attempt<'_> {
    /// Says how it ended.
    pub async fn settle(mut self, outcome: Outcome) -> Result<(), sql::Error> {
        settle(&self.throttle.server, &self.keys, outcome).await?;
        self.is_settled = true;
        self.throttle.settled.notify_one();
        Ok(())
    }
}

async fn settle(
    server: &Postgresql,
    keys: &Keys<Vec<u8>>,
    outcome: Outcome,
) -> Result<(), sql::Error> {
    let outcome = match outcome {
        Outcome::Failed => "failed",
        Outcome::Succeeded => "succeeded",
        Outcome::Void => "void",
    };
    let statement = "SELECT sign_in_settle($1, $2, $3, $4)";
    server.rows(statement, &[&keys.account, &keys.pair, &keys.address, &outcome]).await?;
    Ok(())
}

/// Counts it as failed. Where that cannot be said now it will count when it has become stale.
impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (server, keys) = (Arc::clone(&self.throttle.server), self.keys.clone());
            runtime.spawn(async move { settle(&server, &keys, Outcome::Failed).await });
        }
    }
}
