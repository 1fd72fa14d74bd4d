//! The reads that a database offers. Each one reads a single snapshot.

use crate::Dedup;
use crate::mark::Mark;
use crate::rows::{
    BoundedCount, CountFilter, CountSeries, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, EventFilter,
    EventRow, HostRow, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, OperatorAction, Order,
    OwnedSession, Page, PluginFile, Position, QuarantineGroup, QueueCounts, QueueRead, RelatedIncident, SessionRow,
    SharedObservable, SharedVersion, SourceRow, StorageUse, StoredDelivery, Tally, TokenRow, TriageJob, VersionRow,
};
use anyhow::Result;
use hookmill_incident::{AuditEntry, Event, EventStatus};
use hookmill_notify::Trigger;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use uuid::Uuid;

/// The result of a read, later.
pub(crate) trait Read<T>: Future<Output = Result<T>> + Send {}

impl<T, F: Future<Output = Result<T>> + Send> Read<T> for F {}

/// Hands the reads to another macro, by which the trait and its implementation for several databases have one list.
macro_rules! for_all_reads {
    ($then:ident) => {
        $then! {
            fn event(id: Uuid) -> Option<Listed<EventRow>>;
            fn events(filter: EventFilter, before: Option<i64>, limit: usize) -> Page<Listed<EventRow>>;
            fn count_found_events(filter: EventFilter, max: usize) -> BoundedCount;
            fn events_with_status(status: EventStatus, after: i64, limit: usize) -> Vec<EventRow>;
            fn events_with_ids(ids: Vec<Uuid>) -> Vec<(Uuid, Listed<EventRow>)>;
            fn count_events(status: EventStatus) -> i64;
            fn quarantine_groups(before: Option<i64>, limit: usize) -> Page<QuarantineGroup>;
            fn quarantined(group: String, keys: RangeInclusive<i64>, limit: usize) -> Page<Uuid>;
            fn is_repeat(event: Event, dedup: Dedup) -> bool;
            fn newest_event_ids(sources: Vec<String>, limit: usize) -> Vec<Uuid>;
            fn incident(which: IncidentKey) -> Option<Listed<IncidentRow>>;
            fn incidents(
                filter: IncidentFilter,
                order: Order,
                after: Option<Position>,
                limit: usize,
            ) -> Page<Listed<IncidentRow>, Position>;
            fn count_incidents(filter: IncidentFilter, max: usize) -> BoundedCount;
            fn counted_observables(which: IncidentKey) -> Option<Listed<Vec<SharedObservable>>>;
            fn related_incidents(which: IncidentKey, limit: usize) -> Option<Listed<Vec<RelatedIncident>>>;
            fn open_incidents(now_ms: i64) -> Vec<OpenIncidents>;
            fn audit(which: IncidentKey, after: Option<i64>, limit: usize) -> Option<Page<Listed<AuditEntry>>>;
            fn audit_backwards(
                which: IncidentKey,
                before: Option<i64>,
                limit: usize,
            ) -> Option<Page<Listed<AuditEntry>>>;
            fn audit_of_request(
                which: IncidentKey,
                request_id: String,
                before: Option<i64>,
                limit: usize,
            ) -> Option<Page<Listed<AuditEntry>>>;
            fn newest_audit(which: IncidentKey) -> Option<AuditEntry>;
            fn deliveries(filter: DeliveryFilter, before: Option<i64>, limit: usize) -> Page<DeliveryRow>;
            fn due_deliveries(queues: Arc<[QueueRead]>) -> Vec<DueDeliveries>;
            fn delivery(id: Uuid) -> Option<StoredDelivery>;
            fn delivery_counts(destinations: Vec<String>) -> Vec<QueueCounts>;
            fn dead_letters(destinations: Vec<String>, limit: usize) -> Vec<DeadLetters>;
            fn pending_destinations() -> Vec<String>;
            fn waiting_playbooks() -> Vec<String>;
            fn triage_jobs(playbook: String, after: i64, limit: usize) -> Vec<TriageJob>;
            fn count_triage() -> i64;
            fn registered_sources() -> Vec<SourceRow>;
            fn tallies(sources: Vec<Arc<str>>) -> BTreeMap<Arc<str>, Tally>;
            fn count_series(filter: CountFilter) -> Vec<CountSeries>;
            fn storage() -> StorageUse;
            fn raised_since(trigger: Trigger) -> Option<i64>;
            fn cursors() -> BTreeMap<String, String>;
            fn plugin_versions(plugin: String) -> Vec<VersionRow>;
            fn shared_versions() -> Vec<SharedVersion>;
            fn plugin_file(plugin: String, sha256: String) -> Option<PluginFile>;
            fn is_known_file(plugin: String, sha256: String) -> bool;
            fn hosts() -> Vec<HostRow>;
            fn silent_sources() -> BTreeMap<String, i64>;
            fn mark() -> Mark;
            fn operator_actions(ids: Vec<Uuid>, before: Option<i64>, limit: usize) -> Page<OperatorAction>;
            fn session(digest: [u8; 32]) -> Option<SessionRow>;
            fn sessions(limit: usize) -> Vec<OwnedSession>;
            fn tokens() -> Vec<TokenRow>;
            fn token(hash: [u8; 32], now: i64) -> Option<TokenRow>;
        }
    };
}
pub(crate) use for_all_reads;

macro_rules! declare_reads {
    ($(fn $name:ident($($value:ident: $type:ty),* $(,)?) -> $answer:ty;)*) => {
        /// Lists, single rows, counts and the stream of audit entries, each documented at the method of [`crate::Store`]
        /// of the same name. Sessions may be valid or not.
        pub(crate) trait Reads {
            $(fn $name(&self, $($value: $type),*) -> impl Read<$answer>;)*
            fn audit_after<T: Send + 'static>(
                &self,
                after: Uuid,
                to: T,
                add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
            ) -> impl Read<T>;
            /// Blocks.
            fn compiled_digest(&self, name: &str) -> Result<Option<[u8; 32]>>;
        }
    };
}
for_all_reads!(declare_reads);
