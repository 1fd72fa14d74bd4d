//! Lists of incidents by filters and in an order.
//!
//! The keys of a page come first, from indexes if the planner finds that better, and the records of these incidents after
//! that, some at a time.

use super::incidents;
use super::search_conditions::{add_after, conditions, order_by};
use crate::columns::value;
use crate::pages::Filling;
use crate::postgres::query::{cell, raw_rows};
use crate::rows::{ALL_COUNTED_MAX, BoundedCount, Class, IncidentFilter, IncidentRow, Listed, Order, Page, Position};
use anyhow::Result;
use tokio_postgres::{GenericClient, Row};

/// Incidents whose records are in memory together, beside those of the page.
const READ_TOGETHER: usize = 32;

/// Returns the incidents after a position.
pub(super) async fn list(
    client: &impl GenericClient,
    filter: &IncidentFilter,
    order: &Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<Page<Listed<IncidentRow>, Position>> {
    let mut page = Filling::new(limit);
    let places = places(client, filter, order, after, limit).await?;
    for block in places.chunks(READ_TOGETHER) {
        let keys: Vec<i64> = block.iter().map(|(key, _)| *key).collect();
        let found = incidents::of_keys(client, &keys).await?;
        for (key, position) in block {
            if !page.has_room() {
                return Ok(page.finish());
            }
            if let Some(row) = found.get(key) {
                page.push(position.clone(), row.listed()?, row.bytes()?);
            }
        }
    }
    Ok(page.finish())
}

/// Returns the keys and the positions of the incidents of a page, and of one more.
async fn places(
    client: &impl GenericClient,
    filter: &IncidentFilter,
    order: &Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<Vec<(i64, Position)>> {
    let mut conditions = conditions(client, filter).await?;
    if let Some(position) = after {
        add_after(&mut conditions, order, position);
    }
    let (limit, where_sql, order_sql) = (conditions.parameter(limit + 1), conditions.sql(), order_by(order));
    let columns = "i.key, i.status, i.severity, i.source, i.updated_at";
    let sql = format!("SELECT {columns} FROM incidents i {where_sql} {order_sql} LIMIT {limit}");
    let rows = raw_rows(client, &sql, &conditions.values).await?;
    let place = |row: &Row| {
        let (key, updated_at) = (value(row, 0, "key")?, value(row, 4, "updated_at")?);
        let class = Class {
            status: value(row, 1, "status")?,
            severity: value(row, 2, "severity")?,
            source: value(row, 3, "source")?,
        };
        Ok((key, class.position(order, (updated_at, key))))
    };
    rows.iter().map(place).collect()
}

/// Counts the incidents that pass a filter, up to a number.
pub(super) async fn count(client: &impl GenericClient, filter: &IncidentFilter, max: usize) -> Result<BoundedCount> {
    let max = if *filter == IncidentFilter::default() { ALL_COUNTED_MAX } else { max };
    let mut conditions = conditions(client, filter).await?;
    let (limit, where_sql) = (conditions.parameter(max + 1), conditions.sql());
    let sql = format!("SELECT count(*) FROM (SELECT FROM incidents i {where_sql} LIMIT {limit}) AS found");
    Ok(BoundedCount::up_to(max, cell(client, &sql, &conditions.values).await?))
}
