//! Rows that a transaction writes at its end, or before a statement that must see them.

use super::ahead::OwnedRepeatKey;
use super::attempts::Attempts;
use super::batch::{Batch, Statement};
use super::search_rows::SearchRows;
use crate::columns::{id_bytes, json, nanoseconds};
use crate::ledger::{KnownEvent, NewAuditEntry, NewDelivery, NewEvent, Subject};
use crate::rows::{IncidentRow, QuarantineCause};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{Difference, FailureCode, RepeatKey, record};
use std::collections::BTreeMap;

/// The rows of one transaction.
pub(super) struct Buffer {
    repeats: BTreeMap<OwnedRepeatKey, KnownEvent>,
    events: Batch,
    incidents: BTreeMap<i64, BufferedIncident>,
    earlier_events: Batch,
    audit: Batch,
    differences: BTreeMap<i64, (String, Option<i64>)>,
    moved: BTreeMap<i64, String>,
    deliveries: Batch,
    attempts: Attempts,
    /// Statements that other rows do not need.
    others: Vec<Statement>,
}

/// An incident as it will be, and as it is in the database, if it is there.
struct BufferedIncident {
    before: Option<IncidentRow>,
    row: IncidentRow,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            repeats: BTreeMap::new(),
            events: Batch::new(
                "INSERT INTO events (key, id, source, status, received_at, attempts, code, message, tried, incidents, \
                 content_type, headers, context, signed_at, digest, body, traceparent, stored_at, journey, log, \
                 failure_group) SELECT * FROM @",
            ),
            incidents: BTreeMap::new(),
            earlier_events: Batch::new(
                "INSERT INTO earlier_events (incident, event) SELECT * FROM @ ON CONFLICT DO NOTHING",
            ),
            audit: Batch::new(
                "INSERT INTO audit (key, id, incident, previous, operation, at, request_id, details) SELECT * FROM @",
            ),
            differences: BTreeMap::new(),
            moved: BTreeMap::new(),
            deliveries: Batch::new(
                "INSERT INTO deliveries (key, id, destination, status, attempts, next_at, error, subject, audit, event, \
                 notice, notification, step, traceparent) SELECT * FROM @",
            ),
            attempts: Attempts::default(),
            others: Vec::new(),
        }
    }
}

impl Buffer {
    /// Adds a repeat key, or replaces one.
    pub fn put_repeat(&mut self, key: OwnedRepeatKey, event: KnownEvent) {
        self.repeats.insert(key, event);
    }

    pub fn put_event(&mut self, new: &NewEvent) {
        let NewEvent { mapped, state, attempts, stored_at, encoded } = new;
        let event = &mapped.event;
        let signed_at = match event.repeat_key {
            RepeatKey::SignedAt(ms) => Some(ms),
            RepeatKey::UnsignedDeliveryId { signed_at, .. } => signed_at,
            RepeatKey::DeliveryId(_) | RepeatKey::Body => None,
        };
        self.events.push([
            row_key(event.id).into(),
            event.id.as_bytes().as_slice().into(),
            (&*event.source).into(),
            state.status.as_str().into(),
            event.received_at.into(),
            i64::from(*attempts).into(),
            state.code.map(FailureCode::as_str).into(),
            state.message.as_deref().into(),
            encoded.tried.as_str().into(),
            json(&state.incidents).as_str().into(),
            event.content_type.as_deref().into(),
            encoded.headers.as_str().into(),
            encoded.context.as_str().into(),
            signed_at.into(),
            event.digest.as_slice().into(),
            (&*event.body).into(),
            event.traceparent.as_deref().into(),
            (*stored_at).into(),
            encoded.journey.as_deref().into(),
            encoded.log.as_deref().into(),
            QuarantineCause::group_of(state, &mapped.tried).as_deref().into(),
        ]);
    }

    pub fn put_incident(&mut self, row: &IncidentRow) {
        self.incidents.insert(row_key(row.id), BufferedIncident { before: None, row: row.clone() });
    }

    /// Replaces an incident, which is `before` until then.
    pub fn update_incident(&mut self, before: &IncidentRow, row: &IncidentRow) {
        let key = row_key(row.id);
        if let Some(dropped) = before.event_ids.first().filter(|first| !row.event_ids.contains(first)) {
            self.earlier_events.push([key.into(), row_key(*dropped).into()]);
        }
        let is_in_database = || BufferedIncident { before: Some(before.clone()), row: row.clone() };
        self.incidents.entry(key).and_modify(|buffered| buffered.row = row.clone()).or_insert_with(is_in_database);
    }

    /// Returns whether incidents wait.
    pub fn has_incidents(&self) -> bool {
        !self.incidents.is_empty()
    }

    pub fn add_audit(&mut self, entry: &NewAuditEntry) {
        self.audit.push([
            row_key(entry.id).into(),
            entry.id.as_bytes().as_slice().into(),
            entry.incident.into(),
            entry.previous.into(),
            entry.operation.as_str().into(),
            entry.at.into(),
            entry.request_id.into(),
            entry.details.as_ref().map(json).as_deref().into(),
        ]);
    }

    pub fn keep_difference(&mut self, entry: i64, difference: &Difference, next: Option<i64>) {
        self.differences.insert(entry, (json(difference), next));
    }

    pub fn keep_moved(&mut self, entry: i64, moved: &Difference) {
        self.moved.entry(entry).or_insert_with(|| json(moved));
    }

    pub fn add_delivery(&mut self, new: &NewDelivery) {
        let key = row_key(new.id);
        let (audit, event, notice) = match new.subject {
            Subject::Change { audit, .. } => (Some(audit), None, None),
            Subject::Event { event, .. } => (None, Some(event), None),
            Subject::Notice(text) => (None, None, Some(text)),
        };
        self.deliveries.push([
            key.into(),
            new.id.as_bytes().as_slice().into(),
            new.destination.into(),
            new.status.as_str().into(),
            0.into(),
            new.next_at.into(),
            new.error.into(),
            new.subject.key(key).into(),
            audit.into(),
            event.into(),
            notice.into(),
            new.step.map(|(name, _)| name).into(),
            new.step.map(|(_, step)| step as i64).into(),
            new.subject.traceparent().into(),
        ]);
    }

    /// The attempts at deliveries that are in the database.
    pub fn attempts(&mut self) -> &mut Attempts {
        &mut self.attempts
    }

    /// Adds a statement that does not depend on the others.
    pub fn add(&mut self, statement: Option<Statement>) {
        self.others.extend(statement);
    }

    /// Takes everything as statements.
    pub fn take(&mut self) -> Result<Vec<Statement>> {
        let Self {
            repeats,
            mut events,
            incidents,
            mut earlier_events,
            mut audit,
            differences,
            moved,
            mut deliveries,
            attempts,
            others,
        } = std::mem::take(self);
        let mut repeat_rows = Batch::new(
            "INSERT INTO repeats (at, source, digest, event, received_at) SELECT * FROM @ \
             ON CONFLICT (at, source, digest) DO UPDATE SET event = excluded.event, received_at = excluded.received_at",
        );
        for ((at, source, digest), KnownEvent { key, received_at }) in repeats {
            let digest = digest.as_slice();
            repeat_rows.push([at.into(), source.as_str().into(), digest.into(), key.into(), received_at.into()]);
        }
        let mut difference_rows = Batch::new(
            "UPDATE audit SET difference = new.difference, next = new.next FROM @ AS new (key, difference, next) \
             WHERE audit.key = new.key",
        );
        for (entry, (difference, next)) in differences {
            difference_rows.push([entry.into(), difference.as_str().into(), next.into()]);
        }
        let mut moved_rows = Batch::new(
            "UPDATE audit SET moved = new.moved FROM @ AS new (key, moved) \
             WHERE audit.key = new.key AND audit.moved IS NULL",
        );
        for (entry, moved) in moved {
            moved_rows.push([entry.into(), moved.as_str().into()]);
        }
        let batches =
            [&mut repeat_rows, &mut events, &mut earlier_events, &mut audit, &mut difference_rows, &mut moved_rows];
        let mut statements: Vec<Statement> = batches.into_iter().filter_map(Batch::take).collect();
        let mut rows = IncidentRows::default();
        incidents.iter().try_for_each(|(key, incident)| rows.add(*key, incident))?;
        statements.extend(rows.take());
        statements.extend(deliveries.take());
        statements.extend(attempts.into_statements());
        statements.extend(others);
        Ok(statements)
    }
}

/// The rows of incidents and those by which they are found.
struct IncidentRows {
    new: Batch,
    changed: Batch,
    search: SearchRows,
}

impl Default for IncidentRows {
    fn default() -> Self {
        Self {
            new: Batch::new(
                "INSERT INTO incidents (key, id, number, source, source_ref, status, severity, created_at, updated_at, \
                 changed_at, pinned, occurrences, event_ids, newest_audit, record) SELECT * FROM @",
            ),
            changed: Batch::new(
                "UPDATE incidents SET status = new.status, severity = new.severity, updated_at = new.updated_at, \
                 changed_at = new.changed_at, pinned = new.pinned, occurrences = new.occurrences, \
                 event_ids = new.event_ids, newest_audit = new.newest_audit, record = new.record \
                 FROM @ AS new (key, status, severity, updated_at, changed_at, pinned, occurrences, event_ids, \
                     newest_audit, record) \
                 WHERE incidents.key = new.key",
            ),
            search: SearchRows::default(),
        }
    }
}

impl IncidentRows {
    fn add(&mut self, key: i64, buffered: &BufferedIncident) -> Result<()> {
        let BufferedIncident { before, row } = buffered;
        let (status, severity) = (row.incident.status.as_str(), row.incident.severity.as_str());
        let (created_at, updated_at) = (nanoseconds(row.incident.created_at), nanoseconds(row.incident.updated_at));
        let (changed_at, pinned) = (row.guard.changed_at.as_microsecond(), json(&row.guard.pinned));
        let (occurrences, event_ids) = (row.occurrences as i64, id_bytes(&row.event_ids));
        let record = record::short_text(&row.incident)?;
        match before {
            None => self.new.push([
                key.into(),
                row.id.as_bytes().as_slice().into(),
                row.number.to_key().into(),
                row.incident.source.as_str().into(),
                row.incident.source_ref.as_str().into(),
                status.into(),
                severity.into(),
                created_at.into(),
                updated_at.into(),
                changed_at.into(),
                pinned.as_str().into(),
                occurrences.into(),
                event_ids.as_slice().into(),
                row.newest_audit.into(),
                record.as_str().into(),
            ]),
            Some(_) => self.changed.push([
                key.into(),
                status.into(),
                severity.into(),
                updated_at.into(),
                changed_at.into(),
                pinned.as_str().into(),
                occurrences.into(),
                event_ids.as_slice().into(),
                row.newest_audit.into(),
                record.as_str().into(),
            ]),
        }
        self.search.add(key, before.as_ref().map(|before| &before.incident), &row.incident);
        Ok(())
    }

    fn take(&mut self) -> impl Iterator<Item = Statement> {
        let incidents = [&mut self.new, &mut self.changed].into_iter().filter_map(Batch::take);
        incidents.chain(self.search.take())
    }
}
