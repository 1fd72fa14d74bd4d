//! Reads of the tables `events`, `repeats` and `earlier_events`.

use super::stored_days;
use crate::Dedup;
use crate::columns::events::{EventColumns, list_with_body, list_with_time, with_body, with_time, without_body};
use crate::columns::repeats::KnownColumns;
use crate::columns::{Columns, Id, Ids, value};
use crate::ledger::{KnownEvent, RepeatKeyRow, is_repeat};
use crate::pages::{Filling, readable};
use crate::postgres::columns::size;
use crate::postgres::query::{Conditions, Value, cell, column, keys_of, raw_row, raw_rows};
use crate::rows::{BoundedCount, EventFilter, EventRow, Listed, Page, StoredKind};
use anyhow::Result;
use hookmill_incident::id::{row_key, row_key_at};
use hookmill_incident::{Event, EventStatus};
use std::collections::HashMap;
use tokio_postgres::{GenericClient, Row};
use tracing::warn;
use uuid::Uuid;

/// An event gets its id a moment before its time of arrival. If the clock is set forward by more in between, a list of
/// events after a time does not have the event.
const ID_AHEAD_MS: i64 = 60_000;

/// Returns an event with its body, or why it is unreadable.
pub(super) async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<Listed<EventRow>>> {
    let sql = format!("SELECT {} FROM events WHERE key = $1 AND id = $2", list_with_body());
    let found = raw_row(client, &sql, &[row_key(id).into(), id.into()]).await?;
    Ok(found.map(|row| readable(id, with_body(&row))))
}

/// Returns events without their bodies, in the order of the ids. Those that are not there any more are left out.
pub(super) async fn with_ids(client: &impl GenericClient, ids: &[Uuid]) -> Result<Vec<(Uuid, Listed<EventRow>)>> {
    let sql = format!("SELECT {} FROM events WHERE key = ANY($1) AND id = ANY($2)", list_with_time("stored_at"));
    let found = by_id(raw_rows(client, &sql, &[keys_of(ids), Value::ids(ids)]).await?)?;
    let row = |id: &Uuid| found.get(id).map(|row| (*id, readable(*id, with_time(row))));
    Ok(ids.iter().filter_map(row).collect())
}

/// Returns the events with these keys, with their bodies.
pub(super) async fn of_keys(client: &impl GenericClient, keys: Vec<i64>) -> Result<HashMap<i64, Result<EventRow>>> {
    let sql = format!("SELECT {} FROM events WHERE key = ANY($1)", list_with_body());
    let found = by_id(raw_rows(client, &sql, &[keys.into()]).await?)?;
    Ok(found.into_iter().map(|(id, row)| (row_key(id), with_body(&row))).collect())
}

/// Returns rows by the id in their first column.
pub(super) fn by_id(rows: Vec<Row>) -> Result<HashMap<Uuid, Row>> {
    rows.into_iter().map(|row| Ok((value::<Id>(&row, 0, "id")?.0, row))).collect()
}

/// Returns events, the newest first.
pub(super) async fn list(
    client: &impl GenericClient,
    filter: &EventFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<Listed<EventRow>>> {
    let mut conditions = conditions(client, filter).await?;
    conditions.before("key", before);
    let limit_parameter = conditions.parameter(limit + 1);
    let (list, where_sql) = (list_with_time("stored_at"), conditions.sql());
    let sql = format!("SELECT {list} FROM events {where_sql} ORDER BY key DESC LIMIT {limit_parameter}");
    let mut page = Filling::new(limit);
    for row in raw_rows(client, &sql, &conditions.values).await? {
        if !page.has_room() {
            break;
        }
        let Id(id) = value(&row, 0, "id")?;
        page.push(row_key(id), readable(id, with_time(&row)), size(&row)?);
    }
    Ok(page.finish())
}

/// Counts the events that pass a filter, up to a number.
pub(super) async fn count(client: &impl GenericClient, filter: &EventFilter, max: usize) -> Result<BoundedCount> {
    if filter.is_empty() {
        let count = stored_days::rows(client, StoredKind::Events).await?;
        return Ok(BoundedCount { count, has_more: false });
    }
    let mut conditions = conditions(client, filter).await?;
    let (limit, where_sql) = (conditions.parameter(max + 1), conditions.sql());
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM events {where_sql} LIMIT {limit}) AS found");
    Ok(BoundedCount::up_to(max, cell(client, &sql, &conditions.values).await?))
}

async fn conditions(client: &impl GenericClient, filter: &EventFilter) -> Result<Conditions> {
    let mut conditions = Conditions::default();
    conditions.one_of("source", &filter.source);
    conditions.one_of("status", &filter.status);
    conditions.one_of("code", &filter.code);
    if !filter.incident.is_empty() {
        conditions.add_with("key = ANY(?)", of_incidents(client, &filter.incident).await?);
        let is_named = "EXISTS (SELECT 1 FROM unnest(?) AS named (id) WHERE strpos(incidents, named.id) > 0)";
        conditions.add_with(is_named, Value::texts(&filter.incident));
    }
    conditions.one_of_ids("key", "id", &filter.id);
    if let Some(time) = filter.created_after {
        let time = time.as_millisecond();
        conditions.add_with("received_at > ?", time);
        conditions.add_with("key >= ?", row_key_at(time.saturating_sub(ID_AHEAD_MS)));
    }
    Ok(conditions)
}

/// Returns the keys of all events of some incidents.
async fn of_incidents(client: &impl GenericClient, incidents: &[Uuid]) -> Result<Vec<i64>> {
    let sql = "SELECT event_ids FROM incidents WHERE key = ANY($1) AND id = ANY($2)";
    let newest: Vec<Ids> = column(client, sql, &[keys_of(incidents), Value::ids(incidents)]).await?;
    let sql = "SELECT event FROM earlier_events WHERE incident = ANY($1)";
    let mut keys: Vec<i64> = column(client, sql, &[keys_of(incidents)]).await?;
    keys.extend(newest.into_iter().flat_map(|Ids(ids)| ids).map(row_key));
    Ok(keys)
}

/// Returns events with one status, without their bodies, the oldest first. Those that cannot be read are passed over.
pub(super) async fn with_status(
    client: &impl GenericClient,
    status: EventStatus,
    mut after: i64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let list = EventColumns::LIST;
    let sql = format!("SELECT {list} FROM events WHERE status = $1 AND key > $2 ORDER BY key LIMIT $3");
    let mut readable = Vec::new();
    loop {
        let wanted = limit - readable.len();
        let rows = raw_rows(client, &sql, &[status.as_str().into(), after.into(), wanted.into()]).await?;
        for row in &rows {
            after = row_key(value::<Id>(row, 0, "id")?.0);
            match without_body(row) {
                Ok(row) => readable.push(row),
                Err(error) => warn!("an event cannot be read and is passed over: {error:#}"),
            }
        }
        if rows.len() < wanted || readable.len() == limit {
            return Ok(readable);
        }
    }
}

pub(super) async fn count_status(client: &impl GenericClient, status: EventStatus) -> Result<i64> {
    cell(client, "SELECT count(*) FROM events WHERE status = $1", &[status.as_str().into()]).await
}

/// Returns the ids of the newest events of some sources, shared evenly between the sources.
pub(super) async fn newest_ids(client: &impl GenericClient, sources: &[String], limit: usize) -> Result<Vec<Uuid>> {
    let sql = "SELECT id FROM (SELECT DISTINCT name FROM unnest($1) AS name) AS sources CROSS JOIN LATERAL \
               (SELECT id, key, row_number() OVER (ORDER BY key DESC) AS place FROM events WHERE source = name \
               ORDER BY key DESC LIMIT $2) AS newest ORDER BY place, key DESC LIMIT $2";
    let ids: Vec<Id> = column(client, sql, &[Value::texts(sources), limit.into()]).await?;
    Ok(ids.into_iter().map(|Id(id)| id).collect())
}

/// Returns the traces of the events whose ids are ids of requests. Requests of the API have none.
pub(super) async fn traceparents(client: &impl GenericClient, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    let sql = "SELECT id, traceparent FROM events WHERE key = ANY($1) AND id = ANY($2) AND traceparent IS NOT NULL";
    let found = raw_rows(client, sql, &[keys_of(ids), Value::ids(ids)]).await?;
    found.iter().map(|row| Ok((value::<Id>(row, 0, "id")?.0, value(row, 1, "traceparent")?))).collect()
}

/// Returns whether an event would be a repeat.
pub(super) async fn is_known(client: &impl GenericClient, event: &Event, dedup: Dedup) -> Result<bool> {
    let (mut times, mut digests) = (Vec::new(), Vec::new());
    is_repeat(event, dedup, |key| {
        times.push(key.at);
        digests.push(key.digest.to_vec());
        Ok(None)
    })?;
    let list = KnownColumns::LIST;
    let sql = format!("SELECT {list}, at, digest FROM repeats WHERE at = ANY($1) AND source = $2 AND digest = ANY($3)");
    let rows = raw_rows(client, &sql, &[times.into(), (&*event.source).into(), Value::Blobs(digests)]).await?;
    let known = |row: &Row| {
        let key: (i64, [u8; 32]) =
            (value(row, KnownColumns::COUNT, "at")?, value(row, KnownColumns::COUNT + 1, "digest")?);
        Ok((key, KnownColumns::read(row)?.into()))
    };
    let known: HashMap<_, KnownEvent> = rows.iter().map(known).collect::<Result<_>>()?;
    is_repeat(event, dedup, |key: &RepeatKeyRow| Ok(known.get(&(key.at, *key.digest)).copied()))
}
