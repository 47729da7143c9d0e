//! SQLite as an engine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::params_from_iter;
use rusqlite::types::{Value as Column, ValueRef};

use super::engine::{Engine, Failure, Row, Value, Values};
use super::statements::{Name, Statement};
use crate::session::clock;
use crate::session::date::{Civil, to_unix};
use crate::sql::{self, Url, refused};
use crate::sqlite::{Database, Error};

/// A SQLite file, in WAL mode: readers and a writer of its own, shared with whatever else this
/// process keeps in the file.
#[derive(Debug)]
pub(super) struct Sqlite {
    database: Arc<Database>,
}

impl Sqlite {
    /// `sqlite:///relative` to the working directory, or `sqlite:////absolute`.
    pub fn open(url: &Url) -> Result<Self, Failure> {
        if let Some((parameter, _)) = url.parameters.first() {
            return Err(refused(parameter, "is not known for SQLite, which takes none").into());
        }
        match url.place.strip_prefix('/') {
            Some(path) if !path.is_empty() && path != ":memory:" => {
                Ok(Self { database: Database::open(Path::new(path))? })
            }
            _ => Err(Failure::Sql(sql::Error::Connection(
                "SQLite's URL must name a file: sqlite:///relative or sqlite:////absolute".into(),
            ))),
        }
    }
}

#[rocket::async_trait]
impl Engine for Sqlite {
    async fn fetch(&self, statement: &Statement, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let text = statement.text.clone();
        let columns = columns(statement, values);
        let query = move |connection: &rusqlite::Connection| {
            let mut prepared = connection.prepare_cached(&text)?;
            let rows = prepared.query_map(params_from_iter(columns()), |row| {
                let now = clock::now();
                let bytes = |column| match row.get_ref(column)? {
                    ValueRef::Null => Ok(&[][..]),
                    other => other.as_bytes().map_err(rusqlite::Error::from),
                };
                Ok(Row {
                    id: row.get(0)?,
                    key: row.get(1)?,
                    data: bytes(2)?.to_vec(),
                    left: std::str::from_utf8(bytes(3)?)
                        .ok()
                        .and_then(time)
                        .and_then(|end| end.duration_since(now).ok()),
                })
            })?;
            rows.collect()
        };
        // A listing is long, all else is a look-up by key.
        Ok(match statement.names.contains(&Name::Limit) {
            true => self.database.read_long(query).await?,
            false => self.database.read(query).await?,
        })
    }

    async fn change(&self, statement: &Statement, values: Values<'_>) -> Result<usize, Failure> {
        let text = statement.text.clone();
        let columns = columns(statement, values);
        let change = move |connection: &rusqlite::Connection| {
            connection.prepare_cached(&text)?.execute(params_from_iter(columns()))
        };
        let changed = match statement.is_end() {
            true => self.database.write_urgent(change).await,
            false => self.database.write(change).await,
        };
        match changed {
            Err(Error::Sqlite { source, .. }) if is_double(&source) => Ok(0),
            changed => Ok(changed?),
        }
    }

    async fn script(&self, statements: &str) -> Result<(), Failure> {
        let text = statements.to_owned();
        Ok(self.database.write(move |connection| connection.execute_batch(&text)).await?)
    }
}

fn is_double(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// The statement's parameters, each time anew: the clock is read when the statement runs.
fn columns(statement: &Statement, values: Values<'_>) -> impl Fn() -> Vec<Column> + use<> {
    let column = |value: Value| match value {
        Value::Text(text) => Column::Text(text.into_owned()),
        Value::Bytes(bytes) => Column::Blob(bytes.to_vec()),
        Value::Integer(integer) => Column::Integer(integer),
    };
    let timeless = |name| (!matches!(name, Name::Time | Name::End)).then(|| values.get(name));
    let fixed: Vec<_> =
        statement.names.iter().map(|name| (*name, timeless(*name).map(column))).collect();
    let clock = Values { ttl: values.ttl, ..Values::default() };
    move || {
        let columns = fixed.iter().map(|(name, fixed)| match fixed {
            Some(fixed) => fixed.clone(),
            None => column(clock.get(*name)),
        });
        columns.collect()
    }
}

/// A point in time as SQLAlchemy writes it on SQLite: `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, so that
/// texts compare as times do. What is finer than a microsecond is rounded up.
///
/// With a zone behind it, Flask-Session could not read it.
pub fn expiry_text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let microseconds = since.as_nanos().div_ceil(1000);
    let seconds = i64::try_from(microseconds / 1_000_000).unwrap_or(i64::MAX);
    let Civil { year, month, day, hour, minute, second, .. } = Civil::from_unix(seconds);
    let fraction = microseconds % 1_000_000;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

/// The time that such a text tells. Python reads one without a fraction too.
fn time(expiry: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| expiry.get(range)?.parse::<u32>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let second_of_day = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let seconds = to_unix(year.into(), month.into(), day.into(), second_of_day.into());
    let fraction = Duration::from_micros(number(20..26).unwrap_or(0).into());
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?) + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_reads_back_to_the_microsecond() {
        for microseconds in [0, 1, 999_999, 1_714_979_289_000_500, 32_503_679_999_999_999] {
            let end = UNIX_EPOCH + Duration::from_micros(microseconds);
            assert_eq!(time(&expiry_text(end)), Some(end));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "never", "2999-05-06", "1066-10-14 09:00:00", &"é".repeat(20)] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(time("1970-01-02 00:00:01"), Some(UNIX_EPOCH + Duration::from_secs(86_401)));
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_rounded_up() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_999_999_001);
        assert_eq!(expiry_text(time), "1970-01-01 00:00:02.000000");
    }
}
