//! The application's tables on PostgreSQL.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rocket::tokio::runtime::Builder;
use rocket::tokio::time::timeout;
use tokio_postgres::{GenericClient, IsolationLevel};

use super::Error;
use crate::sql::{self, Postgresql, Url};

/// In order; the table `dewar_schema` holds how many there have been. A released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgresql/0001_accounts.sql"),
    include_str!("../../migrations/postgresql/0002_students.sql"),
    include_str!("../../migrations/postgresql/0003_sign_ins.sql"),
    include_str!("../../migrations/postgresql/0004_registry.sql"),
    include_str!("../../migrations/postgresql/0005_audit.sql"),
    include_str!("../../migrations/postgresql/0006_throttle.sql"),
];

/// Two nodes that start at once migrate one after the other: whoever holds this advisory lock. The
/// number means nothing but "dewar" in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(x'6465776172'::bigint)";

/// How long all migrations may take, with the wait for another node's.
const LONGEST: Duration = Duration::from_secs(60);

pub(super) fn server(url: &str, limit: Duration) -> Result<Postgresql, sql::Error> {
    let unknown = || sql::Error::Connection("the URL must begin with postgresql://".into());
    Postgresql::new(&Url::parse(url).ok_or_else(unknown)?, limit)
}

/// Connects once to bring the tables up to date, in a runtime of its own: a connection belongs to
/// the runtime it was made in, which of the server that is to be used may not run yet.
pub(super) fn open(url: &str, limit: Duration) -> Result<Arc<Postgresql>, Error> {
    let first = server(url, limit)?;
    let migration = || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| sql::Error::Connection(error.to_string()))?;
        runtime.block_on(migrate(&first))
    };
    let ended = || Err(sql::Error::Connection("the migration was interrupted".into()));
    let found = thread::scope(|scope| scope.spawn(migration).join()).unwrap_or_else(|_| ended())?;
    let known = MIGRATIONS.len();
    if found > known {
        return Err(Error::NewerServer { at: first.address().into(), found, known });
    }
    Ok(Arc::new(server(url, limit)?))
}

/// Runs what is missing, all of it or nothing, and answers the number there was.
async fn migrate(server: &Postgresql) -> Result<usize, sql::Error> {
    let found = server.run_in_time(async |client| match version(&**client).await {
        Err(sql::Error::NoTable(_)) => Ok(0),
        found => found,
    });
    let found = found.await?;
    if found >= MIGRATIONS.len() {
        return Ok(found);
    }
    let made = server.run(async |client| {
        // So that what is read under the lock is what the other node left.
        let transaction = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
        let transaction = transaction.start().await?;
        let encoding = transaction.query_one("SHOW server_encoding", &[]).await?;
        let encoding: String = encoding.try_get(0)?;
        if encoding != "UTF8" {
            return Err(sql::Error::Statement(format!(
                "the database must be in UTF8, and is in {encoding}"
            )));
        }
        transaction.batch_execute("SET LOCAL statement_timeout = '30s'").await?;
        transaction.batch_execute(LOCK).await?;
        transaction
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS dewar_schema (version bigint NOT NULL);
                 INSERT INTO dewar_schema SELECT 0 WHERE NOT EXISTS (SELECT FROM dewar_schema)",
            )
            .await?;
        let found = version(&*transaction).await?;
        for migration in MIGRATIONS.iter().skip(found) {
            transaction.batch_execute(migration).await?;
        }
        if found < MIGRATIONS.len() {
            let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
            transaction.execute("UPDATE dewar_schema SET version = $1", &[&known]).await?;
        }
        transaction.commit().await?;
        Ok(found)
    });
    timeout(LONGEST, made).await.unwrap_or_else(|_| {
        let at = server.address();
        Err(sql::Error::Connection(format!("PostgreSQL at {at} does not answer")))
    })
}

async fn version(client: &impl GenericClient) -> Result<usize, sql::Error> {
    let row = client.query_one("SELECT version FROM dewar_schema", &[]).await?;
    let version: i64 = row.try_get(0)?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
