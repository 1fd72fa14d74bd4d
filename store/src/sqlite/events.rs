//! The table `events`.

use super::columns::{Conditions, read_into, unreadable};
use super::key_lists::{IndexRange, KeyList, Scan, Time, combinations};
use super::pages::{listed, size};
use super::stored_days;
use super::walk::Walk;
use crate::columns::events::{self, EventColumns, StateColumns};
use crate::columns::{Columns, Id, Ids, json, value};
use crate::ledger::{EncodedEvent, NewEvent};
use crate::pages::Filling;
use crate::rows::{
    BoundedCount, Class, EventFilter, EventRow, Listed, Order, Page, QuarantineCause, SortValue, StoredKind,
};
use anyhow::Result;
use hookmill_incident::id::{row_key, row_key_at};
use hookmill_incident::{EventState, EventStatus, FailureCode, Mapped, RepeatKey};
use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;
use tracing::warn;
use uuid::Uuid;

/// The newest events among which those of some sources are searched.
const EVENTS_SEARCHED: u64 = 100_000;
/// The time at which an event was written, from an index: a row has it behind the body.
const STORED_AT: &str = "(SELECT stored_at FROM events AS written INDEXED BY events_class \
                         WHERE written.status = events.status AND written.source = events.source AND written.key = events.key)";
/// An event gets its id a moment before its time of arrival. If the clock is set forward by more in between, a list of
/// events after a time does not have the event.
const ID_AHEAD_MS: i64 = 60_000;

pub(super) fn state(connection: &Connection, event: i64) -> Result<Option<EventState>> {
    let sql = format!("SELECT {} FROM events WHERE key = ?", StateColumns::LIST);
    Ok(connection.prepare_cached(&sql)?.query_row([event], read_into::<StateColumns, _>).optional()?)
}

pub(super) fn status(connection: &Connection, id: Uuid) -> Result<Option<EventStatus>> {
    let mut query = connection.prepare_cached("SELECT status FROM events WHERE key = ? AND id = ?")?;
    let word: Option<String> = query.query_row(params![row_key(id), id.as_bytes()], |row| row.get(0)).optional()?;
    Ok(word.and_then(|word| word.parse().ok()))
}

/// Returns the trace of the event whose id is the id of a request. Requests of the API have none.
pub(super) fn traceparent(connection: &Connection, request_id: &str) -> Result<Option<String>> {
    let Ok(id) = request_id.parse::<Uuid>() else { return Ok(None) };
    let mut query = connection.prepare_cached("SELECT traceparent FROM events WHERE key = ? AND id = ?")?;
    let found = query.query_row(params![row_key(id), id.as_bytes()], |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

pub(super) fn put(connection: &Connection, new: &NewEvent) -> Result<()> {
    let NewEvent { mapped, state, attempts, stored_at, encoded } = new;
    let event = &mapped.event;
    let sql = "INSERT INTO events (key, id, source, status, received_at, attempts, code, message, tried, incidents, \
               content_type, headers, context, signed_at, digest, body, traceparent, stored_at, journey, log, \
               failure_group) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let signed_at = match event.repeat_key {
        RepeatKey::SignedAt(ms) => Some(ms),
        RepeatKey::UnsignedDeliveryId { signed_at, .. } => signed_at,
        RepeatKey::DeliveryId(_) | RepeatKey::Body => None,
    };
    connection.prepare_cached(sql)?.execute(params![
        row_key(event.id),
        event.id.as_bytes(),
        &*event.source,
        state.status.as_str(),
        event.received_at,
        attempts,
        state.code.map(FailureCode::as_str),
        state.message,
        encoded.tried,
        json(&state.incidents),
        event.content_type,
        encoded.headers,
        encoded.context,
        signed_at,
        event.digest,
        &*event.body,
        event.traceparent,
        stored_at,
        encoded.journey,
        encoded.log,
        QuarantineCause::group_of(state, &mapped.tried),
    ])?;
    Ok(())
}

pub(super) fn update(connection: &Connection, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()> {
    let sql = "UPDATE events SET status = ?, attempts = ?, code = ?, message = ?, tried = ?, incidents = ?, journey = ?, \
               log = ?, failure_group = ? WHERE key = ?";
    let EncodedEvent { tried, journey, log, .. } = EncodedEvent::of(mapped);
    connection.prepare_cached(sql)?.execute(params![
        state.status.as_str(),
        attempts,
        state.code.map(FailureCode::as_str),
        state.message,
        tried,
        json(&state.incidents),
        journey,
        log,
        QuarantineCause::group_of(state, &mapped.tried),
        row_key(state.id),
    ])?;
    Ok(())
}

pub(super) fn discard(connection: &Connection, id: Uuid, reason: Option<&str>) -> Result<()> {
    let sql = "UPDATE events SET status = ?, discard_reason = ?, failure_group = NULL WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![EventStatus::Discarded.as_str(), reason, row_key(id)])?;
    Ok(())
}

/// Returns an event with its body, or why it is unreadable.
pub(super) fn find(connection: &Connection, id: Uuid) -> Result<Option<Listed<EventRow>>> {
    let sql = format!("SELECT {} FROM events WHERE key = ? AND id = ?", events::list_with_body());
    let read = |row: &Row| Ok(events::with_body(row));
    let found = connection.prepare_cached(&sql)?.query_row(params![row_key(id), id.as_bytes()], read).optional()?;
    found.map(|row| listed(id, row)).transpose()
}

/// Returns events without their bodies, in the order of the ids. Those that are not there any more are left out.
pub(super) fn with_ids(connection: &Connection, ids: &[Uuid]) -> Result<Vec<(Uuid, Listed<EventRow>)>> {
    let sql = format!("SELECT {} FROM events WHERE key = ? AND id = ?", events::list_with_time(STORED_AT));
    let mut query = connection.prepare_cached(&sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for &id in ids {
        let row = query.query_row(params![row_key(id), id.as_bytes()], |row| Ok(events::with_time(row))).optional()?;
        if let Some(row) = row {
            found.push((id, listed(id, row)?));
        }
    }
    Ok(found)
}

/// Returns the event to which another row points.
pub(super) fn of_key(connection: &Connection, event: i64) -> Result<EventRow> {
    let sql = format!("SELECT {} FROM events WHERE key = ?", events::list_with_body());
    let read = |row: &Row| events::with_body(row).map_err(unreadable);
    Ok(connection.prepare_cached(&sql)?.query_row([event], read)?)
}

/// Returns events, the newest first. The rows that pass one condition are read from an index, and the others are checked.
pub(super) fn list(
    connection: &Connection,
    filter: &EventFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<Listed<EventRow>>> {
    let mut find = passing(connection, filter, &format!("{}, key", events::list_with_time(STORED_AT)))?;
    let order = Order::default();
    let before = before.and_then(|key| order.position(vec![SortValue::Number(key)]));
    let mut walk = Walk::new(connection, &order, scan(filter), before.as_ref(), lists(connection, filter)?);
    let mut page = Filling::new(limit);
    while let Some(((_, key), _)) = walk.next()? {
        find.raw_bind_parameter(1, key)?;
        let mut rows = find.raw_query();
        if let Some(row) = rows.next()? {
            if !page.has_room() {
                break;
            }
            let Id(id) = value(row, 0, "id")?;
            page.push(key, listed(id, events::with_time(row))?, size(row)?);
        }
    }
    Ok(page.finish())
}

/// Counts the events that pass a filter, up to a number.
pub(super) fn count(connection: &Connection, filter: &EventFilter, max: usize) -> Result<BoundedCount> {
    if filter.is_empty() {
        return Ok(BoundedCount { count: stored_days::rows(connection, StoredKind::Events)?, has_more: false });
    }
    let mut find = passing(connection, filter, "1")?;
    let order = Order::default();
    Walk::new(connection, &order, scan(filter), None, lists(connection, filter)?).count(max, |key| {
        find.raw_bind_parameter(1, key)?;
        Ok(find.raw_query().next()?.is_some())
    })
}

/// Returns the statement that reads columns of an event by its key, the first parameter, if the event passes a filter.
fn passing<'c>(connection: &'c Connection, filter: &EventFilter, columns: &str) -> Result<CachedStatement<'c>> {
    let mut conditions = Conditions::default();
    conditions.add("key = ?", []);
    conditions.one_of("source", &filter.source);
    conditions.one_of("status", &filter.status);
    conditions.one_of("code", &filter.code);
    if !filter.incident.is_empty() {
        let ids = filter.incident.iter().map(|id| Value::Text(id.to_string()));
        let any = vec!["instr(incidents, ?) > 0"; filter.incident.len()].join(" OR ");
        conditions.add(&format!("({any})"), ids);
    }
    conditions.one_of_ids("key", "id", &filter.id);
    if let Some(time) = filter.created_after {
        conditions.add("received_at > ?", [Value::Integer(time.as_millisecond())]);
    }
    let mut find = connection.prepare_cached(&format!("SELECT {columns} FROM events {}", conditions.sql()))?;
    for (index, value) in conditions.values.iter().enumerate() {
        find.raw_bind_parameter(index + 2, value)?;
    }
    Ok(find)
}

fn scan(filter: &EventFilter) -> Scan {
    let first_at = |time: Timestamp| row_key_at(time.as_millisecond().saturating_sub(ID_AHEAD_MS));
    let first = filter.created_after.map_or(0, first_at);
    Scan { keys: first..=i64::MAX, keys_descend: true, times_descend: true }
}

/// Returns lists that together have all events that pass.
fn lists(connection: &Connection, filter: &EventFilter) -> Result<Vec<(Class, KeyList)>> {
    let lists = key_lists(connection, filter)?;
    Ok(lists.into_iter().map(|list| (Class::default(), list)).collect())
}

fn key_lists(connection: &Connection, filter: &EventFilter) -> Result<Vec<KeyList>> {
    let list = |table, condition, values| {
        KeyList::Index(IndexRange { table, condition, values, key: "key", time: Time::Absent })
    };
    if !filter.id.is_empty() {
        let keys: BTreeSet<i64> = filter.id.iter().copied().map(row_key).collect();
        return Ok(vec![KeyList::Keys(keys.into_iter().collect())]);
    }
    if !filter.incident.is_empty() {
        return Ok(vec![KeyList::Keys(of_incidents(connection, &filter.incident)?)]);
    }
    if filter.code.is_empty() && filter.source.is_empty() && filter.status.is_empty() {
        return Ok(vec![list("events NOT INDEXED", "1", Vec::new())]);
    }
    let status = ("status", filter.status.iter().map(ToString::to_string).collect());
    let source = ("source", filter.source.iter().cloned().collect());
    let code = ("code", filter.code.iter().map(ToString::to_string).collect());
    let (index, condition, columns) = match filter.code.is_empty() {
        true => ("events INDEXED BY events_class", "status = ? AND source = ?", vec![status, source]),
        false => {
            ("events INDEXED BY events_code", "code = ? AND status = ? AND source = ?", vec![code, status, source])
        }
    };
    let combinations = combinations(connection, index, "1", &columns)?.into_iter();
    Ok(combinations.map(|words| list(index, condition, words.into_iter().map(Value::Text).collect())).collect())
}

/// Returns the keys of all events of some incidents, sorted.
fn of_incidents(connection: &Connection, incidents: &[Uuid]) -> Result<Vec<i64>> {
    let mut newest = connection.prepare_cached("SELECT event_ids FROM incidents WHERE key = ? AND id = ?")?;
    let mut earlier = connection.prepare_cached("SELECT event FROM earlier_events WHERE incident = ?")?;
    let mut keys = Vec::new();
    for id in incidents {
        let found = newest.query_row(params![row_key(*id), id.as_bytes()], |row| Ok(value(row, 0, "event_ids")));
        let Some(Ids(ids)) = found.optional()?.transpose()? else { continue };
        keys.extend(ids.into_iter().map(row_key));
        for key in earlier.query_map([row_key(*id)], |row| row.get(0))? {
            keys.push(key?);
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

pub(super) fn with_status(
    connection: &Connection,
    status: EventStatus,
    after: i64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let list = EventColumns::LIST;
    let from = format!("events INDEXED BY events_{status} WHERE status = '{status}'");
    let sql = format!("SELECT {list} FROM {from} AND key > ? ORDER BY key");
    let mut query = connection.prepare_cached(&sql)?;
    let mut rows = query.query([after])?;
    let mut readable = Vec::new();
    while readable.len() < limit
        && let Some(row) = rows.next()?
    {
        match events::without_body(row) {
            Ok(row) => readable.push(row),
            Err(error) => warn!("an event cannot be read and is passed over: {error:#}"),
        }
    }
    Ok(readable)
}

pub(super) fn count_status(connection: &Connection, status: EventStatus) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM events WHERE status = '{status}'");
    Ok(connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
}

pub(super) fn newest_ids(connection: &Connection, sources: &[String], limit: usize) -> Result<Vec<Uuid>> {
    let sql = "SELECT id FROM (SELECT id, key, row_number() OVER (PARTITION BY source ORDER BY key DESC) AS place \
               FROM (SELECT id, key, source FROM events ORDER BY key DESC LIMIT ?1) \
               WHERE source IN (SELECT value FROM json_each(?2))) ORDER BY place, key DESC LIMIT ?3";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(params![EVENTS_SEARCHED, json(sources), limit as u64])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        let Id(id) = value(row, 0, "id")?;
        ids.push(id);
    }
    Ok(ids)
}
