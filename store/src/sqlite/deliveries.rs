//! The tables `deliveries` and `attempts`, as the API shows them.

use super::columns::{Conditions, Id, Milliseconds, Word, columns, json};
use super::pages::Filling;
use crate::ledger::DeadDelivery;
use crate::rows::{AttemptRow, DeliveryFilter, DeliveryRow, DeliveryStatus, Page};
use anyhow::Result;
use hookmill_incident::Operation;
use hookmill_incident::id::row_key;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

columns! {
    DeliveryColumns {
        id: Id = "d.id",
        destination: String = "d.destination",
        notification: Option<String> = "d.notification",
        status: Word<DeliveryStatus> = "d.status",
        incident: Option<Id> = "i.id",
        operation: Option<Word<Operation>> = "a.operation",
        event: Option<Id> = "e.id",
        next_at: Option<i64> = "d.next_at",
        error: Option<String> = "d.error",
    }
}

columns! {
    AttemptColumns {
        number: u32,
        at: Milliseconds,
        duration_ms: i64,
        http_status: Option<u16>,
        code: Option<String>,
        error: Option<String>,
        answer: Option<String>,
    }
}

columns! {
    DeadColumns {
        key: i64 = "d.key",
        destination: String = "d.destination",
        subject: i64 = "d.subject",
    }
}

const FROM: &str = "FROM deliveries d LEFT JOIN audit a ON a.key = d.audit LEFT JOIN incidents i ON i.key = a.incident \
                    LEFT JOIN events e ON e.key = d.event";

fn conditions(filter: &DeliveryFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.one_of("d.destination", &filter.destination);
    conditions.one_of("d.notification", &filter.notification);
    conditions.one_of("d.status", &filter.status);
    conditions.one_of_ids("d.subject", "i.id", &filter.incident);
    conditions.one_of_ids("d.subject", "e.id", &filter.event);
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
    // Few of many deliveries are dead, which the planner does not know.
    let has_better = !(filter.incident.is_empty() && filter.event.is_empty() && filter.notification.is_empty());
    let is_only_dead = !has_better && filter.status == [DeliveryStatus::Dead];
    let from =
        if is_only_dead { FROM.replacen(" d ", " d INDEXED BY deliveries_dead_key ", 1) } else { FROM.to_owned() };
    if is_only_dead {
        conditions.add("d.status = 'dead'", []);
    }
    let (list, conditions_sql) = (DeliveryColumns::LIST, conditions.sql());
    let sql = format!("SELECT {list} {from} {conditions_sql} ORDER BY d.key DESC LIMIT {}", limit + 1);
    let mut query = connection.prepare(&sql)?;
    let mut rows = query.query(params_from_iter(conditions.values))?;
    let mut page = Filling::new(limit);
    while let Some(row) = rows.next()?
        && page.has_room()
    {
        let row = delivery_row(row)?;
        page.push(row_key(row.id), row, 0);
    }
    let mut page = page.finish();
    let sql = format!("SELECT {} FROM attempts WHERE delivery = ? ORDER BY number", AttemptColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    for row in &mut page.rows {
        row.attempts = query.query_map([row_key(row.id)], attempt_row)?.collect::<Result<_, _>>()?;
    }
    Ok(page)
}

fn delivery_row(row: &Row) -> rusqlite::Result<DeliveryRow> {
    let columns = DeliveryColumns::read(row)?;
    Ok(DeliveryRow {
        id: columns.id.0,
        destination: columns.destination,
        notification: columns.notification,
        status: columns.status.0,
        incident_id: columns.incident.map(|Id(id)| id),
        operation: columns.operation.map(|Word(operation)| operation),
        event_id: columns.event.map(|Id(id)| id),
        next_at: columns.next_at,
        error: columns.error,
        attempts: Vec::new(),
    })
}

fn attempt_row(row: &Row) -> rusqlite::Result<AttemptRow> {
    let AttemptColumns { number, at: Milliseconds(at), duration_ms, http_status, code, error, answer } =
        AttemptColumns::read(row)?;
    Ok(AttemptRow { number, at, duration_ms, http_status, code, error, answer })
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
    conditions.add("d.destination IN (SELECT value FROM json_each(?))", [Value::Text(json(destinations))]);
    let (list, conditions_sql) = (DeadColumns::LIST, conditions.sql());
    let sql = format!("SELECT {list} {FROM} {conditions_sql} ORDER BY d.key LIMIT {limit}");
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), |row| {
        let DeadColumns { key, destination, subject } = DeadColumns::read(row)?;
        Ok(DeadDelivery { key, destination, subject })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
