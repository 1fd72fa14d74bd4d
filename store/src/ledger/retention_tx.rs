//! The row verbs that retention needs.

use super::Tx;
use crate::rows::{EventRow, StoredKind};
use anyhow::Result;

/// The rows of one transaction, for retention. The verbs that end with `_of` find rows by the key of their subject.
pub(crate) trait RetentionTx: Tx {
    /// Returns the key of the newest event; 0 if there are none.
    fn newest_event(&mut self) -> Result<i64>;
    /// Returns the key of the newest audit entry of all; 0 if there are none.
    fn newest_entry(&mut self) -> Result<i64>;
    /// Returns the key up to which retention has looked at the rows of a kind.
    fn retention_position(&mut self, kind: StoredKind) -> Result<i64>;
    /// Replaces the key up to which retention has looked at the rows of a kind.
    fn set_retention_position(&mut self, kind: StoredKind, key: i64) -> Result<()>;

    /// Returns events between two keys, the oldest first.
    fn events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>>;
    /// Returns events between two keys that had to stay before, the oldest first.
    fn kept_events_between(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<OldEvent>>;
    /// Remembers that an event had to stay.
    fn keep_event(&mut self, event: i64) -> Result<()>;
    /// Forgets that an event had to stay.
    fn forget_kept_event(&mut self, event: i64) -> Result<()>;
    /// Removes the bodies of events at a time.
    fn remove_bodies(&mut self, events: &[&OldEvent], at: i64) -> Result<()>;
    /// Removes events.
    fn remove_events(&mut self, events: &[&OldEvent]) -> Result<()>;

    /// Returns at most `limit` incidents that were deleted or have ended and whose newest audit entry is between two
    /// keys, in the order of these entries.
    fn ended_incidents(&mut self, after: i64, before: i64, limit: usize) -> Result<Vec<EndedIncident>>;
    /// Returns at most `limit` audit entries that precede the newest one of an incident, the oldest first.
    fn entries_before(&mut self, newest: i64, limit: usize) -> Result<Vec<i64>>;
    /// Removes audit entries.
    fn remove_entries(&mut self, entries: &[i64]) -> Result<()>;
    /// Removes an incident.
    fn remove_incident(&mut self, incident: i64) -> Result<()>;

    /// Returns whether a delivery of a subject is pending.
    fn has_pending_of(&mut self, subject: i64) -> Result<bool>;
    /// Returns at most `limit` deliveries of a subject.
    fn deliveries_of(&mut self, subject: i64, limit: usize) -> Result<Vec<i64>>;
}

/// An event that is old enough for retention.
#[derive(Clone, Debug)]
pub(crate) struct OldEvent {
    pub key: i64,
    /// The event without its body; `None` if it cannot be read.
    pub row: Option<EventRow>,
    /// The size of the body; `None` if the body was removed.
    pub body_bytes: Option<i64>,
}

/// An incident that was deleted or has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedIncident {
    pub key: i64,
    pub newest_audit: i64,
}
