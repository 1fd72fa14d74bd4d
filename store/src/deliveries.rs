//! What is on its way to destinations: a queue for each, in which those of one incident follow each other.

use super::audit;
use super::destinations::{DestinationState, Health, hear};
use super::events::{EventRow, event_of};
use super::sql::{Conditions, json, uuid};
use super::writer::Tx;
use super::{Page, Store, StoreError};
use anyhow::Result;
use hookmill_incident::AuditEntry;
use hookmill_incident::id::{key, unix_ms};
use hookmill_notify::{Rule, Trigger};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;
use uuid::Uuid;

/// Deliveries that one write retries, gives up or removes, so that other writes are not held up.
pub(super) const ROWS_AT_ONCE: usize = 1000;

/// A delivery whose time has come.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// Its id, stable over all attempts.
    pub id: Uuid,
    /// Attempts that were made.
    pub attempts: u32,
    /// What it tells of, or why that cannot be read.
    pub message: Result<Message, String>,
    /// The notification that wants it and which of its steps; none for destinations that are told everything.
    pub step: Option<(String, usize)>,
}

/// What of a destination is due.
#[derive(Debug)]
pub struct Due {
    /// At most as many as were asked for.
    pub deliveries: Vec<DueDelivery>,
    /// Where to go on, if there may be more.
    pub more_after: Option<Place>,
    /// If there is no more, when the next one is, in milliseconds since the Unix epoch.
    pub next_at: Option<i64>,
}

/// A place in a destination's queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    next_at: i64,
    key: i64,
}

/// What a delivery tells of.
#[derive(Clone, Debug)]
pub enum Message {
    /// A change of an incident.
    Change(Box<AuditEntry>),
    /// A payload.
    Event(Box<EventRow>),
    /// Something that happened to the host itself, as templates see it.
    Notice(Value),
}

impl Message {
    /// The request that it goes back to; nothing where there was none.
    pub fn request_id(&self) -> String {
        match self {
            Self::Change(entry) => entry.request_id.clone(),
            Self::Event(row) => row.event.id.to_string(),
            Self::Notice(_) => String::new(),
        }
    }
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
    /// The kind of what went wrong, if something did.
    pub code: Option<&'static str>,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of what the receiver said.
    pub answer: Option<String>,
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

/// An attempt that was made, with all that is recorded of it.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// Which delivery it was of.
    pub delivery: Uuid,
    /// What it came to.
    pub attempt: Attempt,
    /// What follows from it.
    pub next: Next,
    /// What it says of its destination.
    pub health: Health,
}

/// A delivery as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// Its id: what its receiver sees as `webhook-id`.
    pub id: Uuid,
    /// Where it goes.
    pub destination: String,
    /// The notification that wants it; null where the destination is told everything.
    pub notification: Option<String>,
    /// `pending`, `delivered` or `dead`.
    pub status: String,
    /// The incident that it tells of, if it tells of one.
    pub incident_id: Option<Uuid>,
    /// What was done to it.
    pub operation: Option<String>,
    /// The event that it tells of, if it tells of one.
    pub event_id: Option<Uuid>,
    /// When the next attempt is due, in milliseconds since the Unix epoch; none while another one is before it.
    #[serde(skip)]
    pub next_at: Option<i64>,
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
    pub code: Option<String>,
    pub error: Option<String>,
    pub answer: Option<String>,
}

/// Which deliveries are meant.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are those of the API's query parameters")]
pub struct DeliveryFilter {
    pub destination: Vec<String>,
    pub notification: Vec<String>,
    pub status: Vec<String>,
    pub incident: Vec<Uuid>,
    pub event: Vec<Uuid>,
}

impl Store {
    /// What of a destination is due after a place, the most overdue first, without what is under way.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn due_deliveries(
        &self,
        destination: String,
        now: i64,
        after: Place,
        limit: usize,
        without: HashSet<Uuid>,
    ) -> Result<Due> {
        self.read(move |connection| {
            let sql = "SELECT id, attempts, notification, step, next_at, audit, event, notice FROM deliveries \
                       WHERE destination = ? AND status = 'pending' AND next_at <= ? AND (next_at, key) > (?, ?) \
                       ORDER BY next_at, key LIMIT ?";
            let mut query = connection.prepare_cached(sql)?;
            let rows_max = (limit + without.len()) as u64;
            let mut rows = query.query(params![destination, now, after.next_at, after.key, rows_max])?;
            let (mut deliveries, mut last) = (Vec::new(), after);
            while deliveries.len() < limit
                && let Some(row) = rows.next()?
            {
                let id = uuid(row, 0)?;
                last = Place { next_at: row.get(4)?, key: key(id) };
                if without.contains(&id) {
                    continue;
                }
                let step: (Option<String>, Option<u64>) = (row.get(2)?, row.get(3)?);
                let step = step.0.zip(step.1.map(|step| step as usize));
                // One row that cannot be read is not to hold up the others.
                let message = message(connection, row, 5).map_err(|error| format!("{error:#}"));
                deliveries.push(DueDelivery { id, attempts: row.get(1)?, message, step });
            }
            if deliveries.len() == limit {
                return Ok(Due { deliveries, more_after: Some(last), next_at: None });
            }
            let sql =
                "SELECT min(next_at) FROM deliveries WHERE destination = ? AND status = 'pending' AND next_at > ?";
            let next_at = connection.prepare_cached(sql)?.query_row(params![destination, now], |row| row.get(0))?;
            Ok(Due { deliveries, more_after: None, next_at })
        })
        .await
    }

    /// How many deliveries wait and how many are dead, for each configured destination.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub async fn delivery_counts(&self) -> Result<Vec<(String, i64, i64)>> {
        let outbound = self.outbound.load_full();
        self.read(move |connection| {
            let sql = "SELECT (SELECT count(*) FROM deliveries WHERE destination = ?1 AND status = 'pending'), \
                              (SELECT count(*) FROM deliveries WHERE destination = ?1 AND status = 'dead')";
            let mut query = connection.prepare_cached(sql)?;
            let counts = outbound.destinations.iter().map(|destination| {
                let counts = query.query_row([&destination.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok((destination.name.clone(), counts.0, counts.1))
            });
            counts.collect()
        })
        .await
    }

    /// Records attempts at one destination in the order in which they ended, what follows from them, and what they say of
    /// the destination.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn attempted(&self, destination: &str, attempts: Vec<Attempted>) -> Result<(), StoreError> {
        let name = destination.to_owned();
        self.writer
            .write(move |tx| {
                attempts.iter().try_for_each(|attempted| {
                    hear(tx, &name, attempted.health, attempted.attempt.at)?;
                    record(tx, &name, attempted)
                })
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
                if tx.outbound.destination(&destination).is_none() {
                    return Ok(Some(Err(format!("destination `{destination}` is not configured any more"))));
                }
                let sql = "UPDATE deliveries SET status = 'pending', next_at = ? WHERE key = ?";
                tx.connection.prepare_cached(sql)?.execute(params![unix_ms(), key(id)])?;
                tx.changed.deliveries = true;
                Ok(Some(Ok(destination)))
            })
            .await
    }

    /// Makes dead deliveries due again, from the oldest on. Returns how many; those of destinations that are not
    /// configured any more stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn retry_dead(&self, filter: DeliveryFilter) -> Result<u64, StoreError> {
        let (mut after, mut retried) = (0, 0);
        loop {
            let filter = filter.clone();
            let keys = self.writer.write(move |tx| retry_some(tx, &filter, after)).await?;
            retried += keys.len() as u64;
            match keys.last() {
                Some(last) if keys.len() == ROWS_AT_ONCE => after = *last,
                _ => return Ok(retried),
            }
        }
    }

    /// Removes deliveries that arrived before a time, from the key `after` on. Returns where to go on, if there is more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn purge_delivered(&self, after: i64, before: i64) -> Result<Option<i64>, StoreError> {
        self.writer
            .write(move |tx| {
                let sql = "SELECT key, status FROM deliveries WHERE key > ? AND key < ? ORDER BY key LIMIT ?";
                let mut query = tx.connection.prepare_cached(sql)?;
                let rows = query.query_map(params![after, before, ROWS_AT_ONCE as u64], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                })?;
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                for (key, _) in rows.iter().filter(|(_, status)| status == "delivered") {
                    tx.connection.prepare_cached("DELETE FROM attempts WHERE delivery = ?")?.execute([key])?;
                    tx.connection.prepare_cached("DELETE FROM deliveries WHERE key = ?")?.execute([key])?;
                }
                Ok(rows.last().filter(|_| rows.len() == ROWS_AT_ONCE).map(|(key, _)| *key))
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

    /// Queues deliveries about something that happened to the host itself, for every notification with this trigger.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn notice(&self, trigger: Trigger, message: Value) -> Result<(), StoreError> {
        if self.outbound.load().rules_for(trigger).next().is_none() {
            return Ok(());
        }
        self.writer.write(move |tx| notice(tx, trigger, &message)).await
    }
}

/// What a new delivery tells of.
pub(super) enum Told<'a> {
    /// An audit entry of an incident, the first one of it or not.
    Change { incident: i64, audit: i64, is_first: bool },
    /// An event.
    Event(i64),
    /// The host itself, in JSON.
    Notice(&'a str),
}

/// Puts a delivery into a destination's queue, behind those of the same incident.
pub(super) fn enqueue(
    tx: &mut Tx,
    destination: &DestinationState,
    told: &Told,
    step: Option<(&str, usize)>,
) -> Result<()> {
    let id = tx.ids.next();
    let (subject, audit, event, notice) = match told {
        Told::Change { incident, audit, .. } => (*incident, Some(*audit), None, None),
        Told::Event(event) => (*event, None, Some(*event), None),
        Told::Notice(text) => (key(id), None, None, Some(*text)),
    };
    let status = if destination.disabled.is_some() { "dead" } else { "pending" };
    let follows = matches!(told, Told::Change { is_first: false, .. })
        && destination.is_ordered
        && has_pending(tx.connection, &destination.name, subject, i64::MAX)?;
    let sql = "INSERT INTO deliveries (key, id, destination, status, attempts, next_at, error, subject, audit, event, notice, \
               notification, step) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)";
    tx.connection.prepare_cached(sql)?.execute(params![
        key(id),
        id.as_bytes(),
        destination.name,
        status,
        (!follows).then(unix_ms),
        destination.disabled,
        subject,
        audit,
        event,
        notice,
        step.map(|(name, _)| name),
        step.map(|(_, step)| step as u64),
    ])?;
    tx.changed.deliveries = true;
    Ok(())
}

/// The same for each step of a notification.
pub(super) fn enqueue_steps(tx: &mut Tx, rule: &Rule, told: &Told) -> Result<()> {
    let outbound = tx.outbound.clone();
    for (step, to) in rule.to.iter().enumerate() {
        if let Some(destination) = outbound.destination(to) {
            enqueue(tx, destination, told, Some((&rule.name, step)))?;
        }
    }
    Ok(())
}

/// The same for every notification that wants to know of the host itself.
pub(super) fn notice(tx: &mut Tx, trigger: Trigger, message: &Value) -> Result<()> {
    let outbound = tx.outbound.clone();
    for rule in outbound.rules_for(trigger).filter(|rule| rule.filter.matches(message)) {
        enqueue_steps(tx, rule, &Told::Notice(&json(message)))?;
    }
    Ok(())
}

/// Whether something of the same subject waits in a queue before a key.
fn has_pending(connection: &Connection, destination: &str, subject: i64, before: i64) -> Result<bool> {
    let sql =
        "SELECT 1 FROM deliveries WHERE destination = ? AND subject = ? AND status = 'pending' AND key < ? LIMIT 1";
    Ok(connection.prepare_cached(sql)?.exists(params![destination, subject, before])?)
}

fn record(tx: &mut Tx, destination: &str, attempted: &Attempted) -> Result<()> {
    let Attempted { delivery, attempt, next, .. } = attempted;
    let delivery = key(*delivery);
    // What was under way while its destination was disabled is not tried again either.
    let is_disabled = tx.outbound.destination(destination).is_none_or(|state| state.disabled.is_some());
    let (status, next_at) = match *next {
        Next::Delivered => ("delivered", attempt.at),
        Next::Retry(at) if !is_disabled => ("pending", at),
        Next::Retry(_) | Next::Dead => ("dead", attempt.at),
    };
    let sql = "UPDATE deliveries SET status = ?, attempts = attempts + 1, next_at = ?, error = ? WHERE key = ?";
    if tx.connection.prepare_cached(sql)?.execute(params![status, next_at, attempt.error, delivery])? == 0 {
        return Ok(());
    }
    let sql = "INSERT INTO attempts (delivery, number, at, duration_ms, http_status, code, error, answer) \
               SELECT key, attempts, ?, ?, ?, ?, ?, ? FROM deliveries WHERE key = ?";
    tx.connection.prepare_cached(sql)?.execute(params![
        attempt.at,
        attempt.duration_ms,
        attempt.http_status,
        attempt.code,
        attempt.error,
        attempt.answer,
        delivery,
    ])?;
    if status != "pending" {
        let sql = "UPDATE deliveries SET next_at = ? WHERE next_at IS NULL AND key = ( \
                       SELECT min(key) FROM deliveries WHERE destination = ? AND status = 'pending' \
                       AND subject = (SELECT subject FROM deliveries WHERE key = ?))";
        tx.connection.prepare_cached(sql)?.execute(params![attempt.at, destination, delivery])?;
    }
    Ok(())
}

fn retry_some(tx: &mut Tx, filter: &DeliveryFilter, after: i64) -> Result<Vec<i64>> {
    let names: Vec<&str> = tx.outbound.destinations.iter().map(|known| known.name.as_str()).collect();
    let mut conditions = conditions(filter);
    conditions.add("d.status = 'dead' AND d.key > ?", [Sql::Integer(after)]);
    conditions.add("d.destination IN (SELECT value FROM json_each(?))", [Sql::Text(json(&names))]);
    let sql = format!("{FROM} {} ORDER BY d.key LIMIT {ROWS_AT_ONCE}", conditions.sql());
    let sql = format!("SELECT d.key, d.destination, d.subject {sql}");
    let mut query = tx.connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    for (key, destination, subject) in &rows {
        let is_ordered = tx.outbound.destination(destination).is_some_and(|state| state.is_ordered);
        let follows = is_ordered && has_pending(tx.connection, destination, *subject, *key)?;
        let sql = "UPDATE deliveries SET status = 'pending', next_at = ? WHERE key = ?";
        tx.connection.prepare_cached(sql)?.execute(params![(!follows).then(unix_ms), key])?;
        tx.changed.deliveries = true;
    }
    Ok(rows.into_iter().map(|(key, ..)| key).collect())
}

/// What a delivery tells of, from its columns `audit`, `event` and `notice`.
fn message(connection: &Connection, row: &Row, first: usize) -> Result<Message> {
    if let Some(audit) = row.get(first)? {
        return Ok(Message::Change(Box::new(audit::entry(connection, audit)?)));
    }
    match row.get(first + 1)? {
        Some(event) => Ok(Message::Event(Box::new(event_of(connection, event)?))),
        None => Ok(Message::Notice(serde_json::from_str(&row.get::<_, String>(first + 2)?)?)),
    }
}

const FROM: &str = "FROM deliveries d LEFT JOIN audit a ON a.key = d.audit LEFT JOIN incidents i ON i.key = a.incident \
                    LEFT JOIN events e ON e.key = d.event";

fn conditions(filter: &DeliveryFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.one_of("d.destination", &filter.destination);
    conditions.one_of("d.notification", &filter.notification);
    conditions.one_of("d.status", &filter.status);
    for (column, ids) in [("d.audit", &filter.incident), ("d.event", &filter.event)] {
        if !ids.is_empty() {
            let sql = format!("d.subject IN ({}) AND {column} IS NOT NULL", vec!["?"; ids.len()].join(", "));
            conditions.add(&sql, ids.iter().map(|id| Sql::Integer(key(*id))));
        }
    }
    conditions
}

fn list(
    connection: &Connection,
    filter: &DeliveryFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Page<DeliveryRow>> {
    let mut conditions = conditions(filter);
    if let Some(before) = before {
        conditions.add("d.key < ?", [Sql::Integer(before)]);
    }
    // Of very many deliveries few are dead: the planner does not know that.
    let has_better = !(filter.incident.is_empty() && filter.event.is_empty() && filter.notification.is_empty());
    let only_dead = !has_better && filter.status == ["dead"];
    let from = if only_dead { FROM.replacen(" d ", " d INDEXED BY deliveries_dead_key ", 1) } else { FROM.to_owned() };
    if only_dead {
        conditions.add("d.status = 'dead'", []);
    }
    let sql = format!(
        "SELECT d.id, d.destination, d.notification, d.status, i.id, a.operation, e.id, d.next_at, d.error {from} {} \
         ORDER BY d.key DESC LIMIT {}",
        conditions.sql(),
        limit + 1
    );
    let mut query = connection.prepare(&sql)?;
    let rows = query.query_map(params_from_iter(conditions.values), delivery_row)?.collect::<Result<Vec<_>, _>>()?;
    let mut page = Page::new(rows, limit, |row| key(row.id));
    let sql = "SELECT number, at, duration_ms, http_status, code, error, answer FROM attempts WHERE delivery = ? \
               ORDER BY number";
    let mut query = connection.prepare_cached(sql)?;
    for row in &mut page.rows {
        let attempts = query.query_map([key(row.id)], |row| {
            Ok(AttemptRow {
                number: row.get(0)?,
                at: jiff::Timestamp::from_millisecond(row.get(1)?).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
                duration_ms: row.get(2)?,
                http_status: row.get(3)?,
                code: row.get(4)?,
                error: row.get(5)?,
                answer: row.get(6)?,
            })
        })?;
        row.attempts = attempts.collect::<Result<_, _>>()?;
    }
    Ok(page)
}

fn delivery_row(row: &Row) -> rusqlite::Result<DeliveryRow> {
    let some_uuid = |index| -> rusqlite::Result<Option<Uuid>> {
        Ok(row.get::<_, Option<Vec<u8>>>(index)?.and_then(|bytes| Uuid::from_slice(&bytes).ok()))
    };
    Ok(DeliveryRow {
        id: uuid(row, 0)?,
        destination: row.get(1)?,
        notification: row.get(2)?,
        status: row.get(3)?,
        incident_id: some_uuid(4)?,
        operation: row.get(5)?,
        event_id: some_uuid(6)?,
        next_at: row.get(7)?,
        error: row.get(8)?,
        attempts: Vec::new(),
    })
}
