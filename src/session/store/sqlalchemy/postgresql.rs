//! PostgreSQL as an engine.

use std::error::Error as _;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use rocket::http::RawStr;
use rustls::ClientConfig;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::engine::{Engine, Failure, Row, Value, Values};
use super::pool::{Lease, pool};
use super::statements::Statement;
use super::tls;
use super::url::{Url, refused};

/// Where libpq looks when a URL names no host.
const SOCKETS: &str = "/var/run/postgresql";

pub(super) struct Postgresql {
    pool: Pool,
    address: String,
}

impl std::fmt::Debug for Postgresql {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Postgresql({})", self.address)
    }
}

impl Postgresql {
    pub fn new(url: &Url, limit: Duration) -> Result<Self, Failure> {
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
        Ok(Self { pool: pool(manager)?, address })
    }
}

#[rocket::async_trait]
impl Engine for Postgresql {
    async fn fetch(&self, statement: &Statement, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let mut lease = Lease::none();
        let rows = async {
            let client = lease.connection(&self.pool, |error| self.unreachable(&error)).await?;
            let prepared = client.prepare_cached(&statement.text).await?;
            let columns: Vec<_> = statement.names.iter().map(|name| values.get(*name)).collect();
            let rows = client.query(&prepared, &parameters(&columns)).await?;
            rows.iter().map(|found| Ok(row(found)?)).collect()
        };
        let rows = rows.await;
        lease.give_back(rows)
    }

    async fn change(&self, statement: &Statement, values: Values<'_>) -> Result<usize, Failure> {
        let mut lease = Lease::none();
        let changed = async {
            let client = lease.connection(&self.pool, |error| self.unreachable(&error)).await?;
            let prepared = client.prepare_cached(&statement.text).await?;
            let columns: Vec<_> = statement.names.iter().map(|name| values.get(*name)).collect();
            match client.execute(&prepared, &parameters(&columns)).await {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(0),
                changed => Ok(usize::try_from(changed?).unwrap_or(usize::MAX)),
            }
        };
        let changed = changed.await;
        lease.give_back(changed)
    }

    async fn script(&self, statements: &str) -> Result<(), Failure> {
        let mut lease = Lease::none();
        let done = async {
            let client = lease.connection(&self.pool, |error| self.unreachable(&error)).await?;
            Ok(client.batch_execute(statements).await?)
        };
        let done = done.await;
        lease.give_back(done)
    }
}

fn parameters<'v>(columns: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    let parameter = |column: &'v Value<'v>| match column {
        Value::Text(text) => text as &(dyn ToSql + Sync),
        Value::Bytes(bytes) => bytes,
        Value::Integer(integer) => integer,
    };
    columns.iter().map(parameter).collect()
}

fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let left: Option<i64> = row.try_get(3)?;
    Ok(Row {
        id: row.try_get(0)?,
        key: row.try_get(1)?,
        data: row.try_get::<_, Option<Vec<u8>>>(2)?.unwrap_or_default(),
        left: left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_micros),
    })
}

/// What the URL asks for, and how to speak TLS if it does.
fn configuration(url: &Url, limit: Duration) -> Result<(Config, Option<ClientConfig>), Failure> {
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
        Failure::Connection(format!("PostgreSQL's URL cannot be used: {}", words(&error)))
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

impl Postgresql {
    fn unreachable(&self, error: &tokio_postgres::Error) -> Failure {
        Failure::Connection(format!("cannot use PostgreSQL at {}: {}", self.address, words(error)))
    }
}

impl From<tokio_postgres::Error> for Failure {
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
