//! The tables `deliveries` and `attempts`, as the API shows them.

use super::columns::{Conditions, read, read_into};
use crate::columns::deliveries::{AttemptColumns, DeadColumns, DeliveryColumns, FROM, GroupColumns};
use crate::columns::{Columns, json};
use crate::ledger::DeadDelivery;
use crate::pages::Filling;
use crate::rows::{DeadLetters, DeliveryFilter, DeliveryRow, DeliveryStatus, Page};
use anyhow::Result;
use hookmill_incident::id::{row_key, row_key_at};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use uuid::Uuid;

fn conditions(filter: &DeliveryFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.one_of("d.destination", &filter.destination);
    conditions.one_of("d.notification", &filter.notification);
    conditions.one_of("d.status", &filter.status);
    conditions.one_of_ids("d.subject", "i.id", &filter.incident);
    conditions.one_of_ids("d.subject", "e.id", &filter.event);
    conditions.one_of("d.error", &filter.error);
    if let Some(time) = filter.created_after {
        conditions.add("d.key >= ?", [Value::Integer(row_key_at(time.as_millisecond() + 1))]);
    }
    conditions
}

pub(super) fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<DeliveryRow>> {
    let mut conditions = conditions(filter);
    conditions.before("d.key", before);
    let index = dead_index(filter).filter(|_| filter.status == [DeliveryStatus::Dead]);
    if index.is_some() {
        conditions.add("d.status = 'dead'", []);
    }
    let (list, from, conditions_sql) = (DeliveryColumns::LIST, from(index), conditions.sql());
    let sql = format!("SELECT {list} {from} {conditions_sql} ORDER BY d.key DESC LIMIT {}", limit + 1);
    let mut query = connection.prepare(&sql)?;
    let mut rows = query.query(params_from_iter(conditions.values))?;
    let mut page = Filling::new(limit);
    while let Some(row) = rows.next()?
        && page.has_room()
    {
        let row = read::<DeliveryColumns>(row)?.into_row(Vec::new());
        page.push(row_key(row.id), row, 0);
    }
    let mut page = page.finish();
    page.rows.iter_mut().try_for_each(|row| read_attempts(connection, row))?;
    Ok(page)
}

/// Returns the index for a list of dead letters only: few of many deliveries are dead, which the planner does not know. There is
/// none if another filter finds few by itself.
fn dead_index(filter: &DeliveryFilter) -> Option<&'static str> {
    let has_better = !(filter.incident.is_empty() && filter.event.is_empty() && filter.notification.is_empty());
    // In each of them the rows have the order of their keys.
    let index = match (filter.destination.len(), filter.error.len()) {
        (1, 1) => "deliveries_dead_cause",
        (1, _) => "deliveries_dead",
        _ => "deliveries_dead_key",
    };
    (!has_better).then_some(index)
}

fn from(index: Option<&str>) -> String {
    let indexed = |index: &str| FROM.replacen(" d ", &format!(" d INDEXED BY {index} "), 1);
    index.map_or_else(|| FROM.to_owned(), indexed)
}

pub(super) fn find(connection: &Connection, id: Uuid) -> Result<Option<DeliveryRow>> {
    let sql = format!("SELECT {} {FROM} WHERE d.key = ? AND d.id = ?", DeliveryColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    let found = query.query_row(params![row_key(id), id.as_bytes()], read::<DeliveryColumns>).optional()?;
    let mut row = found.map(|row| row.into_row(Vec::new()));
    row.iter_mut().try_for_each(|row| read_attempts(connection, row))?;
    Ok(row)
}

fn read_attempts(connection: &Connection, row: &mut DeliveryRow) -> Result<()> {
    let sql = format!("SELECT {} FROM attempts WHERE delivery = ? ORDER BY number", AttemptColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    row.attempts = query.query_map([row_key(row.id)], read_into::<AttemptColumns, _>)?.collect::<Result<_, _>>()?;
    Ok(())
}

/// Returns the groups of dead letters, the largest first.
pub(super) fn dead_letters(connection: &Connection, destinations: &[String], limit: usize) -> Result<Vec<DeadLetters>> {
    let mut conditions = Conditions::default();
    conditions.add("status = 'dead'", []);
    conditions.one_of("destination", destinations);
    let (list, conditions_sql) = (GroupColumns::LIST, conditions.sql());
    let sql = format!(
        "SELECT {list} FROM (SELECT destination, error, count(*) AS count, min(key) AS first, max(key) AS last \
             FROM deliveries INDEXED BY deliveries_dead_cause {conditions_sql} GROUP BY destination, error \
             ORDER BY count DESC, destination, error LIMIT {limit})"
    );
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), read_into::<GroupColumns, _>)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn dead(
    connection: &Connection,
    filter: &DeliveryFilter,
    destinations: &[&str],
    after: i64,
    limit: usize,
) -> Result<Vec<DeadDelivery>> {
    let mut conditions = conditions(filter);
    conditions.add("d.status = 'dead' AND d.key > ?", [Value::Integer(after)]);
    // The plus keeps the planner from looking for each destination by itself.
    conditions.add("+d.destination IN (SELECT value FROM json_each(?))", [Value::Text(json(destinations))]);
    let (list, from, conditions_sql) = (DeadColumns::LIST, from(dead_index(filter)), conditions.sql());
    let sql = format!("SELECT {list} {from} {conditions_sql} ORDER BY d.key LIMIT {limit}");
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), read_into::<DeadColumns, _>)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
