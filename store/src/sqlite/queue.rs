//! The table `deliveries` as a queue for each destination.

use super::columns::{read, read_into};
use super::conditions::is_of_database;
use super::{audit, events};
use crate::columns::Columns;
use crate::columns::deliveries::{
    DueColumns, FillingDue, FoundColumns, PurgeColumns, RestColumns, of_event, of_notice,
};
use crate::ledger::{Delivered, NewDelivery, Subject};
use crate::rows::{Attempt, DeliveryStatus, DueDeliveries, DueDelivery, Message, QueueCounts, QueueRead};
use anyhow::Result;
use hookmill_incident::id::{row_key, row_key_ms};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// Makes pending deliveries wait for the earlier ones of the same subject.
const ORDER_PENDING: &str = "UPDATE deliveries SET next_at = NULL WHERE destination = ? AND status = 'pending' \
    AND next_at IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries earlier WHERE earlier.destination = deliveries.destination \
        AND earlier.subject = deliveries.subject AND earlier.status = 'pending' AND earlier.key < deliveries.key)";
/// Makes waiting deliveries due at the time at which they were added; their key contains this time.
const UNORDER_PENDING: &str =
    "UPDATE deliveries SET next_at = key >> 15 WHERE destination = ? AND status = 'pending' AND next_at IS NULL";

pub(super) fn add(connection: &Connection, new: &NewDelivery) -> Result<()> {
    let key = row_key(new.id);
    let (audit, event, notice) = match new.subject {
        Subject::Change { audit, .. } => (Some(audit), None, None),
        Subject::Event { event, .. } => (None, Some(event), None),
        Subject::Notice(text) => (None, None, Some(text)),
    };
    let sql = "INSERT INTO deliveries (key, id, destination, status, attempts, next_at, error, subject, audit, event, notice, \
               notification, step, traceparent) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        key,
        new.id.as_bytes(),
        new.destination,
        new.status.as_str(),
        new.next_at,
        new.error,
        new.subject.key(key),
        audit,
        event,
        notice,
        new.step.map(|(name, _)| name),
        new.step.map(|(_, step)| step as u64),
        new.subject.traceparent(),
    ])?;
    Ok(())
}

pub(super) fn has_pending(connection: &Connection, destination: &str, subject: i64, before: i64) -> Result<bool> {
    let sql =
        "SELECT 1 FROM deliveries WHERE destination = ? AND subject = ? AND status = 'pending' AND key < ? LIMIT 1";
    Ok(connection.prepare_cached(sql)?.exists(params![destination, subject, before])?)
}

pub(super) fn find(connection: &Connection, id: Uuid) -> Result<Option<(String, DeliveryStatus)>> {
    let sql = format!("SELECT {} FROM deliveries WHERE key = ? AND id = ?", FoundColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    Ok(query.query_row(params![row_key(id), id.as_bytes()], read_into::<FoundColumns, _>).optional()?)
}

pub(super) fn set_pending(connection: &Connection, delivery: i64, next_at: Option<i64>) -> Result<()> {
    let sql = "UPDATE deliveries SET status = 'pending', next_at = ? WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![next_at, delivery])?;
    Ok(())
}

pub(super) fn add_attempt(
    connection: &Connection,
    delivery: i64,
    attempt: &Attempt,
    status: DeliveryStatus,
    next_at: i64,
) -> Result<bool> {
    let sql = "UPDATE deliveries SET status = ?, attempts = attempts + 1, next_at = ?, error = ? WHERE key = ?";
    let row = params![status.as_str(), next_at, attempt.error, delivery];
    if connection.prepare_cached(sql)?.execute(row)? == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO attempts (delivery, number, at, duration_ms, http_status, code, error, answer) \
               SELECT key, attempts, ?, ?, ?, ?, ?, ? FROM deliveries WHERE key = ?";
    connection.prepare_cached(sql)?.execute(params![
        attempt.at,
        attempt.duration_ms,
        attempt.http_status,
        attempt.code,
        attempt.error,
        attempt.answer,
        delivery,
    ])?;
    Ok(true)
}

pub(super) fn release_next(connection: &Connection, destination: &str, delivery: i64, at: i64) -> Result<()> {
    let sql = "UPDATE deliveries SET next_at = ? WHERE next_at IS NULL AND key = ( \
                   SELECT min(key) FROM deliveries WHERE destination = ? AND status = 'pending' \
                   AND subject = (SELECT subject FROM deliveries WHERE key = ?))";
    connection.prepare_cached(sql)?.execute(params![at, destination, delivery])?;
    Ok(())
}

pub(super) fn order_pending(connection: &Connection, destination: &str, is_ordered: bool) -> Result<()> {
    connection.execute(if is_ordered { ORDER_PENDING } else { UNORDER_PENDING }, [destination])?;
    Ok(())
}

pub(super) fn pull_forward(
    connection: &Connection,
    destination: &str,
    now: i64,
    latest: i64,
    limit: usize,
) -> Result<usize> {
    let sql = "UPDATE deliveries SET next_at = ?2 WHERE key IN ( \
                   SELECT key FROM deliveries d WHERE destination = ?1 AND status = 'pending' AND next_at > ?2 \
                   AND (attempts = 0 OR next_at > ?3 OR EXISTS (SELECT 1 FROM attempts a \
                       WHERE a.delivery = d.key AND a.number = d.attempts AND a.at > ?2)) \
                   ORDER BY next_at LIMIT ?4)";
    Ok(connection.prepare_cached(sql)?.execute(params![destination, now, latest, limit as u64])?)
}

pub(super) fn kill_pending(connection: &Connection, destination: &str, error: &str, limit: usize) -> Result<usize> {
    // First the deliveries without a time, so that none is left waiting for a dead one.
    let sql = "UPDATE deliveries SET status = 'dead', error = ? WHERE key IN ( \
                   SELECT key FROM deliveries WHERE destination = ? AND status = 'pending' \
                   ORDER BY next_at LIMIT ?)";
    Ok(connection.prepare_cached(sql)?.execute(params![error, destination, limit as u64])?)
}

/// Removes deliveries with their attempts.
pub(super) fn remove(connection: &Connection, deliveries: &[i64]) -> Result<()> {
    for key in deliveries {
        connection.prepare_cached("DELETE FROM attempts WHERE delivery = ?")?.execute([key])?;
        connection.prepare_cached("DELETE FROM deliveries WHERE key = ?")?.execute([key])?;
    }
    Ok(())
}

pub(super) fn delivered(connection: &Connection, after: i64, before: i64, limit: usize) -> Result<Delivered> {
    let list = PurgeColumns::LIST;
    let sql = format!("SELECT {list} FROM deliveries WHERE key > ? AND key < ? ORDER BY key LIMIT ?");
    let mut query = connection.prepare_cached(&sql)?;
    let rows = query.query_map(params![after, before, limit as u64], read)?;
    Ok(PurgeColumns::delivered(&rows.collect::<Result<Vec<_>, _>>()?, limit))
}

pub(super) fn destinations_after(connection: &Connection, key: i64) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT destination FROM deliveries WHERE key > ? ORDER BY destination";
    let mut query = connection.prepare_cached(sql)?;
    Ok(query.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

pub(super) fn pending_destinations(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT destination FROM deliveries WHERE status = 'pending'";
    let mut query = connection.prepare_cached(sql)?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

pub(super) fn counts(connection: &Connection, destinations: Vec<String>) -> Result<Vec<QueueCounts>> {
    let count = |status| {
        let sql = format!("SELECT count(*), min(key) FROM deliveries WHERE destination = ? AND status = '{status}'");
        connection.prepare_cached(&sql)
    };
    let (mut pending, mut dead) = (count(DeliveryStatus::Pending)?, count(DeliveryStatus::Dead)?);
    let counts = destinations.into_iter().map(|destination| {
        let (pending, oldest) =
            pending.query_row([&destination], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))?;
        let dead = dead.query_row([&destination], |row| row.get(0))?;
        Ok(QueueCounts { destination, pending, oldest_pending: oldest.map(row_key_ms), dead })
    });
    counts.collect()
}

pub(super) fn find_due(connection: &Connection, id: Uuid) -> Result<Option<DueDelivery>> {
    let sql = format!("SELECT {} FROM deliveries WHERE key = ? AND id = ?", DueColumns::LIST);
    let mut query = connection.prepare_cached(&sql)?;
    let row = query.query_row(params![row_key(id), id.as_bytes()], read::<DueColumns>).optional()?;
    row.map(|row| due_delivery(connection, row)).transpose()
}

pub(super) fn due(connection: &Connection, queue: &QueueRead) -> Result<DueDeliveries> {
    let QueueRead { destination, now, after, .. } = queue;
    let list = DueColumns::LIST;
    let sql = format!(
        "SELECT {list} FROM deliveries WHERE destination = ? AND status = 'pending' AND next_at <= ? \
         AND (next_at, key) > (?, ?) ORDER BY next_at, key LIMIT ?"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let mut rows =
        query.query(params![destination, now, after.next_at, after.key, FillingDue::rows_max(queue) as u64])?;
    let mut filling = FillingDue::new(queue);
    while filling.has_room()
        && let Some(row) = rows.next()?
    {
        let row = read::<DueColumns>(row)?;
        if filling.pass(&row) {
            filling.push(due_delivery(connection, row)?);
        }
    }
    if !filling.has_room() {
        return Ok(filling.finish_full());
    }
    let sql = format!("SELECT {}", RestColumns::LIST);
    let rest = connection.prepare_cached(&sql)?.query_row(params![destination, now], read::<RestColumns>)?;
    Ok(filling.finish_all(rest))
}

fn due_delivery(connection: &Connection, row: DueColumns) -> Result<DueDelivery> {
    // One row that cannot be read must not block the others.
    let message = match message(connection, row.audit, row.event, row.notice.as_deref()) {
        Err(error) if is_of_database(&error) => return Err(error),
        read => read.map_err(|error| format!("{error:#}")),
    };
    Ok(row.into_due(message))
}

fn message(connection: &Connection, audit: Option<i64>, event: Option<i64>, notice: Option<&str>) -> Result<Message> {
    match (audit, event) {
        (Some(audit), _) => Ok(Message::Change(Box::new(audit::entry(connection, audit)?))),
        (None, Some(event)) => of_event(events::of_key(connection, event)?),
        (None, None) => of_notice(notice),
    }
}
