//! The table `counts`.

use super::columns::{Conditions, read};
use crate::columns::Columns;
use crate::columns::counts::{BucketColumns, joined};
use crate::ledger::Counts;
use crate::rows::{CountFilter, CountSeries};
use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

pub(super) fn add(connection: &Connection, counts: &Counts) -> Result<()> {
    let sql = "INSERT INTO counts (minute, kind, name, result, count) VALUES (?, ?, ?, ?, ?) \
               ON CONFLICT DO UPDATE SET count = count + excluded.count";
    let mut statement = connection.prepare_cached(sql)?;
    for (key, count) in &counts.0 {
        statement.execute(params![key.minute, key.kind.as_str(), key.name, key.result, *count as i64])?;
    }
    Ok(())
}

pub(super) fn remove(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    let sql = "DELETE FROM counts WHERE (minute, kind, name, result) IN \
               (SELECT minute, kind, name, result FROM counts WHERE minute < ? LIMIT ?)";
    Ok(connection.prepare_cached(sql)?.execute(params![before, limit as u64])?)
}

/// Returns the series of a filter, the series of each kind by name and result.
pub(super) fn series(connection: &Connection, filter: &CountFilter) -> Result<Vec<CountSeries>> {
    let mut conditions = Conditions::default();
    conditions.add("minute >= ? AND minute < ?", [filter.from, filter.to].map(Value::Integer));
    conditions.one_of("kind", &filter.kind);
    conditions.one_of("name", &filter.name);
    let (list, conditions_sql) = (BucketColumns::LIST, conditions.sql());
    let sql = format!(
        "SELECT {list} FROM (SELECT *, (minute - ?) / ? AS bucket FROM counts {conditions_sql}) \
         GROUP BY kind, name, result, bucket ORDER BY 1, 2, 3, 4"
    );
    let buckets = [filter.from, filter.step].map(Value::Integer);
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(buckets.into_iter().chain(conditions.values)), read)?;
    Ok(joined(rows.collect::<Result<Vec<_>, _>>()?))
}
