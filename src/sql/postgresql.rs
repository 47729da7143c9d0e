//! PostgreSQL: connections to a server, as many as the pool has, each statement within a limit.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Pool, RecyclingMethod};
use rocket::http::RawStr;
use rocket::tokio::time::timeout;
use rustls::ClientConfig;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
#[cfg(feature = "app")]
use tokio_postgres::{Row, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pool::{Lease, pool};
use super::url::{Url, refused};
use super::{Error, tls};

/// Where libpq looks when a URL names no host.
const SOCKETS: &str = "/var/run/postgresql";

/// A PostgreSQL server, connected to when it is first used and again whenever a connection failed.
pub struct Postgresql {
    pool: Pool,
    address: String,
    limit: Duration,
}

/// Tells the address and no password.
impl fmt::Debug for Postgresql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Postgresql({})", self.address)
    }
}

impl Postgresql {
    pub(crate) fn new(url: &Url, limit: Duration) -> Result<Self, Error> {
        let (config, tls) = configuration(url, limit)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match tls {
            None => Manager::from_config(config, NoTls, recycling),
            Some(tls) => Manager::from_config(config, MakeRustlsConnect::new(tls), recycling),
        };
        let address = match url.address() {
            "" => SOCKETS.into(),
            address => address.to_owned(),
        };
        Ok(Self { pool: pool(manager)?, address, limit })
    }

    /// Does `work` on a connection, which is kept for others unless it is of no more use. Getting
    /// one has the limit to itself; the work is to keep one.
    pub(crate) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut ClientWrapper) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut lease = Lease::none();
        let unreachable = |error| {
            let at = &self.address;
            Error::Connection(format!("cannot use PostgreSQL at {at}: {}", words(&error)))
        };
        let done = match self.in_time(lease.connection(&self.pool, unreachable)).await {
            Ok(client) => work(client).await,
            Err(error) => Err(error),
        };
        lease.give_back(done)
    }

    /// What `future` comes to, unless the limit is over first.
    pub(crate) async fn in_time<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        match timeout(self.limit, future).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(Error::Connection(format!(
                "PostgreSQL at {} does not answer within {} s",
                self.address,
                self.limit.as_secs_f64()
            ))),
        }
    }
}

/// What the application's tables need beyond that.
#[cfg(feature = "app")]
impl Postgresql {
    /// `host:port`, or the directory of the server's socket.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// [`run`](Self::run), ended with an error when the limit is over.
    pub(crate) async fn run_in_time<T>(
        &self,
        work: impl AsyncFnOnce(&mut ClientWrapper) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.in_time(self.run(work)).await
    }

    /// The rows of a query, within the limit.
    pub(crate) async fn rows(
        &self,
        statement: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.run_in_time(async |client| {
            let prepared = client.prepare_cached(statement).await?;
            Ok(client.query(&prepared, values).await?)
        })
        .await
    }

    /// The first row of a query, within the limit.
    pub(crate) async fn row(
        &self,
        statement: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// How many rows a statement changed, within the limit.
    pub(crate) async fn change(
        &self,
        statement: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.run_in_time(async |client| {
            let prepared = client.prepare_cached(statement).await?;
            Ok(client.execute(&prepared, values).await?)
        })
        .await
    }
}

/// What the URL asks for, and how to speak TLS if it does.
fn configuration(url: &Url, limit: Duration) -> Result<(Config, Option<ClientConfig>), Error> {
    let parameter = |name: &str| {
        let found = url.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let sslrootcert = parameter("sslrootcert");
    let (mode, check) = tls::mode(parameter("sslmode"), sslrootcert.is_some())?;
    let mut text = format!("postgresql://{}", url.place);
    let others = url.parameters.iter().filter(|(name, _)| !name.starts_with("ssl"));
    for (at, (name, value)) in others.enumerate() {
        let encode = |text: &str| RawStr::new(text).percent_encode().to_string();
        text += if at == 0 { "?" } else { "&" };
        text += &format!("{}={}", encode(name), encode(value));
    }
    if let Some((name, _)) = url
        .parameters
        .iter()
        .find(|(name, _)| name.starts_with("ssl") && name != "sslmode" && name != "sslrootcert")
    {
        return Err(refused(name, "is not known; of TLS there are sslmode and sslrootcert"));
    }
    let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| {
        Error::Connection(format!("PostgreSQL's URL cannot be used: {}", words(&error)))
    })?;
    if config.get_hosts().is_empty() {
        config.host_path(SOCKETS);
    }
    if config.get_application_name().is_none() {
        config.application_name("dewar");
    }
    // A statement that nobody waits for any more must not keep its connection at the server.
    let options = config.get_options().unwrap_or_default();
    let options = format!("{options} -c statement_timeout={}", limit.as_millis());
    config.options(options.trim_start()).ssl_mode(mode);
    config.connect_timeout(limit).tcp_user_timeout(limit);
    let tls = match mode {
        SslMode::Disable => None,
        _ => Some(tls::client(check, sslrootcert)?),
    };
    Ok((config, tls))
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(told) => Self::of_state(told.code().code(), words(&error)),
            None => Self::Connection(words(&error)),
        }
    }
}

/// The server's message without its details, which hold keys; or the client's with its cause.
fn words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(told), _) => format!("PostgreSQL says: {}", told.message()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
