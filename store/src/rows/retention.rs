//! Retention: the ages from which rows are removed, and what was removed.

use hookmill_incident::words;
use std::collections::BTreeMap;
use std::time::Duration;

words!(
    /// A kind of stored rows.
    StoredKind {
        /// The bodies of events.
        Payloads = "payloads",
        /// Events, with or without their bodies.
        Events = "events",
        Incidents = "incidents",
        /// Audit entries.
        Audit = "audit",
        /// Deliveries with their attempts.
        Deliveries = "deliveries",
    }
);

/// The ages from which rows are removed; `None` keeps them for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The age of an event from which its body is removed.
    pub payloads: Option<Duration>,
    /// The age of an event from which it is removed.
    pub events: Option<Duration>,
    /// The time since its last change after which an incident that has ended is removed.
    pub incidents: Option<Duration>,
    /// The same for all audit entries of such an incident except the newest one.
    pub audit: Option<Duration>,
}

impl Retention {
    /// The kinds that have an age, in the order in which they are removed.
    pub const KINDS: [StoredKind; 4] =
        [StoredKind::Payloads, StoredKind::Events, StoredKind::Audit, StoredKind::Incidents];

    /// Returns the age from which rows of a kind are removed. Deliveries go with their subject, or have an age of their
    /// own.
    pub fn age(&self, kind: StoredKind) -> Option<Duration> {
        match kind {
            StoredKind::Payloads => self.payloads,
            StoredKind::Events => self.events,
            StoredKind::Incidents => self.incidents,
            StoredKind::Audit => self.audit,
            StoredKind::Deliveries => None,
        }
    }
}

/// A number of rows, and the bytes of those that are payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCount {
    /// The number of rows.
    pub rows: i64,
    /// The bytes of payloads; 0 for other kinds.
    pub bytes: i64,
}

/// The rows that were removed, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed(pub BTreeMap<StoredKind, RowCount>);

impl Removed {
    /// Adds rows of a kind.
    pub(crate) fn add(&mut self, kind: StoredKind, rows: usize, bytes: i64) {
        if rows > 0 {
            let count = self.0.entry(kind).or_default();
            count.rows += rows as i64;
            count.bytes += bytes;
        }
    }

    /// Adds what another batch removed.
    pub fn merge(&mut self, other: &Self) {
        for (kind, RowCount { rows, bytes }) in &other.0 {
            self.add(*kind, *rows as usize, *bytes);
        }
    }
}

/// The place from which the next batch of a pass continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrunePosition {
    /// Among the events that had to stay in earlier passes, after this key.
    Kept(i64),
    /// Among the rows that are old enough, after this key.
    Old(i64),
}

/// The result of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// The rows that were removed; in a dry run, those that would be.
    pub removed: Removed,
    /// The place from which to continue, if there may be more.
    pub next: Option<PrunePosition>,
}
