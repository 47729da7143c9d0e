//! The driver's client: made when it is first needed, used by a bounded number of operations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, ReadConcern, ReadPreference,
    SelectionCriteria, ServerMonitoringMode, WriteConcern,
};
use mongodb::{Client, Collection};
use rocket::tokio::spawn;
use rocket::tokio::sync::{OnceCell, Semaphore};
use rocket::tokio::time::timeout;

use super::error::Failure;
use super::indexes;

/// How many connections go to each server at most, beside one that watches it.
const CONNECTIONS: usize = 16;
/// How often the servers are looked at, so how soon a hung one is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// How long a connection may be idle: less than what is between forgets one after.
const IDLE: Duration = Duration::from_secs(60);

/// The collection, as operations use it.
#[derive(Clone)]
pub struct Sessions {
    pub documents: Collection<RawDocumentBuf>,
    /// Whether an index lets no two documents have the same `id`.
    pub ids_are_unique: bool,
}

/// A way to the collection that holds the sessions.
pub struct Connection {
    url: ConnectionString,
    database: String,
    collection: String,
    limit: Duration,
    client: OnceCell<Client>,
    sessions: OnceCell<Sessions>,
    permits: Arc<Semaphore>,
}

/// Shows where it leads, never the URL.
impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connection({}.{})", self.database, self.collection)
    }
}

impl Connection {
    pub fn new(
        url: &str,
        database: &str,
        collection: &str,
        limit: Duration,
    ) -> Result<Self, Failure> {
        Ok(Self {
            url: ConnectionString::parse(url).map_err(|_| Failure::Url)?,
            database: database.to_owned(),
            collection: collection.to_owned(),
            limit,
            client: OnceCell::new(),
            sessions: OnceCell::new(),
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    /// Runs an operation to its end, also when the caller stops waiting: what the driver has begun
    /// is not to be dropped half-way. A caller that stops while others use all connections has
    /// asked for nothing.
    ///
    /// The driver waits for an answer for ever where the server is well and only this connection
    /// is not, so in the end the operation is dropped all the same, and its connection closed.
    pub async fn run<T, F>(
        &self,
        operation: impl FnOnce(Sessions) -> F + Send,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Failure::Lost)?;
        let operation = timeout(self.limit * 2, operation(self.sessions().await?.clone()));
        let done = spawn(async move {
            let _permit = permit;
            operation.await.unwrap_or(Err(Failure::Lost))
        });
        done.await.map_err(|_| Failure::Lost)?
    }

    async fn sessions(&self) -> Result<&Sessions, Failure> {
        let make = async || {
            let client = self.client.get_or_try_init(async || self.client().await).await?;
            let documents = client.database(&self.database).collection(&self.collection);
            spawn(async move {
                let ids_are_unique = indexes::make(&documents).await?;
                Ok(Sessions { documents, ids_are_unique })
            })
            .await
            .map_err(|_| Failure::Lost)?
        };
        self.sessions.get_or_try_init(make).await
    }

    /// A client, which tries nothing for longer than a caller waits.
    async fn client(&self) -> Result<Client, Failure> {
        let mut options = ClientOptions::parse(self.url.clone()).await.map_err(|_| Failure::Url)?;
        options.app_name.get_or_insert_with(|| "dewar".into());
        options.max_pool_size = u32::try_from(CONNECTIONS).ok();
        options.min_pool_size = None;
        options.max_idle_time = Some(IDLE);
        options.connect_timeout = Some(self.limit / 2);
        // The driver looks at a server that was lost after half a second again.
        options.server_selection_timeout = Some(self.limit * 3 / 4);
        options.heartbeat_freq = Some(LOOK);
        options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
        let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
        options.write_concern = Some(majority.w_timeout(self.limit).build());
        options.read_concern = Some(ReadConcern::local());
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        Ok(Client::with_options(options)?)
    }
}
