//! Reads of the tables `stored_days` and `storage_samples`, and the space that the database uses.

use crate::columns::stored_days::{DayColumns, SAMPLED_ROWS, kinds, row_size};
use crate::columns::{Columns, value};
use crate::options::Profile;
use crate::postgres::query::{cell, raw_row, raw_rows, rows as read_rows};
use crate::rows::{KindUse, StorageUse, StoredKind};
use anyhow::Result;
use std::collections::BTreeMap;
use tokio_postgres::{GenericClient, Row};

/// Returns the number of rows of a kind.
pub(super) async fn rows(client: &impl GenericClient, kind: StoredKind) -> Result<usize> {
    let sql = "SELECT CAST(coalesce(sum(rows), 0) AS bigint) FROM stored_days WHERE kind = $1";
    cell(client, sql, &[kind.as_str().into()]).await
}

/// Returns the space that the database uses. The database itself finds new rows a place in free space.
pub(crate) async fn usage(client: &impl GenericClient, profile: Profile) -> Result<StorageUse> {
    let kinds = sampled_kinds(client).await?;
    let samples = raw_rows(client, "SELECT hour, used_bytes FROM storage_samples ORDER BY hour", &[]).await?;
    let sample = |row: &Row| Ok((value(row, 0, "hour")?, value(row, 1, "used_bytes")?));
    Ok(StorageUse {
        database_bytes: used_bytes(client, profile).await?.try_into().unwrap_or(0),
        free_bytes: 0,
        gives_back: false,
        wal_bytes: 0,
        kinds,
        samples: samples.iter().map(sample).collect::<Result<_>>()?,
    })
}

/// Returns the bytes that the database uses; without a function for that, those of the content of its rows.
pub(crate) async fn used_bytes(client: &impl GenericClient, profile: Profile) -> Result<i64> {
    match profile {
        Profile::Postgres => cell(client, "SELECT pg_database_size(current_database())", &[]).await,
        Profile::CockroachDb | Profile::YugabyteDb => {
            Ok(sampled_kinds(client).await?.values().map(|kind| kind.total().bytes).sum())
        }
    }
}

/// Returns the rows of each kind with their sizes.
async fn sampled_kinds(client: &impl GenericClient) -> Result<BTreeMap<StoredKind, KindUse>> {
    let days: Vec<DayColumns> =
        read_rows(client, &format!("SELECT {} FROM stored_days", DayColumns::LIST), &[]).await?;
    let mut kinds = kinds(days);
    for (kind, found) in &mut kinds {
        if let Some((table, size)) = row_size(*kind) {
            found.row_bytes = sampled(client, table, size).await?;
        }
    }
    Ok(kinds)
}

/// Returns the average size of rows that lie at equal distances between the first and the last key.
async fn sampled(client: &impl GenericClient, table: &str, size: &str) -> Result<f64> {
    let sql = format!(
        "SELECT CAST(coalesce(sum(bytes), 0) AS bigint), count(*) \
         FROM (SELECT min(key) AS first, max(key) AS last FROM {table}) AS keys, generate_series(0, $1 - 1) AS step (place) \
         CROSS JOIN LATERAL (SELECT {size} AS bytes FROM {table} \
             WHERE key >= first + CAST(div(last - first, $1) AS bigint) * place ORDER BY key LIMIT 1) AS sampled"
    );
    let Some(row) = raw_row(client, &sql, &[SAMPLED_ROWS.into()]).await? else { return Ok(0.0) };
    let (bytes, rows): (i64, i64) = (value(&row, 0, "sum")?, value(&row, 1, "count")?);
    Ok(if rows == 0 { 0.0 } else { bytes as f64 / rows as f64 })
}
