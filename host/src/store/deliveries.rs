//! The audit trail and its way to the destinations.

use super::incidents::{IncidentKey, IncidentRow, incident_row};
use super::sql::{Conditions, json, uuid};
use super::writer::{DestinationState, Tx};
use super::{Page, Store, StoreError};
use crate::id::{key, unix_ms};
use crate::incident::Details;
use crate::words::words;
use anyhow::Result;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

words!(
    /// What was done to an incident.
    Operation { Creation = "Creation", Update = "Update", Delete = "Delete" }
);

/// One change of an incident, in the shape of TheHive's webhooks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// `Creation`, `Update` or `Delete`.
    pub operation: String,
    /// Always `incident`.
    pub object_type: &'static str,
    /// The incident's id.
    pub object_id: Uuid,
    /// When, in milliseconds since the Unix epoch.
    pub start_date: i64,
    /// The request that did it: an event's id, or that of a call of the API.
    pub request_id: String,
    /// The attributes that were set or changed, with their new values.
    pub details: Value,
    /// Always true: no entry here is a consequence of another one.
    pub base: bool,
    /// The incident's id again: incidents stand for themselves.
    pub root_id: Uuid,
    /// The incident after the operation.
    pub object: Value,
}

/// A delivery whose time has come.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// Its id, stable over all attempts.
    pub id: Uuid,
    /// Attempts that were made.
    pub attempts: u32,
    /// What to deliver.
    pub body: String,
    /// The request that it tells of.
    pub request_id: String,
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began, in milliseconds since the Unix epoch.
    pub at: i64,
    /// How long it took.
    pub duration_ms: i64,
    /// The receiver's answer, if there was one.
    pub http_status: Option<u16>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It arrived.
    Delivered,
    /// Another attempt, at this time in milliseconds since the Unix epoch.
    Retry(i64),
    /// No further attempt, until somebody asks for one.
    Dead,
}

/// A delivery as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// Its id: what its receiver sees as `webhook-id`.
    pub id: Uuid,
    /// Where it goes.
    pub destination: String,
    /// `pending`, `delivered` or `dead`.
    pub status: String,
    /// The incident that it tells of.
    pub incident_id: Uuid,
    /// What was done to it.
    pub operation: String,
    /// When the next attempt is due, in milliseconds since the Unix epoch.
    #[serde(skip)]
    pub next_at: i64,
    /// What went wrong last.
    pub error: Option<String>,
    /// Every attempt, the first first.
    pub attempts: Vec<AttemptRow>,
}

/// An attempt as it is shown.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "as in `Attempt`")]
pub struct AttemptRow {
    pub number: u32,
    pub at: jiff::Timestamp,
    pub duration_ms: i64,
    pub http_status: Option<u16>,
    pub error: Option<String>,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct DeliveryFilter {
    pub destination: Vec<String>,
    pub status: Vec<String>,
    pub incident: Vec<Uuid>,
}

impl Store {
    /// Sets where audit entries go from now on, as name and URL, and takes back that a destination is disabled when
    /// its URL has changed since.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn set_destinations(&self, destinations: Vec<(String, String)>) -> Result<(), StoreError> {
        let states = self
            .writer
            .write(move |tx| {
                let mut states = Vec::new();
                for (name, url) in &destinations {
                    let sql = "DELETE FROM disabled_destinations WHERE name = ? AND url <> ?";
                    tx.connection.execute(sql, [name, url])?;
                    let sql = "SELECT reason FROM disabled_destinations WHERE name = ?";
                    let disabled = tx.connection.query_row(sql, [name], |row| row.get(0)).optional()?;
                    states.push(DestinationState { name: name.clone(), disabled });
                }
                let names: Vec<&str> = destinations.iter().map(|(name, _)| name.as_str()).collect();
                let sql = "UPDATE deliveries SET status = 'dead', error = 'its destination is not configured any more' \
                           WHERE status = 'pending' AND destination NOT IN (SELECT value FROM json_each(?))";
                tx.connection.execute(sql, [json(&names)])?;
                Ok(states)
            })
            .await?;
        self.destinations.store(Arc::new(states));
        Ok(())
    }

    /// Notes that a destination asked not to be called again: what waits for it goes to the dead letters.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn disable_destination(&self, name: String, url: String, reason: String) -> Result<(), StoreError> {
        self.writer
            .write({
                let (name, reason) = (name.clone(), reason.clone());
                move |tx| {
                    let sql =
                        "INSERT OR REPLACE INTO disabled_destinations (name, url, at, reason) VALUES (?, ?, ?, ?)";
                    tx.connection.execute(sql, params![name, url, unix_ms(), reason])?;
                    let sql =
                        "UPDATE deliveries SET status = 'dead', error = ? WHERE destination = ? AND status = 'pending'";
                    tx.connection.execute(sql, [&reason, &name])?;
                    Ok(())
                }
            })
            .await?;
        self.update_destination(&name, Some(reason));
        Ok(())
    }

    /// Takes back that a destination is disabled.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn enable_destination(&self, name: String) -> Result<(), StoreError> {
        let row = name.clone();
        self.writer
            .write(move |tx| Ok(tx.connection.execute("DELETE FROM disabled_destinations WHERE name = ?", [&row])?))
            .await?;
        self.update_destination(&name, None);
        Ok(())
    }

    /// Whether a destination asked not to be called again.
    pub fn is_disabled(&self, name: &str) -> bool {
        self.destinations.load().iter().any(|state| state.name == name && state.disabled.is_some())
    }

    fn update_destination(&self, name: &str, disabled: Option<String>) {
        self.destinations.rcu(|states| {
            let mut states = Vec::clone(states);
            if let Some(state) = states.iter_mut().find(|state| state.name == name) {
                state.disabled.clone_from(&disabled);
            }
            states
        });
    }

    /// Deliveries of a destination that are due, the most overdue first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn due_deliveries(&self, destination: String, now: i64, limit: usize) -> Result<Vec<DueDelivery>> {
        self.read(move |connection| {
            let sql = "SELECT id, attempts, audit FROM deliveries \
                       WHERE destination = ? AND status = 'pending' AND next_at <= ? ORDER BY next_at, key LIMIT ?";
            let mut query = connection.prepare_cached(sql)?;
            let rows = query.query_map(params![destination, now, limit as u64], |row| {
                Ok((uuid(row, 0)?, row.get::<_, u32>(1)?, row.get::<_, i64>(2)?))
            })?;
            rows.map(|row| {
                let (id, attempts, audit) = row?;
                let entry = entry(connection, audit)?;
                Ok(DueDelivery { id, attempts, body: json(&entry), request_id: entry.request_id })
            })
            .collect()
        })
        .await
    }

    /// When the next delivery of a destination is due, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn next_delivery(&self, destination: String) -> Result<Option<i64>> {
        self.read(move |connection| {
            let sql = "SELECT min(next_at) FROM deliveries WHERE destination = ? AND status = 'pending'";
            Ok(connection.prepare_cached(sql)?.query_row([destination], |row| row.get(0))?)
        })
        .await
    }

    /// How many deliveries wait, for each configured destination.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub async fn pending_deliveries(&self) -> Result<Vec<(String, i64)>> {
        let destinations = self.destinations.load_full();
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM deliveries WHERE destination = ? AND status = 'pending'";
            let mut query = connection.prepare_cached(sql)?;
            let counts = destinations.iter().map(|destination| {
                Ok((destination.name.clone(), query.query_row([&destination.name], |row| row.get(0))?))
            });
            counts.collect()
        })
        .await
    }

    /// Records an attempt and what follows from it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn attempted(&self, delivery: Uuid, attempt: Attempt, next: Next) -> Result<(), StoreError> {
        self.writer
            .write(move |tx| {
                let (status, next_at) = match next {
                    Next::Delivered => ("delivered", attempt.at),
                    Next::Retry(at) => ("pending", at),
                    Next::Dead => ("dead", attempt.at),
                };
                // What was under way while its destination asked not to be called again is not tried again either.
                let sql = "UPDATE deliveries SET status = CASE WHEN ?1 = 'pending' AND EXISTS ( \
                               SELECT 1 FROM disabled_destinations WHERE name = destination) THEN 'dead' ELSE ?1 END, \
                           attempts = attempts + 1, next_at = ?2, error = ?3 WHERE key = ?4 RETURNING attempts";
                let number: Option<u32> = tx
                    .connection
                    .prepare_cached(sql)?
                    .query_row(params![status, next_at, attempt.error, key(delivery)], |row| row.get(0))
                    .optional()?;
                let sql = "INSERT INTO attempts (delivery, number, at, duration_ms, http_status, error) \
                           VALUES (?, ?, ?, ?, ?, ?)";
                if let Some(number) = number {
                    tx.connection.prepare_cached(sql)?.execute(params![
                        key(delivery),
                        number,
                        attempt.at,
                        attempt.duration_ms,
                        attempt.http_status,
                        attempt.error,
                    ])?;
                }
                Ok(())
            })
            .await
    }

    /// Makes a dead or pending delivery due now. Returns its destination, or why it stays as it is; `None` when there is
    /// no such delivery.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn retry_delivery(&self, id: Uuid) -> Result<Option<Result<String, String>>, StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "SELECT destination, status FROM deliveries WHERE key = ? AND id = ?";
                let mut query = tx.connection.prepare_cached(sql)?;
                let row = |row: &Row| Ok((row.get(0)?, row.get(1)?));
                let found: Option<(String, String)> =
                    query.query_row(params![key(id), id.as_bytes()], row).optional()?;
                let Some((destination, status)) = found else { return Ok(None) };
                if status == "delivered" {
                    return Ok(Some(Err("it was delivered".into())));
                }
                if !tx.destinations.iter().any(|known| known.name == destination) {
                    return Ok(Some(Err(format!("destination `{destination}` is not configured any more"))));
                }
                let sql = "UPDATE deliveries SET status = 'pending', next_at = ? WHERE key = ?";
                tx.connection.prepare_cached(sql)?.execute(params![unix_ms(), key(id)])?;
                Ok(Some(Ok(destination)))
            })
            .await
    }

    /// Deliveries, the newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>> {
        self.read(move |connection| list(connection, &filter, before, limit)).await
    }

    /// The audit trail of an incident, the oldest entry first; also of one that was deleted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self, which: IncidentKey) -> Result<Option<Vec<AuditEntry>>> {
        self.read(move |connection| {
            let (column, value) = match which {
                IncidentKey::Id(id) => ("key", key(id)),
                IncidentKey::Number(number) => ("number", number.to_key()),
            };
            let sql = format!("SELECT newest_audit FROM incidents WHERE {column} = ?");
            let newest: Option<i64> = connection.query_row(&sql, [value], |row| row.get(0)).optional()?;
            let Some(newest) = newest else { return Ok(None) };
            let sql = "WITH RECURSIVE trail(key, previous) AS (
                           SELECT key, previous FROM audit WHERE key = ?
                           UNION ALL SELECT audit.key, audit.previous FROM audit JOIN trail ON audit.key = trail.previous
                       ) SELECT key FROM trail ORDER BY key";
            let mut query = connection.prepare_cached(sql)?;
            let keys = query.query_map([newest], |row| row.get::<_, i64>(0))?;
            Ok(Some(keys.map(|key| entry(connection, key?)).collect::<Result<_>>()?))
        })
        .await
    }
}

/// Appends an audit entry and a delivery of it to every destination. Returns the entry's key.
pub(super) fn append(
    tx: &mut Tx,
    row: &IncidentRow,
    previous: Option<i64>,
    operation: Operation,
    details: Option<&Details>,
    request_id: &str,
) -> Result<i64> {
    let id = tx.ids.next();
    let sql = "INSERT INTO audit (key, id, incident, previous, operation, at, request_id, details, object) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)";
    tx.connection.prepare_cached(sql)?.execute(params![
        key(id),
        id.as_bytes(),
        key(row.id),
        previous,
        operation.as_str(),
        unix_ms(),
        request_id,
        details.map(json),
    ])?;
    let sql = "INSERT INTO deliveries (key, id, audit, destination, status, attempts, next_at, error) \
               VALUES (?, ?, ?, ?, ?, 0, ?, ?)";
    for destination in tx.destinations {
        let delivery = tx.ids.next();
        let status = if destination.disabled.is_some() { "dead" } else { "pending" };
        tx.connection.prepare_cached(sql)?.execute(params![
            key(delivery),
            delivery.as_bytes(),
            key(id),
            destination.name,
            status,
            unix_ms(),
            destination.disabled,
        ])?;
    }
    Ok(key(id))
}

/// An audit entry as it is delivered and shown.
fn entry(connection: &Connection, audit: i64) -> Result<AuditEntry> {
    let sql = "SELECT operation, at, request_id, details, object, incident FROM audit WHERE key = ?";
    let mut query = connection.prepare_cached(sql)?;
    type Columns = (String, i64, String, Option<String>, Option<String>, i64);
    let (operation, at, request_id, details, object, incident): Columns = query
        .query_row([audit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))?;
    let object: Value = match object {
        Some(object) => serde_json::from_str(&object)?,
        None => {
            let sql = "SELECT id, number, record, occurrences, event_ids, changed_at, pinned, newest_audit \
                       FROM incidents WHERE key = ?";
            let row = connection.prepare_cached(sql)?.query_row([incident], incident_row)?;
            serde_json::to_value(row.view())?
        }
    };
    let details = match details {
        Some(details) => serde_json::from_str(&details)?,
        None => creation_details(&object),
    };
    let id: Uuid = serde_json::from_value(object["id"].clone())?;
    Ok(AuditEntry {
        operation,
        object_type: "incident",
        object_id: id,
        start_date: at,
        request_id,
        details,
        base: true,
        root_id: id,
        object,
    })
}

/// The attributes that a Creation sets: those of the object but for what the host keeps of it.
fn creation_details(object: &Value) -> Value {
    const KEPT_BY_HOST: [&str; 9] =
        ["id", "number", "triage", "occurrences", "event_ids", "truncated", "created_at", "updated_at", "revision"];
    let attributes = object.as_object().into_iter().flatten();
    let set = attributes.filter(|(name, value)| !value.is_null() && !KEPT_BY_HOST.contains(&name.as_str()));
    Value::Object(set.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<DeliveryRow>> {
    let mut conditions = Conditions::default();
    conditions.one_of("d.destination", &filter.destination);
    conditions.one_of("d.status", &filter.status);
    if !filter.incident.is_empty() {
        let marks = vec!["?"; filter.incident.len()].join(", ");
        let keys = filter.incident.iter().map(|id| Sql::Integer(key(*id)));
        conditions.add(&format!("a.incident IN ({marks})"), keys);
    }
    if let Some(before) = before {
        conditions.add("d.key < ?", [Sql::Integer(before)]);
    }
    let sql = format!(
        "SELECT d.id, d.destination, d.status, d.next_at, d.error, i.id, a.operation FROM deliveries d \
         JOIN audit a ON a.key = d.audit JOIN incidents i ON i.key = a.incident {} ORDER BY d.key DESC LIMIT {}",
        conditions.sql(),
        limit + 1
    );
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), delivery_row)?.collect::<Result<Vec<_>, _>>()?;
    let mut page = Page::new(rows, limit, |row| key(row.id));
    let sql = "SELECT number, at, duration_ms, http_status, error FROM attempts WHERE delivery = ? ORDER BY number";
    let mut query = connection.prepare_cached(sql)?;
    for row in &mut page.rows {
        let attempts = query.query_map([key(row.id)], |row| {
            Ok(AttemptRow {
                number: row.get(0)?,
                at: jiff::Timestamp::from_millisecond(row.get(1)?).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
                duration_ms: row.get(2)?,
                http_status: row.get(3)?,
                error: row.get(4)?,
            })
        })?;
        row.attempts = attempts.collect::<Result<_, _>>()?;
    }
    Ok(page)
}

fn delivery_row(row: &Row) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        id: uuid(row, 0)?,
        destination: row.get(1)?,
        status: row.get(2)?,
        next_at: row.get(3)?,
        error: row.get(4)?,
        incident_id: uuid(row, 5)?,
        operation: row.get(6)?,
        attempts: Vec::new(),
    })
}
