//! The row verbs that a database offers to the decisions.

use super::{Counts, EncodedEvent};
use crate::leases::Grant;
use crate::rows::{
    Attempt, Cursor, DeliveryFilter, DeliveryStatus, IncidentKey, IncidentRow, Listed, OperatorAction, PluginFile,
    ProofReport, SessionRow, SourceRow, Tally, TriageJob, VersionState,
};
use anyhow::Result;
use hookmill_incident::{Details, Difference, EventState, EventStatus, Mapped, Number, Operation, PluginVersion};
use hookmill_notify::Trigger;
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// The rows of one transaction.
///
/// A verb reads or changes the rows of one thing. Keys are those of [`hookmill_incident::id::key`]. A database that is
/// far away can load the rows that a write needs beforehand and run the verbs in memory: no verb needs more than the
/// keys in its arguments, except for the bulk verbs at the end.
pub(crate) trait Tx {
    /// Returns whether a grant is the newest one of its lease. In a database that only one process can open, it is.
    fn is_newest_grant(&mut self, _: &Grant) -> Result<bool> {
        Ok(true)
    }

    /// Adds a repeat key unless the key exists. Returns the event of an existing key.
    fn add_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<Option<KnownEvent>>;
    /// Returns the event of a repeat key.
    fn find_repeat(&mut self, key: &RepeatKeyRow) -> Result<Option<KnownEvent>>;
    /// Adds or replaces a repeat key.
    fn put_repeat(&mut self, key: &RepeatKeyRow, event: KnownEvent) -> Result<()>;

    /// Returns the state of the event with this key.
    fn event_state(&mut self, event: i64) -> Result<Option<EventState>>;
    /// Returns the status of an event.
    fn event_status(&mut self, id: Uuid) -> Result<Option<EventStatus>>;
    /// Adds an event.
    fn put_event(&mut self, event: &NewEvent) -> Result<()>;
    /// Replaces the state of an event, its number of attempts, the plugin versions that were tried, and its journey.
    fn update_event(&mut self, state: &EventState, attempts: u32, mapped: &Mapped) -> Result<()>;
    /// Marks an event as discarded, with the reason, and changes nothing else.
    fn discard_event(&mut self, id: Uuid, reason: Option<&str>) -> Result<()>;

    /// Returns an incident that was not deleted.
    fn find_incident(&mut self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>>;
    /// Returns the key of the newest audit entry of an incident, which may be unreadable.
    fn newest_audit(&mut self, incident: Uuid) -> Result<i64>;
    /// Returns the newest incident of a source-ref that was not deleted.
    fn newest_incident(&mut self, source: &str, source_ref: &str) -> Result<Option<IncidentRow>>;
    /// Adds an incident.
    fn put_incident(&mut self, row: &IncidentRow) -> Result<()>;
    /// Replaces an incident, which is `before` until then.
    fn update_incident(&mut self, before: &IncidentRow, row: &IncidentRow) -> Result<()>;
    /// Sets or ends the hold of an incident.
    fn set_hold(&mut self, incident: i64, is_held: bool) -> Result<()>;
    /// Returns whether an incident has a hold.
    fn is_held(&mut self, incident: i64) -> Result<bool>;
    /// Marks an incident as deleted, with the key of its last audit entry.
    fn delete_incident(&mut self, id: Uuid, newest_audit: i64) -> Result<()>;
    /// Returns the next incident number of a year.
    fn next_number(&mut self, year: i16) -> Result<Number>;

    /// Adds an audit entry. The entry has no copy of the object; while the incident is unchanged, its row serves as the
    /// object.
    fn add_audit(&mut self, entry: &NewAuditEntry) -> Result<()>;
    /// Keeps for an entry what changes in its object without another entry, unless something was kept already.
    fn keep_moved(&mut self, entry: i64, moved: &Difference) -> Result<()>;
    /// Keeps for an entry how its object differs from that of the entry `next`; without `next`, from the incident.
    fn keep_difference(&mut self, entry: i64, difference: &Difference, next: Option<i64>) -> Result<()>;

    /// Adds a delivery.
    fn add_delivery(&mut self, delivery: &NewDelivery) -> Result<()>;
    /// Returns whether a delivery of a subject is pending in a queue, with a key below `before`.
    fn has_pending(&mut self, destination: &str, subject: i64, before: i64) -> Result<bool>;
    /// Returns the destination and the status of a delivery.
    fn find_delivery(&mut self, id: Uuid) -> Result<Option<(String, DeliveryStatus)>>;
    /// Makes a delivery pending. Without a time it waits for an earlier delivery of its subject.
    fn set_pending(&mut self, delivery: i64, next_at: Option<i64>) -> Result<()>;
    /// Adds an attempt and replaces the status of its delivery. Returns whether there is such a delivery.
    fn add_attempt(&mut self, delivery: i64, attempt: &Attempt, status: DeliveryStatus, next_at: i64) -> Result<bool>;
    /// Makes the first pending delivery of the same subject due, if it waits.
    fn release_next(&mut self, destination: &str, delivery: i64, at: i64) -> Result<()>;

    /// Returns the health of a destination, unless it is stored with another fingerprint.
    fn find_destination(&mut self, name: &str, fingerprint: &str) -> Result<Option<DestinationHealth>>;
    /// Adds or replaces a destination.
    fn put_destination(&mut self, name: &str, fingerprint: &str, health: &DestinationHealth) -> Result<()>;
    /// Replaces the health of a destination.
    fn update_destination(&mut self, name: &str, failing_since: Option<i64>, disabled: Option<&str>) -> Result<()>;

    /// Adds a triage request, or replaces that of the same incident.
    fn put_triage_request(&mut self, request: &TriageRequest) -> Result<()>;
    /// Returns whether the request of a job waits unchanged.
    fn has_triage_request(&mut self, job: &TriageJob) -> Result<bool>;
    /// Removes the triage request of an incident, if there is one.
    fn remove_triage_request(&mut self, incident: i64) -> Result<()>;
    /// Marks the triage request of an incident as failed on a plugin version.
    fn fail_triage_request(&mut self, incident: i64, sha256: &str) -> Result<()>;
    /// Counts a call, if the request of the job is unchanged.
    fn count_triage_attempt(&mut self, job: &TriageJob) -> Result<()>;

    /// Returns the position of a source, unless it is stored with another start.
    fn find_cursor(&mut self, source: &str, start: &str) -> Result<Option<String>>;
    /// Adds or replaces the position of a source.
    fn put_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()>;
    /// Replaces the position of a source, unless it is stored with another start.
    fn update_cursor(&mut self, source: &str, cursor: &Cursor) -> Result<()>;

    /// Records the start of a source's silence, or its end.
    fn set_silent(&mut self, source: &str, since: Option<i64>) -> Result<()>;

    /// Records the start of a condition about which notifications were queued, or its end.
    fn set_raised(&mut self, trigger: Trigger, since: Option<i64>) -> Result<()>;

    /// Adds counts to those of the same minutes.
    fn add_counts(&mut self, counts: &Counts) -> Result<()>;
    /// Removes at most `limit` counts of minutes before one. Returns their number.
    fn remove_counts(&mut self, before: i64, limit: usize) -> Result<usize>;

    /// Remembers the present state, for [`Tx::undo_dry_run`].
    fn begin_dry_run(&mut self) -> Result<()>;
    /// Returns to the state before the dry run.
    fn undo_dry_run(&mut self) -> Result<()>;
    /// Returns the destinations of the deliveries after a key, sorted.
    fn destinations_after(&mut self, key: i64) -> Result<Vec<String>>;

    /// Removes at most `limit` repeat keys before a time. Returns their number.
    fn remove_repeats(&mut self, before: i64, limit: usize) -> Result<usize>;
    /// Returns dead deliveries of the filter and of these destinations with a key above `after`, the oldest first.
    fn dead_deliveries(
        &mut self,
        filter: &DeliveryFilter,
        destinations: &[&str],
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadDelivery>>;
    /// Makes at most `limit` pending deliveries of a destination dead, those that wait for others first. Returns their
    /// number.
    fn kill_pending(&mut self, destination: &str, error: &str, limit: usize) -> Result<usize>;
    /// Looks at `limit` deliveries between two keys.
    fn delivered(&mut self, after: i64, before: i64, limit: usize) -> Result<Delivered>;
    /// Removes deliveries with their attempts.
    fn remove_deliveries(&mut self, deliveries: &[i64]) -> Result<()>;
    /// Makes at most `limit` pending deliveries of a destination due whose time was set by a clock that was ahead: those
    /// without an attempt that are not due yet, those whose last attempt is in the future, and those due after `latest`.
    /// Returns their number.
    fn pull_forward(&mut self, destination: &str, now: i64, latest: i64, limit: usize) -> Result<usize>;
    /// Makes the pending deliveries of a destination wait for each other, or for nothing.
    fn order_pending(&mut self, destination: &str, is_ordered: bool) -> Result<()>;
    /// Makes the failed requests of a playbook wait again, except those that failed on this plugin version.
    fn retry_triage_requests(&mut self, playbook: &str, sha256: &str) -> Result<()>;
}

/// Writes that follow no decision: registered sources, counts, sessions, plugin versions and the cache of compiled plugins.
pub(crate) trait PlainWrites {
    /// Adds or replaces a registered source and its secrets.
    fn put_source(&mut self, source: &SourceRow) -> Result<()>;
    /// Removes a registered source, its secrets and its counts.
    fn remove_source(&mut self, name: &str) -> Result<()>;
    /// Writes a page without changing its content.
    fn touch(&mut self) -> Result<()>;
    /// Returns the counts of a source.
    fn tally(&mut self, source: &str) -> Result<Tally>;
    /// Replaces the counts of sources.
    fn put_tallies(&mut self, tallies: &[(Arc<str>, Tally)]) -> Result<()>;
    /// Records the bytes of the database in use in an hour since the Unix epoch, and removes the samples before another.
    fn put_storage_sample(&mut self, hour: i64, oldest: i64) -> Result<()>;
    /// Gives a few free pages of the database back to the disk, but keeps some for new rows. Returns whether there are more
    /// to give back.
    fn release_pages(&mut self) -> Result<bool>;
    /// Adds an action of an operator, and removes those before the row key `oldest`, if it is known.
    fn add_operator_action(&mut self, action: &OperatorAction, oldest: Option<i64>) -> Result<()>;
    /// Adds a session, and removes those that have ended and all but the newest `keep` of its token.
    fn add_session(&mut self, session: &SessionRow, keep: usize) -> Result<()>;
    /// Sets when a session was last used.
    fn set_session_used(&mut self, digest: &[u8; 32], used_at: i64) -> Result<()>;
    /// Removes a session. Returns whether there was one.
    fn remove_session(&mut self, digest: &[u8; 32]) -> Result<bool>;
    /// Removes a token. Returns whether there was one.
    fn remove_token(&mut self, name: &str) -> Result<bool>;
    /// Records the decision on a plugin version that is not live, and removes the oldest of these versions.
    fn put_version(&mut self, plugin: &PluginVersion, state: VersionState, report: Option<&ProofReport>) -> Result<()>;
    /// Records that a plugin version goes live, and removes all but `keep` of the versions that were live. Returns the
    /// digests of the versions that remain.
    fn put_live_version(&mut self, plugin: &PluginVersion, keep: usize) -> Result<Vec<String>>;
    /// Keeps the file of a plugin version for all hosts. With a database that only one process can open, the data folder
    /// has the files.
    fn put_plugin_file(&mut self, _: &PluginVersion, _: &PluginFile) -> Result<()> {
        Ok(())
    }

    /// Removes all versions of a plugin and their files.
    fn remove_versions(&mut self, plugin: &str) -> Result<()>;
    /// Sets the digest of a file in the cache and removes the plugin's other files except the newest. Returns the names
    /// of the removed files.
    fn put_compiled(&mut self, plugin: &str, name: &str, digest: [u8; 32]) -> Result<Vec<String>>;
}

/// The key by which a repeat of an event is recognised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RepeatKeyRow<'a> {
    /// The signed time, or the end of the window into which the event falls, in milliseconds since the Unix epoch.
    pub at: i64,
    pub source: &'a str,
    pub digest: &'a [u8; 32],
}

/// An event that a repeat key recognises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KnownEvent {
    pub key: i64,
    /// When the event arrived, in milliseconds since the Unix epoch.
    pub received_at: i64,
}

/// An event to add.
pub(crate) struct NewEvent<'a> {
    pub mapped: &'a Mapped,
    pub state: &'a EventState,
    pub attempts: u32,
    /// When the event is written, in milliseconds since the Unix epoch.
    pub stored_at: i64,
    /// The columns that were encoded before the transaction.
    pub encoded: &'a EncodedEvent,
}

/// An audit entry to add.
pub(crate) struct NewAuditEntry<'a> {
    pub id: Uuid,
    /// The key of the incident.
    pub incident: i64,
    /// The key of the entry before.
    pub previous: Option<i64>,
    pub operation: Operation,
    pub at: i64,
    pub request_id: &'a str,
    /// None in a Creation: the details are the attributes of the incident.
    pub details: Option<NewDetails<'a>>,
}

/// The details of an audit entry to add.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum NewDetails<'a> {
    /// The names of the attributes that changed. Their new values are in the object.
    Names(Vec<&'a str>),
    /// Values that the object does not have.
    Values(&'a Details),
}

/// The subject of a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// An audit entry of an incident, by their keys, with the trace of the event that caused the change.
    Change { incident: i64, audit: i64, is_first: bool, traceparent: Option<&'a str> },
    /// An event, by its key, with its trace.
    Event { event: i64, traceparent: Option<&'a str> },
    /// Something that happened to the host itself, in JSON.
    Notice(&'a str),
}

/// A delivery to add.
pub(crate) struct NewDelivery<'a> {
    pub id: Uuid,
    pub destination: &'a str,
    pub status: DeliveryStatus,
    /// The time when the delivery is due; `None` while it waits for an earlier one.
    pub next_at: Option<i64>,
    pub error: Option<&'a str>,
    pub subject: Subject<'a>,
    /// The notification and the index of its step.
    pub step: Option<(&'a str, usize)>,
}

/// A dead delivery.
#[derive(Clone, Debug)]
pub(crate) struct DeadDelivery {
    pub key: i64,
    pub destination: String,
    /// The key of its subject.
    pub subject: i64,
}

/// The deliveries among some that were delivered.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// The keys of the deliveries and of their subjects.
    pub deliveries: Vec<(i64, i64)>,
    /// The last key that was looked at, if there may be more.
    pub last: Option<i64>,
}

/// The stored health of a destination.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DestinationHealth {
    pub failing_since: Option<i64>,
    /// The reason why the destination is disabled, if it is.
    pub disabled: Option<String>,
}

/// A triage request to add.
pub(crate) struct TriageRequest<'a> {
    /// The key of the incident.
    pub incident: i64,
    pub playbook: &'a str,
    /// Whether a person requested triage, rather than the source's `auto_triage`.
    pub is_manual: bool,
    pub request_id: &'a str,
}

impl Subject<'_> {
    /// Returns the key that is shared by the deliveries about the same thing: that of the incident or event; for a
    /// notice, that of the delivery itself.
    pub fn key(&self, delivery: i64) -> i64 {
        match *self {
            Self::Change { incident, .. } => incident,
            Self::Event { event, .. } => event,
            Self::Notice(_) => delivery,
        }
    }

    /// Returns the trace that attempts of the delivery belong to.
    pub fn traceparent(&self) -> Option<&str> {
        match *self {
            Self::Change { traceparent, .. } | Self::Event { traceparent, .. } => traceparent,
            Self::Notice(_) => None,
        }
    }
}
