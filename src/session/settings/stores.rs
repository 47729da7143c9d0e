//! Where sessions live: `SESSION_TYPE`, and the settings of each store.

use std::path::PathBuf;

use super::{FileSettings, Reader, Secret, filesystem};

/// These settings, with what each does in a line.
pub const KEYS: &[(&str, &str)] = &[
    ("SESSION_TYPE", "where sessions live: \"sqlite\", \"cookie\", \"redis\", \"memcached\", …"),
    ("SESSION_STORE_TIMEOUT", "how long a store on the network may take to answer"),
    ("SESSION_SQLITE_PATH", "the SQLite file of the sessions"),
    ("SESSION_FILE_DIR", "the directory of the sessions' files"),
    ("SESSION_FILE_THRESHOLD", "throw sessions out beyond so many files; 0 does not"),
    ("SESSION_FILE_MODE", "the files' permissions, such as 0o600"),
    ("SESSION_FILE_HASH", "what names a file: \"sha256\", or \"md5\" for cachelib before 0.16"),
    ("SESSION_REDIS", "the URL of Redis, of its Sentinels or its Cluster"),
    ("SESSION_MEMCACHED", "memcached's address, or a list of them"),
    ("SESSION_MONGODB", "the URL of MongoDB"),
    ("SESSION_MONGODB_DB", "the database of the sessions in MongoDB"),
    ("SESSION_MONGODB_COLLECT", "the collection of the sessions in MongoDB"),
    ("SESSION_SQLALCHEMY", "the URL of the SQL database; unset: SQLALCHEMY_DATABASE_URI"),
    ("SQLALCHEMY_DATABASE_URI", "the same, under Flask-SQLAlchemy's name"),
    ("SESSION_SQLALCHEMY_TABLE", "the table of the sessions in the SQL database"),
    ("SESSION_SQLALCHEMY_SCHEMA", "the schema of that table"),
    ("SESSION_MIGRATE_FROM", "where sessions still are that are to move here, one by one"),
    ("SESSION_CLEANUP_N_REQUESTS", "sweep about every so many requests as well; unset: not"),
];

/// Where sessions live: `SESSION_TYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreSettings {
    /// `cookie`: in the visitors' own cookies, signed, as in Flask without an extension.
    Cookie,
    /// `sqlite`: a table in a SQLite file.
    Sqlite {
        /// `SESSION_SQLITE_PATH`, or else `DATABASE`; relative to the configuration file.
        path: PathBuf,
    },
    /// `filesystem`: in files, as Flask-Session keeps them.
    Filesystem(FileSettings),
    /// `redis`: Redis or Valkey, as Flask-Session keeps sessions there.
    Redis {
        /// `SESSION_REDIS`: `redis://` or, with TLS, `rediss://` for one server;
        /// `redis+sentinel://host:port,host:port/NAME/DB` for what Sentinels watch over as NAME;
        /// `redis+cluster://host:port,host:port` for a Cluster. Each takes `user:password@`.
        url: Secret,
    },
    /// `memcached`: memcached, as Flask-Session keeps sessions there.
    Memcached {
        /// `SESSION_MEMCACHED`: `host:port` each. A key lives on one of them.
        servers: Vec<String>,
    },
    /// `mongodb`: a collection of MongoDB, as Flask-Session keeps sessions there.
    Mongodb {
        /// `SESSION_MONGODB`.
        url: Secret,
        /// `SESSION_MONGODB_DB`.
        database: String,
        /// `SESSION_MONGODB_COLLECT`.
        collection: String,
    },
    /// `sqlalchemy`: Flask-Session's table in PostgreSQL, MySQL, MariaDB or SQLite.
    Sqlalchemy {
        /// `SESSION_SQLALCHEMY`, or else `SQLALCHEMY_DATABASE_URI`, as SQLAlchemy writes URLs, or
        /// else `DATABASE`.
        url: Secret,
        /// `SESSION_SQLALCHEMY_TABLE`.
        table: String,
        /// `SESSION_SQLALCHEMY_SCHEMA`.
        schema: Option<String>,
    },
}

impl StoreSettings {
    /// The `SESSION_TYPE`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Sqlite { .. } => "sqlite",
            Self::Filesystem(_) => "filesystem",
            Self::Redis { .. } => "redis",
            Self::Memcached { .. } => "memcached",
            Self::Mongodb { .. } => "mongodb",
            Self::Sqlalchemy { .. } => "sqlalchemy",
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> StoreSettings {
    let shared = database_url(reader);
    // By default, where the application's own tables are.
    let default = if shared.is_some() { "sqlalchemy" } else { "sqlite" };
    let kind = reader.text("SESSION_TYPE").unwrap_or_else(|| default.into());
    let database = |reader: &mut Reader| match shared {
        Some(_) => None,
        None => Some(reader.path("DATABASE").unwrap_or_else(|| "dewar.db".into())),
    };
    let path = reader.path("SESSION_SQLITE_PATH").or_else(|| database(reader));
    if kind.eq_ignore_ascii_case("sqlite") && path.is_none() {
        reader
            .refuse("SESSION_SQLITE_PATH", "is missing: DATABASE is no file to hold sessions too");
    }
    let sqlite = StoreSettings::Sqlite { path: path.unwrap_or_default() };
    let files = filesystem::read(reader);
    match kind.to_lowercase().as_str() {
        "sqlite" => sqlite,
        "cookie" => StoreSettings::Cookie,
        "filesystem" => StoreSettings::Filesystem(files),
        "redis" => StoreSettings::Redis {
            url: url(reader, "SESSION_REDIS", &REDIS)
                .unwrap_or_else(|| Secret(REDIS_DEFAULT.into())),
        },
        "memcached" => StoreSettings::Memcached { servers: read_memcached(reader) },
        "mongodb" => StoreSettings::Mongodb {
            url: read_mongodb(reader),
            database: name(reader, "SESSION_MONGODB_DB", "flask_session"),
            collection: name(reader, "SESSION_MONGODB_COLLECT", "sessions"),
        },
        "sqlalchemy" => read_sqlalchemy(reader, shared),
        _ => {
            reader.refuse(
                "SESSION_TYPE",
                "is a store this version does not have; it has \"sqlite\", \"cookie\", \
                 \"filesystem\", \"redis\", \"memcached\", \"mongodb\" and \"sqlalchemy\"",
            );
            sqlite
        }
    }
}

const REDIS: [&str; 5] = ["redis", "rediss", "redis+sentinel", "redis+cluster", "rediss+cluster"];
const REDIS_DEFAULT: &str = "redis://127.0.0.1:6379/0";

/// `DATABASE`, where that is no file but a PostgreSQL server's URL.
fn database_url(reader: &Reader) -> Option<Secret> {
    let url = reader.value("DATABASE")?.into_string()?;
    let (scheme, _) = url.split_once("://")?;
    let is_postgresql = matches!(scheme.split('+').next(), Some("postgresql" | "postgres"));
    is_postgresql.then_some(Secret(url))
}

/// A URL of one of these schemes. What else is wrong with it the store's own client tells.
fn url(reader: &mut Reader, key: &str, schemes: &[&str]) -> Option<Secret> {
    let url = reader.text(key)?;
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if !scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        reader.refuse(key, format!("must be a URL that begins with {}", schemes.join(" or ")));
    }
    Some(Secret(url))
}

fn read_mongodb(reader: &mut Reader) -> Secret {
    let key = "SESSION_MONGODB";
    let told = reader.value(key);
    if told.is_some_and(|url| url.as_str().is_some_and(|url| url.starts_with("mongodb+srv://"))) {
        reader.refuse(
            key,
            "cannot begin with mongodb+srv://; give the servers themselves, as in \
             \"mongodb://host:27017,host:27017/?replicaSet=name&tls=true\"",
        );
        return Secret(String::new());
    }
    url(reader, key, &["mongodb"]).unwrap_or_else(|| Secret("mongodb://localhost:27017".into()))
}

fn read_memcached(reader: &mut Reader) -> Vec<String> {
    let key = "SESSION_MEMCACHED";
    let servers = match reader.value(key) {
        Some(figment::value::Value::Array(..)) => reader.list(key).unwrap_or_default(),
        Some(_) => reader.text(key).into_iter().collect(),
        None => vec!["127.0.0.1:11211".into()],
    };
    let bad = |server: &String| {
        let port = server.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        !matches!(port, Some(Ok(1..)))
    };
    if servers.is_empty() || servers.iter().any(bad) {
        reader.refuse(key, "must be an address such as \"127.0.0.1:11211\", or a list of them");
    }
    servers
}

fn read_sqlalchemy(reader: &mut Reader, shared: Option<Secret>) -> StoreSettings {
    let schemes = [
        "postgresql",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgres",
        "mysql",
        "mysql+pymysql",
        "mysql+mysqldb",
        "mariadb",
        "mariadb+pymysql",
        "sqlite",
    ];
    let url = ["SESSION_SQLALCHEMY", "SQLALCHEMY_DATABASE_URI"]
        .into_iter()
        .find_map(|key| url(reader, key, &schemes))
        .or(shared);
    if url.is_none() {
        reader.refuse(
            "SESSION_SQLALCHEMY",
            "is missing; give the database's URL, such as \"postgresql://user@host/name\"",
        );
    }
    StoreSettings::Sqlalchemy {
        url: url.unwrap_or_else(|| Secret(String::new())),
        table: name(reader, "SESSION_SQLALCHEMY_TABLE", "sessions"),
        schema: reader
            .text("SESSION_SQLALCHEMY_SCHEMA")
            .map(|_| name(reader, "SESSION_SQLALCHEMY_SCHEMA", "public")),
    }
}

/// The name of a table or the like. It becomes part of statements, so it may hold nothing else.
fn name(reader: &mut Reader, key: &str, default: &str) -> String {
    let name = reader.text(key).unwrap_or_else(|| default.into());
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        reader.refuse(key, "must be 1 to 63 letters, digits, _ or -");
    }
    name
}
