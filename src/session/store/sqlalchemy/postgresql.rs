//! PostgreSQL as an engine.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::engine::{Engine, Failure, Row, Value, Values};
use super::statements::Statement;
use crate::sql;

#[rocket::async_trait]
impl Engine for sql::Postgresql {
    async fn fetch(&self, statement: &Statement, values: Values<'_>) -> Result<Vec<Row>, Failure> {
        let rows = self.run(async |client| {
            let prepared = client.prepare_cached(&statement.text).await?;
            let columns: Vec<_> = statement.names.iter().map(|name| values.get(*name)).collect();
            let rows = client.query(&prepared, &parameters(&columns)).await?;
            rows.iter().map(|found| Ok(row(found)?)).collect()
        });
        Ok(rows.await?)
    }

    async fn change(&self, statement: &Statement, values: Values<'_>) -> Result<usize, Failure> {
        let changed = self.run(async |client| {
            let prepared = client.prepare_cached(&statement.text).await?;
            let columns: Vec<_> = statement.names.iter().map(|name| values.get(*name)).collect();
            match client.execute(&prepared, &parameters(&columns)).await {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(0),
                changed => Ok(usize::try_from(changed?).unwrap_or(usize::MAX)),
            }
        });
        Ok(changed.await?)
    }

    async fn script(&self, statements: &str) -> Result<(), Failure> {
        Ok(self.run(async |client| Ok(client.batch_execute(statements).await?)).await?)
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
