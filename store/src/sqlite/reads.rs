//! The reads in SQLite.

use super::Sqlite;
use super::{
    audit, counts, database, deliveries, destinations, events, incidents, open_incidents, operator_actions, postings,
    quarantine, queue, recent_repeats, related, search, sessions, sources, storage, tokens, triage, versions,
};
use crate::Dedup;
use crate::ledger::is_repeat;
use crate::mark::Mark;
use crate::reads::Reads;
use crate::rows::{
    BoundedCount, CountFilter, CountSeries, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, EventFilter,
    EventRow, HostRow, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, OperatorAction, Order,
    OwnedSession, Page, PluginFile, Position, QuarantineGroup, QueueCounts, QueueRead, RelatedIncident, SessionRow,
    SharedObservable, SharedVersion, SourceRow, StorageUse, StoredDelivery, Tally, TokenRow, TriageJob, VersionRow,
};
use anyhow::Result;
use hookmill_incident::{AuditEntry, Event, EventStatus};
use hookmill_notify::Trigger;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use uuid::Uuid;

impl Reads for Sqlite {
    async fn event(&self, id: Uuid) -> Result<Option<Listed<EventRow>>> {
        self.readers.read(move |connection| events::find(connection, id)).await
    }

    async fn events(&self, filter: EventFilter, before: Option<i64>, limit: usize) -> Result<Page<Listed<EventRow>>> {
        self.readers.scan(move |connection| events::list(connection, &filter, before, limit)).await
    }

    async fn count_found_events(&self, filter: EventFilter, max: usize) -> Result<BoundedCount> {
        self.readers.scan(move |connection| events::count(connection, &filter, max)).await
    }

    async fn events_with_status(&self, status: EventStatus, after: i64, limit: usize) -> Result<Vec<EventRow>> {
        self.readers.read(move |connection| events::with_status(connection, status, after, limit)).await
    }

    async fn events_with_ids(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, Listed<EventRow>)>> {
        self.readers.read(move |connection| events::with_ids(connection, &ids)).await
    }

    async fn count_events(&self, status: EventStatus) -> Result<i64> {
        self.readers.scan(move |connection| events::count_status(connection, status)).await
    }

    async fn quarantine_groups(&self, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
        self.readers.scan(move |connection| quarantine::groups(connection, before, limit)).await
    }

    async fn quarantined(&self, group: String, keys: RangeInclusive<i64>, limit: usize) -> Result<Page<Uuid>> {
        self.readers.scan(move |connection| quarantine::members(connection, &group, &keys, limit)).await
    }

    async fn is_repeat(&self, event: Event, dedup: Dedup) -> Result<bool> {
        self.readers.read(move |connection| is_repeat(&event, dedup, |key| recent_repeats::find(connection, key))).await
    }

    async fn newest_event_ids(&self, sources: Vec<String>, limit: usize) -> Result<Vec<Uuid>> {
        self.readers.scan(move |connection| events::newest_ids(connection, &sources, limit)).await
    }

    async fn incident(&self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        self.readers.read(move |connection| incidents::find(connection, which)).await
    }

    async fn incidents(
        &self,
        filter: IncidentFilter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Page<Listed<IncidentRow>, Position>> {
        if postings::have(&filter) {
            self.index().await;
        }
        self.readers.scan(move |connection| search::list(connection, &filter, &order, after.as_ref(), limit)).await
    }

    async fn count_incidents(&self, filter: IncidentFilter, max: usize) -> Result<BoundedCount> {
        if postings::have(&filter) {
            self.index().await;
        }
        self.readers.scan(move |connection| search::count(connection, &filter, max)).await
    }

    async fn counted_observables(&self, which: IncidentKey) -> Result<Option<Listed<Vec<SharedObservable>>>> {
        self.index().await;
        self.readers.scan(move |connection| related::counted(connection, which)).await
    }

    async fn related_incidents(
        &self,
        which: IncidentKey,
        limit: usize,
    ) -> Result<Option<Listed<Vec<RelatedIncident>>>> {
        self.index().await;
        self.readers.scan(move |connection| related::list(connection, which, limit)).await
    }

    async fn open_incidents(&self, now_ms: i64) -> Result<Vec<OpenIncidents>> {
        self.readers.scan(move |connection| open_incidents::counts(connection, now_ms)).await
    }

    async fn audit(
        &self,
        which: IncidentKey,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        self.readers.scan(move |connection| audit::trail(connection, which, after, limit)).await
    }

    async fn audit_backwards(
        &self,
        which: IncidentKey,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        self.readers.scan(move |connection| audit::trail_backwards(connection, which, before, limit)).await
    }

    async fn audit_of_request(
        &self,
        which: IncidentKey,
        request_id: String,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        self.readers.scan(move |connection| audit::of_request(connection, which, &request_id, before, limit)).await
    }

    async fn newest_audit(&self, which: IncidentKey) -> Result<Option<AuditEntry>> {
        self.readers.read(move |connection| audit::newest(connection, which)).await
    }

    async fn audit_after<T: Send + 'static>(
        &self,
        after: Uuid,
        to: T,
        add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T> {
        self.readers.read(move |connection| audit::after(connection, after, to, add)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter, before: Option<i64>, limit: usize) -> Result<Page<DeliveryRow>> {
        self.readers.scan(move |connection| deliveries::list(connection, &filter, before, limit)).await
    }

    async fn due_deliveries(&self, queues: Arc<[QueueRead]>) -> Result<Vec<DueDeliveries>> {
        self.readers.read(move |connection| queues.iter().map(|wanted| queue::due(connection, wanted)).collect()).await
    }

    async fn delivery(&self, id: Uuid) -> Result<Option<StoredDelivery>> {
        let read = move |connection: &Connection| {
            let found = deliveries::find(connection, id)?.zip(queue::find_due(connection, id)?);
            Ok(found.map(|(row, due)| StoredDelivery { row, due }))
        };
        self.readers.read(read).await
    }

    async fn delivery_counts(&self, destinations: Vec<String>) -> Result<Vec<QueueCounts>> {
        self.readers.scan(move |connection| queue::counts(connection, destinations)).await
    }

    async fn dead_letters(&self, destinations: Vec<String>, limit: usize) -> Result<Vec<DeadLetters>> {
        self.readers.scan(move |connection| deliveries::dead_letters(connection, &destinations, limit)).await
    }

    async fn pending_destinations(&self) -> Result<Vec<String>> {
        self.readers.read(queue::pending_destinations).await
    }

    async fn waiting_playbooks(&self) -> Result<Vec<String>> {
        self.readers.read(triage::waiting_playbooks).await
    }

    async fn triage_jobs(&self, playbook: String, after: i64, limit: usize) -> Result<Vec<TriageJob>> {
        self.readers.read(move |connection| triage::jobs(connection, &playbook, after, limit)).await
    }

    async fn count_triage(&self) -> Result<i64> {
        self.readers.scan(triage::count).await
    }

    async fn registered_sources(&self) -> Result<Vec<SourceRow>> {
        self.readers.read(sources::list).await
    }

    async fn tallies(&self, sources: Vec<Arc<str>>) -> Result<BTreeMap<Arc<str>, Tally>> {
        let read = move |connection: &Connection| {
            sources.into_iter().map(|source| Ok((source.clone(), sources::tally(connection, &source)?))).collect()
        };
        self.readers.read(read).await
    }

    async fn count_series(&self, filter: CountFilter) -> Result<Vec<CountSeries>> {
        self.readers.scan(move |connection| counts::series(connection, &filter)).await
    }

    async fn storage(&self) -> Result<StorageUse> {
        let path = self.readers.path().to_owned();
        self.readers.read(move |connection| storage::usage(connection, &path)).await
    }

    async fn raised_since(&self, trigger: Trigger) -> Result<Option<i64>> {
        self.readers.read(move |connection| destinations::raised_since(connection, trigger)).await
    }

    async fn cursors(&self) -> Result<BTreeMap<String, String>> {
        self.readers.read(sources::cursors).await
    }

    async fn plugin_versions(&self, plugin: String) -> Result<Vec<VersionRow>> {
        self.readers.read(move |connection| versions::list(connection, &plugin)).await
    }

    async fn silent_sources(&self) -> Result<BTreeMap<String, i64>> {
        self.readers.read(destinations::silent_sources).await
    }

    async fn shared_versions(&self) -> Result<Vec<SharedVersion>> {
        Ok(Vec::new())
    }

    async fn plugin_file(&self, _: String, _: String) -> Result<Option<PluginFile>> {
        Ok(None)
    }

    async fn is_known_file(&self, _: String, _: String) -> Result<bool> {
        Ok(false)
    }

    async fn hosts(&self) -> Result<Vec<HostRow>> {
        Ok(Vec::new())
    }

    async fn mark(&self) -> Result<Mark> {
        self.readers.read(database::mark).await
    }

    async fn operator_actions(
        &self,
        ids: Vec<Uuid>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<OperatorAction>> {
        self.readers.scan(move |connection| operator_actions::list(connection, &ids, before, limit)).await
    }

    async fn session(&self, digest: [u8; 32]) -> Result<Option<SessionRow>> {
        self.readers.read(move |connection| sessions::find(connection, &digest)).await
    }

    async fn sessions(&self, limit: usize) -> Result<Vec<OwnedSession>> {
        self.readers.read(move |connection| sessions::newest(connection, limit)).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        self.readers.read(tokens::list).await
    }

    async fn token(&self, hash: [u8; 32], now: i64) -> Result<Option<TokenRow>> {
        self.readers.read(move |connection| tokens::find(connection, &hash, now)).await
    }

    fn compiled_digest(&self, name: &str) -> Result<Option<[u8; 32]>> {
        self.readers.read_blocking(|connection| versions::compiled_digest(connection, name))
    }
}
