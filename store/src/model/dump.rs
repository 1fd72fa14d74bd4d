//! The rows in memory as text, in the order of the columns in the database.

use super::memory::Memory;
use crate::rows::QuarantineCause;
use crate::sqlite::Dump;
use hookmill_incident::id::row_key;
use hookmill_incident::{FailureCode, Number, RepeatKey};
use serde::Serialize;
use uuid::Uuid;

/// One value as text.
trait Cell {
    fn cell(&self) -> String;
}

macro_rules! cells {
    ($($type:ty)*) => {$(
        impl Cell for $type {
            fn cell(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

cells!(i16 i64 u16 u32 u64 str String);

impl Cell for bool {
    fn cell(&self) -> String {
        i64::from(*self).to_string()
    }
}

impl Cell for [u8] {
    fn cell(&self) -> String {
        hex::encode(self)
    }
}

impl Cell for Uuid {
    fn cell(&self) -> String {
        hex::encode(self.as_bytes())
    }
}

impl<T: Cell + ?Sized> Cell for &T {
    fn cell(&self) -> String {
        (**self).cell()
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> String {
        self.as_ref().map_or_else(|| "NULL".to_owned(), Cell::cell)
    }
}

macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$(Cell::cell(&$value)),*] };
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The tables that are compared.
pub(super) const TABLES: [&str; 17] = [
    "attempts",
    "audit",
    "counts",
    "cursors",
    "deliveries",
    "destinations",
    "events",
    "holds",
    "incidents",
    "kept_events",
    "numbers",
    "raised_notices",
    "repeats",
    "retention",
    "silent_sources",
    "stored_days",
    "triage",
];

impl Memory {
    /// Returns the largest key of any row.
    pub fn last_key(&self) -> i64 {
        let keys = [
            self.events.keys().last(),
            self.incidents.keys().last(),
            self.audit.keys().last(),
            self.deliveries.keys().last(),
        ];
        keys.into_iter().flatten().max().copied().unwrap_or(0)
    }

    /// Returns every row, sorted.
    pub fn dump(&self) -> Dump {
        let mut dump: Dump = TABLES.into_iter().map(|table| (table, self.rows(table))).collect();
        dump.values_mut().for_each(|rows| rows.sort());
        dump
    }

    fn rows(&self, table: &str) -> Vec<Vec<String>> {
        match table {
            "attempts" => {
                let attempts = self.attempts.iter().map(|((delivery, number), row)| {
                    let (status, code) = (row.http_status, row.code);
                    row![delivery, number, row.at, row.duration_ms, status, row.error, code, row.answer]
                });
                attempts.collect()
            }
            "audit" => {
                let entries = self.audit.iter().map(|(key, row)| {
                    let (operation, request_id) = (row.operation.as_str(), &row.request_id);
                    let (details, object) = (&row.details, None::<String>);
                    let (difference, moved, next) = (&row.difference, &row.moved, row.next);
                    let (incident, previous) = (row.incident, row.previous);
                    row![
                        key, row.id, incident, previous, operation, row.at, request_id, details, object, difference,
                        moved, next
                    ]
                });
                entries.collect()
            }
            "cursors" => self.cursors.iter().map(|(source, row)| row![source, row.position, row.start]).collect(),
            "deliveries" => self.deliveries.keys().map(|key| self.delivery_row(*key)).collect(),
            "destinations" => {
                let rows = self.destinations.iter();
                rows.map(|(name, (fingerprint, row))| row![name, fingerprint, row.failing_since, row.disabled])
                    .collect()
            }
            "events" => self.events.keys().map(|key| self.event_row(*key)).collect(),
            "incidents" => self.incidents.keys().map(|key| self.incident_row(*key)).collect(),
            "counts" => {
                let counts = self.counts.iter();
                counts.map(|(key, count)| row![key.minute, key.kind.as_str(), key.name, key.result, count]).collect()
            }
            "holds" => self.holds.iter().map(|incident| row![incident]).collect(),
            "kept_events" => self.kept.iter().map(|event| row![event]).collect(),
            "raised_notices" => self.raised.iter().map(|(trigger, since)| row![trigger.as_str(), since]).collect(),
            "retention" => self.positions.iter().map(|(kind, key)| row![kind.as_str(), key]).collect(),
            "stored_days" => {
                let days = self.stored_days().into_iter();
                days.map(|((kind, day), (rows, bytes))| row![kind.as_str(), day, rows, bytes]).collect()
            }
            "numbers" => self.numbers.iter().map(|(year, last)| row![year, last]).collect(),
            "repeats" => {
                let rows = self.repeats.iter();
                rows.map(|((at, source, digest), event)| row![at, source, digest[..], event.key, event.received_at])
                    .collect()
            }
            "silent_sources" => self.silent.iter().map(|(source, since)| row![source, since]).collect(),
            _ => {
                let requests = self.triage.iter().map(|(incident, row)| {
                    let (playbook, failed_on) = (&row.playbook, &row.failed_on);
                    row![incident, playbook, row.is_manual, row.attempts, failed_on, row.request_id]
                });
                requests.collect()
            }
        }
    }

    fn event_row(&self, event: i64) -> Vec<String> {
        let row = &self.events[&event];
        let (event, state) = (&row.event, &row.state);
        let signed_at = match event.repeat_key {
            RepeatKey::SignedAt(at) => Some(at),
            RepeatKey::UnsignedDeliveryId { signed_at, .. } => signed_at,
            RepeatKey::DeliveryId(_) | RepeatKey::Body => None,
        };
        row![
            row_key(event.id),
            event.id,
            event.source[..],
            state.status.as_str(),
            event.received_at,
            row.attempts,
            state.code.map(FailureCode::as_str),
            state.message,
            json(&row.tried),
            json(&state.incidents),
            event.content_type,
            json(&event.headers),
            json(&event.context),
            signed_at,
            event.digest[..],
            event.body[..],
            row.body_removed_at,
            event.traceparent,
            row.discard_reason,
            row.stored_at,
            json(&row.journey),
            (!row.journey.log.is_empty()).then(|| json(&row.journey.log)),
            QuarantineCause::group_of(state, &row.tried),
        ]
    }

    fn incident_row(&self, incident: i64) -> Vec<String> {
        let (row, is_deleted) = &self.incidents[&incident];
        let incident = &row.incident;
        let nanoseconds = |time: jiff::Timestamp| time.as_nanosecond() as i64;
        let event_ids: Vec<u8> = row.event_ids.iter().flat_map(|id| id.into_bytes()).collect();
        let Number { year, count } = row.number;
        row![
            row_key(row.id),
            row.id,
            i64::from(year) << 32 | i64::from(count),
            incident.source,
            incident.source_ref,
            incident.status.as_str(),
            incident.severity.as_str(),
            nanoseconds(incident.created_at),
            nanoseconds(incident.updated_at),
            row.guard.changed_at.as_microsecond(),
            json(&row.guard.pinned),
            row.occurrences,
            event_ids[..],
            row.newest_audit,
            is_deleted,
            hookmill_incident::record::shortened(&json(incident)).expect("an object"),
        ]
    }

    fn delivery_row(&self, delivery: i64) -> Vec<String> {
        let row = &self.deliveries[&delivery];
        row![
            delivery,
            row.id,
            row.destination,
            row.status.as_str(),
            row.attempts,
            row.next_at,
            row.error,
            row.subject,
            row.audit,
            row.event,
            row.notice,
            row.step.as_ref().map(|(name, _)| name),
            row.step.as_ref().map(|(_, step)| *step as u64),
            row.traceparent,
        ]
    }
}
