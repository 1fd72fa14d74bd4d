//! The audit trail: each entry comes with its deliveries.

use super::{Ledger, NewAuditEntry, NewDetails, Subject, Tx};
use crate::rows::IncidentRow;
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{AuditEntry, Details, EntryDetails, Operation, Status};
use hookmill_notify::{Rule, Trigger, about_change};
use serde_json::Value;
use serde_json::value::to_raw_value;
use uuid::Uuid;

/// One change of an incident, before it is written.
pub(super) struct Change<'a> {
    pub operation: Operation,
    /// The incident before the change.
    pub before: Option<&'a IncidentRow>,
    /// None in a Creation: the details are the attributes of the incident.
    pub details: Option<&'a Details>,
    pub cause: Cause<'a>,
}

/// The cause of a change.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    /// The id of the request: an event's id, or that of a call of the API.
    pub request_id: &'a str,
    /// The trace of the event.
    pub traceparent: Option<&'a str>,
}

impl<'a> Cause<'a> {
    /// Returns a cause without a trace.
    pub fn untraced(request_id: &'a str) -> Self {
        Self { request_id, traceparent: None }
    }
}

impl<T: Tx + ?Sized> Ledger<'_, T> {
    /// Appends an audit entry, and its deliveries to destinations that get all changes. Returns the id and the time of
    /// the entry.
    pub(super) fn append_entry(
        &mut self,
        incident: Uuid,
        previous: Option<i64>,
        change: &Change,
    ) -> Result<(Uuid, i64)> {
        // The time is taken before the id, so that no entry's id is older than its time.
        let (at, id) = (self.clock.now_ms(), self.clock.new_id());
        self.changed.newest_audit = Some(id);
        let details = change.details.map(|details| match change.operation {
            Operation::Delete => NewDetails::Values(details),
            Operation::Creation | Operation::Update => NewDetails::Names(details.keys().map(String::as_str).collect()),
        });
        self.rows.add_audit(&NewAuditEntry {
            id,
            incident: row_key(incident),
            previous,
            operation: change.operation,
            at,
            request_id: change.cause.request_id,
            details,
        })?;
        let outbound = self.outbound.clone();
        let subject = subject(incident, id, change);
        for destination in outbound.of_all_changes() {
            self.enqueue(destination, subject, None)?;
        }
        Ok((id, at))
    }

    /// Appends an audit entry and its deliveries. Returns the key of the entry.
    pub(super) fn append(&mut self, row: &IncidentRow, change: &Change) -> Result<i64> {
        let previous = change.before.map(|before| before.newest_audit);
        let (id, at) = self.append_entry(row.id, previous, change)?;
        let (outbound, subject) = (self.outbound.clone(), subject(row.id, id, change));
        let rules = outbound.rules.of_source(&row.incident.source);
        let rules: Vec<&Rule> = rules.filter(|rule| is_about(rule.trigger, row, change)).collect();
        let reads = |path: &[&str]| rules.iter().any(|rule| rule.filter.reads(path));
        let message = match reads(&[]) {
            true => about_change(&entry(row, change, at, reads(&["details"]))?, &outbound.public_url),
            false => Value::Null,
        };
        for rule in rules.into_iter().filter(|rule| rule.filter.matches(&message)) {
            self.enqueue_steps(rule, subject)?;
        }
        Ok(row_key(id))
    }
}

/// Returns the entry of a change as it will be read, or one with empty details, which saves time.
fn entry(row: &IncidentRow, change: &Change, at: i64, needs_details: bool) -> serde_json::Result<AuditEntry> {
    let details = match change.details {
        _ if !needs_details => EntryDetails::Given(to_raw_value(&Details::default())?),
        Some(details) => EntryDetails::Given(to_raw_value(details)?),
        None => EntryDetails::OfCreation,
    };
    let request_id = change.cause.request_id.to_owned();
    AuditEntry::new(change.operation, row.id, at, request_id, details, to_raw_value(&row.shown())?)
}

/// Returns the subject of deliveries about a change.
fn subject<'a>(incident: Uuid, audit: Uuid, change: &Change<'a>) -> Subject<'a> {
    let is_first = change.operation == Operation::Creation;
    let traceparent = change.cause.traceparent;
    Subject::Change { incident: row_key(incident), audit: row_key(audit), is_first, traceparent }
}

/// Returns whether a trigger is for this kind of change.
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
        | Trigger::SourceSilent
        | Trigger::BackupFailed
        | Trigger::StorageLow => false,
    }
}
