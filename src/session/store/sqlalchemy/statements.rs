//! The store's statements, in the words of each engine.

use crate::sql::Url;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    Sqlite,
}

impl Dialect {
    /// What the URL's scheme says.
    pub fn of(url: &Url) -> Option<Self> {
        match url.dialect {
            "postgresql" | "postgres" => Some(Self::Postgresql),
            "mysql" | "mariadb" => Some(Self::Mysql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }
}

/// A parameter, by what it stands for. See [`Values`](super::engine::Values).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Key,
    To,
    Data,
    Expected,
    Ttl,
    /// Now and at the end of `Ttl` by this machine's clock, as text.
    Time,
    End,
    Prefix,
    After,
    Limit,
}

/// A statement and its parameters, in their order.
#[derive(Debug)]
pub(super) struct Statement {
    pub text: String,
    pub names: Vec<Name>,
}

/// Every statement of the store.
#[derive(Debug)]
pub(super) struct Statements {
    /// The live record under a key.
    pub load: Statement,
    /// A new record.
    pub insert: Statement,
    /// Other bytes in a live record's place.
    pub replace: Statement,
    /// The same, under another key.
    pub rename: Statement,
    /// A live record goes if it holds what is expected.
    pub remove: Statement,
    /// A live record gets more time.
    pub touch: Statement,
    /// A record goes.
    pub delete: Statement,
    /// A record goes if it has expired.
    pub remove_expired: Statement,
    /// Some of the expired records go.
    pub sweep: Statement,
    /// Some of the live records of a prefix.
    pub list: Statement,
    /// Makes the table.
    pub table: String,
}

impl Statements {
    pub fn new(dialect: Dialect, table: &str, schema: Option<&str>) -> Self {
        let name = dialect.qualified(table, schema);
        let put = |clauses: &[&str]| Statement::new(dialect, &clauses.join(" "));
        let update = &*format!("UPDATE {name} SET");
        let delete = &*format!("DELETE FROM {name} WHERE");
        let select = &*format!("SELECT {{id}}, session_id, data, {{left}} FROM {name} WHERE");
        let expired_some = match dialect {
            // A row that another node sweeps at the same time is left to that node.
            Dialect::Postgresql => format!(
                "id IN (SELECT id FROM {name} WHERE expiry <= {{now}} LIMIT {{limit}} \
                 FOR UPDATE SKIP LOCKED) AND expiry <= {{now}}"
            ),
            Dialect::Mysql => "expiry <= {now} ORDER BY expiry LIMIT {limit}".into(),
            Dialect::Sqlite => {
                format!(
                    "id IN (SELECT id FROM {name} WHERE expiry <= {{now}} ORDER BY expiry \
                     LIMIT {{limit}})"
                )
            }
        };
        // A second row of one key is refused. MySQL can only pass over every error, or none.
        let unless_there = match dialect {
            Dialect::Postgresql | Dialect::Sqlite => "ON CONFLICT DO NOTHING",
            Dialect::Mysql => "",
        };
        let insert = &*format!("INSERT INTO {name} (session_id, data, expiry)");
        let (found, live) = ("{is key}", "AND expiry > {now}");
        Self {
            load: put(&[select, found, live]),
            insert: put(&[insert, "VALUES ({key}, {data}, {later})", unless_there]),
            replace: put(&[
                update,
                "data = {data}, expiry = {later} WHERE",
                found,
                "AND {is expected}",
                live,
            ]),
            rename: put(&[
                update,
                "session_id = {to}, data = {data}, expiry = {later} WHERE",
                found,
                "AND {is expected}",
                live,
            ]),
            remove: put(&[delete, found, "AND {is expected}", live]),
            touch: put(&[update, "expiry = {later} WHERE", found, live]),
            delete: put(&[delete, found]),
            remove_expired: put(&[delete, found, "AND (expiry IS NULL OR expiry <= {now})"]),
            sweep: put(&[delete, &expired_some]),
            list: put(&[
                select,
                "id > {after}",
                live,
                "AND {begins with prefix} ORDER BY id LIMIT {limit}",
            ]),
            table: dialect.table(&name),
        }
    }
}

impl Statement {
    /// Whether it ends a session, and does not sweep.
    pub fn is_end(&self) -> bool {
        self.text.starts_with("DELETE ") && !self.names.contains(&Name::Limit)
    }

    /// Puts the dialect's words for what is in braces.
    fn new(dialect: Dialect, template: &str) -> Self {
        let mut statement = Self { text: String::new(), names: Vec::new() };
        statement.expand(dialect, template);
        statement
    }

    fn expand(&mut self, dialect: Dialect, template: &str) {
        let mut rest = template;
        while let Some((before, (word, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            self.text += before;
            match name(word) {
                Some(name) => self.bind(dialect, name),
                None => self.expand(dialect, dialect.words(word)),
            }
            rest = after;
        }
        self.text += rest;
    }

    fn bind(&mut self, dialect: Dialect, name: Name) {
        self.names.push(name);
        let number = self.names.len();
        let integer = matches!(name, Name::Ttl | Name::After | Name::Limit);
        self.text += &match dialect {
            Dialect::Postgresql if integer => format!("CAST(${number} AS bigint)"),
            Dialect::Postgresql => format!("${number}"),
            Dialect::Mysql => "?".into(),
            Dialect::Sqlite => format!("?{number}"),
        };
    }
}

/// The parameter of that name.
fn name(word: &str) -> Option<Name> {
    Some(match word {
        "key" => Name::Key,
        "to" => Name::To,
        "data" => Name::Data,
        "expected" => Name::Expected,
        "ttl" => Name::Ttl,
        "time" => Name::Time,
        "end" => Name::End,
        "prefix" => Name::Prefix,
        "after" => Name::After,
        "limit" => Name::Limit,
        _ => return None,
    })
}

impl Dialect {
    /// What a template's word means, as a template.
    fn words(self, word: &str) -> &'static str {
        use Dialect::{Mysql, Postgresql, Sqlite};
        match (word, self) {
            ("id", Postgresql) => "CAST(id AS bigint)",
            // When the statement began, in UTC whatever the zone of the connection.
            ("now", Postgresql) => "(statement_timestamp() AT TIME ZONE 'UTC')",
            ("now", Mysql) => "UTC_TIMESTAMP(6)",
            ("now", Sqlite) => "{time}",
            ("later", Postgresql) => "{now} + {ttl} * INTERVAL '1 microsecond'",
            // The column holds whole seconds: the next one, so that nothing expires early.
            ("later", Mysql) => {
                "DATE_FORMAT({now} + INTERVAL ({ttl} + 999999) MICROSECOND, '%Y-%m-%d %H:%i:%s')"
            }
            ("later", Sqlite) => "{end}",
            ("left", Postgresql) => "CAST(EXTRACT(EPOCH FROM expiry - {now}) * 1000000 AS bigint)",
            ("left", Mysql) => "TIMESTAMPDIFF(MICROSECOND, {now}, expiry)",
            ("left", Sqlite) => "expiry",
            // The column's collation may take other letters for the same, and pads with spaces.
            ("is key", Mysql) => {
                "session_id = {key} AND CAST(CONVERT(session_id USING utf8mb4) AS BINARY) = \
                 CAST({key} AS BINARY)"
            }
            ("is key", Postgresql | Sqlite) => "session_id = {key}",
            // SQLite keeps text in the column where text was put.
            ("is expected", Sqlite) => "CAST(data AS BLOB) = {expected}",
            ("is expected", Postgresql | Mysql) => "data = {expected}",
            ("begins with prefix", Postgresql) => "left(session_id, length({prefix})) = {prefix}",
            ("begins with prefix", Mysql) => {
                "CAST(CONVERT(LEFT(session_id, CHAR_LENGTH({prefix})) USING utf8mb4) AS BINARY) = \
                 CAST({prefix} AS BINARY)"
            }
            ("begins with prefix", Sqlite) => "substr(session_id, 1, length({prefix})) = {prefix}",
            _ => "id",
        }
    }

    /// A table's name, quoted. It holds no quotes: the settings are checked.
    fn qualified(self, table: &str, schema: Option<&str>) -> String {
        let quote = |name: &str| match self {
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Postgresql | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        };
        match schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(table)),
            None => quote(table),
        }
    }

    /// Makes the table as SQLAlchemy would, with an index for sweeping. On MySQL it differs in
    /// two columns: `data` may be longer than BLOB's 64 KiB, and `session_id` tells upper case
    /// from lower.
    fn table(self, table: &str) -> String {
        let rest = "PRIMARY KEY (id), UNIQUE (session_id)";
        match self {
            // One at a time, or who comes second may take the name of the first one's sequence.
            Self::Postgresql => format!(
                "SELECT pg_advisory_xact_lock(x'6465776172'::bigint); \
                 CREATE TABLE {table} (id SERIAL NOT NULL, session_id VARCHAR(255), data BYTEA, \
                 expiry TIMESTAMP WITHOUT TIME ZONE, {rest}); CREATE INDEX ON {table} (expiry)"
            ),
            Self::Mysql => format!(
                "CREATE TABLE {table} (id INTEGER NOT NULL AUTO_INCREMENT, \
                 session_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
                 data LONGBLOB, expiry DATETIME, {rest}, INDEX (expiry)) ENGINE = InnoDB"
            ),
            Self::Sqlite => format!(
                "CREATE TABLE {table} (id INTEGER NOT NULL, session_id VARCHAR(255), data BLOB, \
                 expiry DATETIME, {rest})"
            ),
        }
    }
}
