//! The reads that a database offers. Each one reads a single snapshot.

use crate::Dedup;
use crate::mark::Mark;
use crate::rows::{
    BoundedCount, CountFilter, CountSeries, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, EventFilter,
    EventRow, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, OperatorAction, Order, OwnedSession,
    Page, Position, QuarantineGroup, QueueCounts, QueuePosition, RelatedIncident, SessionRow, SharedObservable,
    SourceRow, StorageUse, StoredDelivery, Tally, TokenRow, TriageJob, VersionRow,
};
use anyhow::Result;
use hookmill_incident::{AuditEntry, Event, EventStatus};
use hookmill_notify::Trigger;
use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use uuid::Uuid;

/// The result of a read, later.
pub(crate) trait Read<T>: Future<Output = Result<T>> + Send {}

impl<T, F: Future<Output = Result<T>> + Send> Read<T> for F {}

/// Lists, single rows, counts and the stream of audit entries, each documented at the method of [`crate::Store`] of the
/// same name.
pub(crate) trait Reads {
    fn event(&self, id: Uuid) -> impl Read<Option<Listed<EventRow>>>;
    fn events(&self, filter: EventFilter, before: Option<i64>, limit: usize) -> impl Read<Page<Listed<EventRow>>>;
    fn count_found_events(&self, filter: EventFilter, max: usize) -> impl Read<BoundedCount>;
    fn events_with_status(&self, status: EventStatus, after: i64, limit: usize) -> impl Read<Vec<EventRow>>;
    fn events_with_ids(&self, ids: Vec<Uuid>) -> impl Read<Vec<(Uuid, Listed<EventRow>)>>;
    fn count_events(&self, status: EventStatus) -> impl Read<i64>;
    fn quarantine_groups(&self, before: Option<i64>, limit: usize) -> impl Read<Page<QuarantineGroup>>;
    fn quarantined(&self, group: String, keys: RangeInclusive<i64>, limit: usize) -> impl Read<Page<Uuid>>;
    fn is_repeat(&self, event: Event, dedup: Dedup) -> impl Read<bool>;
    fn newest_event_ids(&self, sources: Vec<String>, limit: usize) -> impl Read<Vec<Uuid>>;

    fn incident(&self, which: IncidentKey) -> impl Read<Option<Listed<IncidentRow>>>;
    fn incidents(
        &self,
        filter: IncidentFilter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> impl Read<Page<Listed<IncidentRow>, Position>>;
    fn count_incidents(&self, filter: IncidentFilter, max: usize) -> impl Read<BoundedCount>;
    fn counted_observables(&self, which: IncidentKey) -> impl Read<Option<Listed<Vec<SharedObservable>>>>;
    fn related_incidents(&self, which: IncidentKey, limit: usize) -> impl Read<Option<Listed<Vec<RelatedIncident>>>>;

    fn open_incidents(&self, now_ms: i64) -> impl Read<Vec<OpenIncidents>>;

    fn audit(
        &self,
        which: IncidentKey,
        after: Option<i64>,
        limit: usize,
    ) -> impl Read<Option<Page<Listed<AuditEntry>>>>;
    fn audit_backwards(
        &self,
        which: IncidentKey,
        before: Option<i64>,
        limit: usize,
    ) -> impl Read<Option<Page<Listed<AuditEntry>>>>;
    fn audit_of_request(
        &self,
        which: IncidentKey,
        request_id: String,
        before: Option<i64>,
        limit: usize,
    ) -> impl Read<Option<Page<Listed<AuditEntry>>>>;
    fn newest_audit(&self, which: IncidentKey) -> impl Read<Option<AuditEntry>>;
    fn audit_after<T: Send + 'static>(
        &self,
        after: Uuid,
        to: T,
        add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
    ) -> impl Read<T>;

    fn deliveries(&self, filter: DeliveryFilter, before: Option<i64>, limit: usize) -> impl Read<Page<DeliveryRow>>;
    fn due_deliveries(
        &self,
        destination: String,
        now: i64,
        after: QueuePosition,
        limit: usize,
        without: HashSet<Uuid>,
    ) -> impl Read<DueDeliveries>;
    fn delivery(&self, id: Uuid) -> impl Read<Option<StoredDelivery>>;
    fn delivery_counts(&self, destinations: Vec<String>) -> impl Read<Vec<QueueCounts>>;
    fn dead_letters(&self, destinations: Vec<String>, limit: usize) -> impl Read<Vec<DeadLetters>>;
    fn pending_destinations(&self) -> impl Read<Vec<String>>;

    fn waiting_playbooks(&self) -> impl Read<Vec<String>>;
    fn triage_jobs(&self, playbook: String, after: i64, limit: usize) -> impl Read<Vec<TriageJob>>;
    fn count_triage(&self) -> impl Read<i64>;

    fn registered_sources(&self) -> impl Read<Vec<SourceRow>>;
    fn tally(&self, source: Arc<str>) -> impl Read<Tally>;
    fn count_series(&self, filter: CountFilter) -> impl Read<Vec<CountSeries>>;
    fn storage(&self) -> impl Read<StorageUse>;
    fn raised_since(&self, trigger: Trigger) -> impl Read<Option<i64>>;
    fn cursors(&self) -> impl Read<BTreeMap<String, String>>;
    fn plugin_versions(&self, plugin: String) -> impl Read<Vec<VersionRow>>;
    fn mark(&self) -> impl Read<Mark>;
    fn operator_actions(&self, ids: Vec<Uuid>, before: Option<i64>, limit: usize) -> impl Read<Page<OperatorAction>>;
    /// Returns the session with this digest, valid or not.
    fn session(&self, digest: [u8; 32]) -> impl Read<Option<SessionRow>>;
    /// Returns the newest sessions, valid or not.
    fn sessions(&self, limit: usize) -> impl Read<Vec<OwnedSession>>;
    fn tokens(&self) -> impl Read<Vec<TokenRow>>;
    fn token(&self, hash: [u8; 32], now: i64) -> impl Read<Option<TokenRow>>;
    /// Blocks.
    fn compiled_digest(&self, name: &str) -> Result<Option<[u8; 32]>>;
}
