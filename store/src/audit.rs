//! The audit trail of incidents.

use super::Store;
use super::deliveries::{self, Told};
use super::incidents::{IncidentKey, IncidentRow, shown};
use super::sql::{json, uuid};
use super::writer::Tx;
use anyhow::{Context, Result};
use hookmill_incident::id::{self, key, unix_ms};
use hookmill_incident::{AuditEntry, Details, Operation, Status};
use hookmill_notify::{Trigger, about_change};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::{RawValue, to_raw_value};
use std::ops::ControlFlow;
use uuid::Uuid;

impl Store {
    /// The audit trail of an incident, the oldest entry first; also of one that was deleted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self, which: IncidentKey) -> Result<Option<Vec<AuditEntry>>> {
        self.read(move |connection| {
            let Some(newest) = newest(connection, which)? else { return Ok(None) };
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

    /// The newest entry of an incident; also of one that was deleted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn newest_audit(&self, which: IncidentKey) -> Result<Option<AuditEntry>> {
        self.read(move |connection| {
            let newest = newest(connection, which)?;
            newest.map(|key| entry(connection, key)).transpose()
        })
        .await
    }

    /// Adds the entries after this id to what is given, the oldest first, for as long as `add` wants more.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn audit_after<T: Send + 'static>(
        &self,
        after: Uuid,
        mut to: T,
        mut add: impl FnMut(&mut T, Uuid, &AuditEntry) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT key, id FROM audit WHERE key > ? ORDER BY key")?;
            let mut rows = query.query([key(after)])?;
            while let Some(row) = rows.next()? {
                if add(&mut to, uuid(row, 1)?, &entry(connection, row.get(0)?)?).is_break() {
                    break;
                }
            }
            Ok(to)
        })
        .await
    }
}

/// The newest entry's id; where there is none, one that comes before all.
pub(super) fn newest_of_all(connection: &Connection) -> Result<Uuid> {
    let mut query = connection.prepare("SELECT id FROM audit ORDER BY key DESC LIMIT 1")?;
    Ok(query.query_row([], |row| uuid(row, 0)).optional()?.unwrap_or(id::before(0)))
}

fn newest(connection: &Connection, which: IncidentKey) -> Result<Option<i64>> {
    let (column, value) = match which {
        IncidentKey::Id(id) => ("key", key(id)),
        IncidentKey::Number(number) => ("number", number.to_key()),
    };
    let sql = format!("SELECT newest_audit FROM incidents WHERE {column} = ?");
    Ok(connection.query_row(&sql, [value], |row| row.get(0)).optional()?)
}

/// One change of an incident, before it is written down.
pub(super) struct Change<'a> {
    pub operation: Operation,
    /// The incident as it was.
    pub before: Option<&'a IncidentRow>,
    /// None in a Creation: they are the incident's own.
    pub details: Option<&'a Details>,
    pub request_id: &'a str,
}

/// Appends an entry, and deliveries of it to whom it is for. Returns the entry's key.
pub(super) fn append(tx: &mut Tx, row: &IncidentRow, change: &Change) -> Result<i64> {
    // In this order, so that no entry's id is older than its time.
    let (at, id) = (unix_ms(), tx.ids.next());
    tx.changed.newest_audit = Some(id);
    let sql = "INSERT INTO audit (key, id, incident, previous, operation, at, request_id, details, object) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)";
    tx.connection.prepare_cached(sql)?.execute(params![
        key(id),
        id.as_bytes(),
        key(row.id),
        change.before.map(|before| before.newest_audit),
        change.operation.as_str(),
        at,
        change.request_id,
        change.details.map(json),
    ])?;
    let outbound = tx.outbound.clone();
    let told = Told::Change { incident: key(row.id), audit: key(id), is_first: change.before.is_none() };
    for destination in outbound.destinations.iter().filter(|destination| destination.is_told_all) {
        deliveries::enqueue(tx, destination, &told, None)?;
    }
    let rules = outbound.rules.iter().filter(|rule| is_about(rule.trigger, row, change));
    let mut message = None;
    for rule in rules {
        let message = match &message {
            Some(message) => message,
            None => {
                let object = to_raw_value(&row.view())?;
                let details = change.details.map(to_raw_value).transpose()?;
                let request_id = change.request_id.to_owned();
                let entry = AuditEntry::new(change.operation, row.id, at, request_id, details, object)?;
                message.insert(about_change(&entry, &outbound.public_url))
            }
        };
        if rule.filter.matches(message) {
            deliveries::enqueue_steps(tx, rule, &told)?;
        }
    }
    Ok(key(id))
}

/// Whether a change is what a trigger is for.
fn is_about(trigger: Trigger, row: &IncidentRow, change: &Change) -> bool {
    let (now, was) = (&row.incident, change.before.map(|before| &before.incident));
    let is_over = |status: Status| matches!(status, Status::Resolved | Status::FalsePositive | Status::Closed);
    let is_kept = change.operation != Operation::Delete;
    match trigger {
        Trigger::Any => true,
        Trigger::IncidentCreated => change.operation == Operation::Creation,
        Trigger::IncidentUpdated => change.operation == Operation::Update,
        Trigger::IncidentResolved => is_kept && is_over(now.status) && was.is_none_or(|was| !is_over(was.status)),
        Trigger::SeverityRaised => was.is_some_and(|was| now.severity > was.severity),
        Trigger::ObservableAdded => now.observables.len() > was.map_or(0, |was| was.observables.len()),
        Trigger::EventReceived
        | Trigger::EventQuarantined
        | Trigger::DestinationDisabled
        | Trigger::PluginRefused
        | Trigger::SourceSilent => false,
    }
}

/// An audit entry as it is delivered and shown.
pub(super) fn entry(connection: &Connection, audit: i64) -> Result<AuditEntry> {
    let sql = "SELECT operation, at, request_id, details, object, i.id, number, record, occurrences, event_ids \
               FROM audit a JOIN incidents i ON i.key = incident WHERE a.key = ?";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query([audit])?;
    let row = rows.next()?.context("there is no such entry, or no row of its incident")?;
    let object = match row.get(4)? {
        Some(object) => object,
        None => shown(row, 5)?,
    };
    let details: Option<String> = row.get(3)?;
    let details = details.map(RawValue::from_string).transpose()?;
    let operation: String = row.get(0)?;
    let operation = operation.parse().map_err(anyhow::Error::msg)?;
    let object = RawValue::from_string(object)?;
    Ok(AuditEntry::new(operation, uuid(row, 5)?, row.get(1)?, row.get(2)?, details, object)?)
}
