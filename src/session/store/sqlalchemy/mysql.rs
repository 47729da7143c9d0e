//! MySQL and MariaDB as an engine.

use std::path::PathBuf;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Pool, RecycleError, RecycleResult};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, SslOpts, Value as Column};

use super::engine::{Engine, Failure, Row, Value, Values};
use super::statements::Statement;
use crate::sql::{self, Lease, Url, pool, refused};

/// A connection idle for longer is asked whether it is still one, as the server may have closed it.
const FRESH: Duration = Duration::from_millis(500);

/// "Data too long for column": more than a BLOB holds, if the column is `data`.
const TOO_LONG: u16 = 1406;
/// A key that is there already. The message holds it.
const DUPLICATE: u16 = 1062;
/// Text that the column's character set lacks. The message holds some of it.
const NOT_IN_CHARACTER_SET: u16 = 1366;

pub(super) struct Mysql {
    pool: Pool<Connections>,
    address: String,
}

impl std::fmt::Debug for Mysql {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Mysql({})", self.address)
    }
}

impl Mysql {
    pub fn new(url: &Url, limit: Duration) -> Result<Self, sql::Error> {
        let opts = options(url, limit)?;
        // mysql_async takes the process's provider of cryptography. Should another part of a
        // program bring a second one along, rustls would not know which.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = format!("{}:{}", opts.ip_or_hostname(), opts.tcp_port());
        Ok(Self { pool: pool(Connections(opts))?, address })
    }

    fn unreachable(&self, error: Error) -> sql::Error {
        sql::Error::Connection(format!("cannot use MySQL at {}: {}", self.address, words(&error)))
    }
}

/// Makes connections and looks at those that were idle.
struct Connections(Opts);

impl Manager for Connections {
    type Type = Conn;
    type Error = Error;

    async fn create(&self) -> Result<Conn, Error> {
        Conn::new(self.0.clone()).await
    }

    async fn recycle(&self, connection: &mut Conn, metrics: &Metrics) -> RecycleResult<Error> {
        if metrics.last_used() > FRESH {
            connection.ping().await.map_err(RecycleError::Backend)?;
        }
        Ok(())
    }
}

#[rocket::async_trait]
impl Engine for Mysql {
    async fn fetch(&self, statement: &Statement, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let mut lease = Lease::none();
        let rows = async {
            let connection = lease.connection(&self.pool, |error| self.unreachable(error)).await?;
            let columns = columns(statement, values);
            let rows: Vec<Columns> = connection.exec(statement.text.as_str(), columns).await?;
            Ok(rows.into_iter().map(row).collect())
        };
        let rows = rows.await;
        Ok(lease.give_back(rows)?)
    }

    async fn change(&self, statement: &Statement, values: Values<'_>) -> Result<usize, Failure> {
        let mut lease = Lease::none();
        let changed = async {
            let connection = lease.connection(&self.pool, |error| self.unreachable(error)).await?;
            let columns = columns(statement, values);
            match connection.exec_drop(statement.text.as_str(), columns).await {
                Ok(()) => Ok(usize::try_from(connection.affected_rows()).unwrap_or(usize::MAX)),
                Err(Error::Server(told)) if told.code == DUPLICATE => Ok(0),
                Err(error) => Err(error.into()),
            }
        };
        let changed = changed.await;
        Ok(lease.give_back(changed)?)
    }

    async fn script(&self, statements: &str) -> Result<(), Failure> {
        let mut lease = Lease::none();
        let done = async {
            let connection = lease.connection(&self.pool, |error| self.unreachable(error)).await?;
            Ok(connection.query_drop(statements).await?)
        };
        let done = done.await;
        Ok(lease.give_back(done)?)
    }
}

type Columns = (i64, String, Option<Vec<u8>>, Option<i64>);

fn row((id, key, data, left): Columns) -> Row {
    let left = left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_micros);
    Row { id, key, data: data.unwrap_or_default(), left }
}

fn columns(statement: &Statement, values: Values<'_>) -> Vec<Column> {
    let column = |value: Value| match value {
        Value::Text(text) => Column::Bytes(text.into_owned().into_bytes()),
        Value::Bytes(bytes) => Column::Bytes(bytes.to_vec()),
        Value::Integer(integer) => Column::Int(integer),
    };
    statement.names.iter().map(|name| column(values.get(*name))).collect()
}

/// What the URL asks for. Its parameters are those of PyMySQL and mysqlclient that matter here.
fn options(url: &Url, limit: Duration) -> Result<Opts, sql::Error> {
    let opts = Opts::from_url(&format!("mysql://{}", url.place)).map_err(|_| {
        sql::Error::Connection("the URL must be mysql://user:password@host:port/database".into())
    })?;
    let seconds = limit.as_secs_f64().ceil().max(1.0);
    let session = format!(
        // Strict: a record too long is refused, not cut. And a statement that nobody waits for any
        // more must not keep its connection at the server.
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES', autocommit = 1, \
         lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}"
    );
    let mut builder = OptsBuilder::from_opts(opts)
        .init(vec![session])
        .client_found_rows(true)
        .prefer_socket(false);
    let (mut mode, mut authority) = (None, None);
    for (name, value) in &url.parameters {
        match (name.as_str(), value.as_str()) {
            // The driver's own is the one that holds everything.
            ("charset", _) => {}
            ("unix_socket", path) => builder = builder.socket(Some(path)),
            ("ssl_ca", path) => authority = Some(PathBuf::from(path)),
            ("ssl_check_hostname", "true" | "True" | "1") => {}
            ("ssl_check_hostname", _) => {
                return Err(refused(name, "must be true: the certificate's name is checked"));
            }
            ("ssl_mode", text) => mode = Some(text.to_uppercase()),
            _ => {
                return Err(refused(
                    name,
                    "is not known; there are charset, unix_socket, ssl_mode, ssl_ca and \
                     ssl_check_hostname",
                ));
            }
        }
    }
    // What is checked at all is checked in full: mysql_async cannot leave out the host's name.
    let tls = match (mode.as_deref(), authority) {
        (Some("DISABLED"), _) | (None, None) => None,
        (Some("REQUIRED"), None) => Some(
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        (Some("VERIFY_IDENTITY"), None) => {
            let known = sql::authorities().into_iter();
            let known = known.map(|authority| authority.to_vec().into()).collect();
            Some(SslOpts::default().with_disable_built_in_roots(true).with_root_certs(known))
        }
        (None | Some("REQUIRED" | "VERIFY_IDENTITY"), Some(path)) => Some(
            SslOpts::default().with_disable_built_in_roots(true).with_root_certs(vec![path.into()]),
        ),
        (Some(_), _) => {
            let modes = "must be DISABLED, REQUIRED or VERIFY_IDENTITY";
            return Err(refused("ssl_mode", modes));
        }
    };
    Ok(builder.ssl_opts(tls).into())
}

impl From<Error> for sql::Error {
    fn from(error: Error) -> Self {
        match &error {
            Error::Server(told) => Self::of_state(&told.state, words(&error)),
            _ => Self::Connection(words(&error)),
        }
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Server(told) if told.code == TOO_LONG && told.message.contains("'data'") => {
            "the record is longer than the table's column data takes, which is 64 KiB for BLOB; \
             make it longer with ALTER TABLE … MODIFY data LONGBLOB"
                .into()
        }
        Error::Server(told) if matches!(told.code, DUPLICATE | NOT_IN_CHARACTER_SET) => {
            format!("MySQL answers error {}", told.code)
        }
        Error::Server(told) => format!("MySQL says: {}", told.message),
        Error::Io(mysql_async::IoError::Io(cause)) => cause.to_string(),
        other => other.to_string(),
    }
}
