//! Counts of what happened, and of open incidents.

use crate::columns::Columns;
use crate::columns::counts::{BucketColumns, joined};
use crate::columns::open_incidents::{AgeColumns, OPEN, by_severity, first_keys};
use crate::postgres::query::{Conditions, Value, rows};
use crate::rows::{CountFilter, CountSeries, OpenIncidents};
use anyhow::Result;
use tokio_postgres::GenericClient;

/// Returns the series of a filter, the series of each kind by name and result.
pub(super) async fn series(client: &impl GenericClient, filter: &CountFilter) -> Result<Vec<CountSeries>> {
    let mut conditions = Conditions::default();
    conditions.add_with("minute >= ?", filter.from);
    conditions.add_with("minute < ?", filter.to);
    conditions.one_of("kind", &filter.kind);
    conditions.one_of("name", &filter.name);
    let (from, step) = (conditions.parameter(filter.from), conditions.parameter(filter.step));
    let (list, where_sql) = (BucketColumns::LIST, conditions.sql());
    let sql = format!(
        "SELECT {list} FROM (SELECT *, CAST(div(minute - {from}, {step}) AS bigint) AS bucket FROM counts {where_sql}) AS counted \
         GROUP BY kind, name, result, bucket ORDER BY 1, 2, 3, 4"
    );
    Ok(joined(rows::<BucketColumns>(client, &sql, &conditions.values).await?))
}

/// Returns the open incidents by severity and age, from an index.
pub(super) async fn open_incidents(client: &impl GenericClient, now_ms: i64) -> Result<Vec<OpenIncidents>> {
    let [hour, day, week] = first_keys(now_ms);
    let sql = "SELECT severity, count(*) FILTER (WHERE key >= $2), count(*) FILTER (WHERE key >= $3), \
               count(*) FILTER (WHERE key >= $4), count(*) \
               FROM incidents WHERE NOT deleted AND status = ANY($1) GROUP BY severity";
    let values = [Value::texts(OPEN), hour.into(), day.into(), week.into()];
    Ok(by_severity(rows::<AgeColumns>(client, sql, &values).await?))
}
