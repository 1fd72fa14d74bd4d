//! The reads in PostgreSQL.

mod access;
mod audit;
mod counts;
pub(super) mod deliveries;
mod events;
mod incidents;
mod quarantine;
mod related;
mod search;
mod search_conditions;
pub(super) mod sources;
pub(super) mod stored_days;
mod triage;
mod versions;

pub(super) use access::tokens;

use super::hosts;
use super::plugin_files;
use super::query::cell;
use super::readers::{Readers, snapshot};
use crate::Dedup;
use crate::mark::Mark;
use crate::reads::Reads;
use crate::rows::{
    BoundedCount, CountFilter, CountSeries, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, EventFilter,
    EventRow, HostRow, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, OperatorAction, Order,
    OwnedSession, Page, PluginFile, Position, QuarantineGroup, QueueCounts, QueueRead, RelatedIncident, SessionRow,
    SharedObservable, SharedVersion, SourceRow, StorageUse, StoredDelivery, Tally, TokenRow, TriageJob, VersionRow,
};
use anyhow::Result;
use futures_util::future::try_join_all;
use hookmill_incident::{AuditEntry, Event, EventStatus};
use hookmill_notify::Trigger;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use uuid::Uuid;

impl Reads for Readers {
    async fn event(&self, id: Uuid) -> Result<Option<Listed<EventRow>>> {
        events::find(&**self.short().await?, id).await
    }

    async fn events(&self, filter: EventFilter, before: Option<i64>, limit: usize) -> Result<Page<Listed<EventRow>>> {
        events::list(&snapshot(&mut self.long().await?).await?, &filter, before, limit).await
    }

    async fn count_found_events(&self, filter: EventFilter, max: usize) -> Result<BoundedCount> {
        events::count(&snapshot(&mut self.long().await?).await?, &filter, max).await
    }

    async fn events_with_status(&self, status: EventStatus, after: i64, limit: usize) -> Result<Vec<EventRow>> {
        events::with_status(&**self.short().await?, status, after, limit).await
    }

    async fn events_with_ids(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, Listed<EventRow>)>> {
        events::with_ids(&**self.short().await?, &ids).await
    }

    async fn count_events(&self, status: EventStatus) -> Result<i64> {
        events::count_status(&**self.long().await?, status).await
    }

    async fn quarantine_groups(&self, before: Option<i64>, limit: usize) -> Result<Page<QuarantineGroup>> {
        quarantine::groups(&snapshot(&mut self.long().await?).await?, before, limit).await
    }

    async fn quarantined(&self, group: String, keys: RangeInclusive<i64>, limit: usize) -> Result<Page<Uuid>> {
        quarantine::members(&snapshot(&mut self.long().await?).await?, &group, &keys, limit).await
    }

    async fn is_repeat(&self, event: Event, dedup: Dedup) -> Result<bool> {
        events::is_known(&**self.short().await?, &event, dedup).await
    }

    async fn newest_event_ids(&self, sources: Vec<String>, limit: usize) -> Result<Vec<Uuid>> {
        events::newest_ids(&**self.long().await?, &sources, limit).await
    }

    async fn incident(&self, which: IncidentKey) -> Result<Option<Listed<IncidentRow>>> {
        incidents::find(&**self.short().await?, which).await
    }

    async fn incidents(
        &self,
        filter: IncidentFilter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Page<Listed<IncidentRow>, Position>> {
        search::list(&snapshot(&mut self.long().await?).await?, &filter, &order, after.as_ref(), limit).await
    }

    async fn count_incidents(&self, filter: IncidentFilter, max: usize) -> Result<BoundedCount> {
        search::count(&snapshot(&mut self.long().await?).await?, &filter, max).await
    }

    async fn counted_observables(&self, which: IncidentKey) -> Result<Option<Listed<Vec<SharedObservable>>>> {
        related::counted(&snapshot(&mut self.long().await?).await?, which).await
    }

    async fn related_incidents(
        &self,
        which: IncidentKey,
        limit: usize,
    ) -> Result<Option<Listed<Vec<RelatedIncident>>>> {
        related::list(&snapshot(&mut self.long().await?).await?, which, limit).await
    }

    async fn open_incidents(&self, now_ms: i64) -> Result<Vec<OpenIncidents>> {
        counts::open_incidents(&**self.long().await?, now_ms).await
    }

    async fn audit(
        &self,
        which: IncidentKey,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        audit::trail(&snapshot(&mut self.long().await?).await?, which, after, limit).await
    }

    async fn audit_backwards(
        &self,
        which: IncidentKey,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        audit::trail_backwards(&snapshot(&mut self.long().await?).await?, which, before, limit).await
    }

    async fn audit_of_request(
        &self,
        which: IncidentKey,
        request_id: String,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Option<Page<Listed<AuditEntry>>>> {
        audit::of_request(&snapshot(&mut self.long().await?).await?, which, &request_id, before, limit).await
    }

    async fn newest_audit(&self, which: IncidentKey) -> Result<Option<AuditEntry>> {
        audit::newest(&snapshot(&mut self.short().await?).await?, which).await
    }

    async fn audit_after<T: Send + 'static>(
        &self,
        after: Uuid,
        to: T,
        add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<T> {
        audit::after(&snapshot(&mut self.short().await?).await?, after, to, add).await
    }

    async fn deliveries(&self, filter: DeliveryFilter, before: Option<i64>, limit: usize) -> Result<Page<DeliveryRow>> {
        deliveries::list(&snapshot(&mut self.long().await?).await?, &filter, before, limit).await
    }

    async fn due_deliveries(&self, queues: Arc<[QueueRead]>) -> Result<Vec<DueDeliveries>> {
        let mut connection = self.short().await?;
        let snapshot = snapshot(&mut connection).await?;
        // Without waiting for the answer about one destination before asking for the next one.
        try_join_all(queues.iter().map(|queue| deliveries::due(&snapshot, queue))).await
    }

    async fn delivery(&self, id: Uuid) -> Result<Option<StoredDelivery>> {
        deliveries::find(&snapshot(&mut self.short().await?).await?, id).await
    }

    async fn delivery_counts(&self, destinations: Vec<String>) -> Result<Vec<QueueCounts>> {
        deliveries::counts(&**self.long().await?, destinations).await
    }

    async fn dead_letters(&self, destinations: Vec<String>, limit: usize) -> Result<Vec<DeadLetters>> {
        deliveries::dead_letters(&**self.long().await?, &destinations, limit).await
    }

    async fn pending_destinations(&self) -> Result<Vec<String>> {
        deliveries::pending_destinations(&**self.short().await?).await
    }

    async fn waiting_playbooks(&self) -> Result<Vec<String>> {
        triage::waiting_playbooks(&**self.short().await?).await
    }

    async fn triage_jobs(&self, playbook: String, after: i64, limit: usize) -> Result<Vec<TriageJob>> {
        triage::jobs(&snapshot(&mut self.short().await?).await?, &playbook, after, limit).await
    }

    async fn count_triage(&self) -> Result<i64> {
        triage::count(&**self.long().await?).await
    }

    async fn registered_sources(&self) -> Result<Vec<SourceRow>> {
        sources::list(&snapshot(&mut self.short().await?).await?).await
    }

    async fn tallies(&self, sources: Vec<Arc<str>>) -> Result<BTreeMap<Arc<str>, Tally>> {
        sources::tallies(&**self.short().await?, sources).await
    }

    async fn count_series(&self, filter: CountFilter) -> Result<Vec<CountSeries>> {
        counts::series(&**self.long().await?, &filter).await
    }

    async fn storage(&self) -> Result<StorageUse> {
        stored_days::usage(&snapshot(&mut self.short().await?).await?, self.profile).await
    }

    async fn raised_since(&self, trigger: Trigger) -> Result<Option<i64>> {
        sources::raised_since(&**self.short().await?, trigger).await
    }

    async fn cursors(&self) -> Result<BTreeMap<String, String>> {
        sources::cursors(&**self.short().await?).await
    }

    async fn plugin_versions(&self, plugin: String) -> Result<Vec<VersionRow>> {
        versions::list(&**self.short().await?, &plugin).await
    }

    async fn silent_sources(&self) -> Result<BTreeMap<String, i64>> {
        sources::silent(&**self.short().await?).await
    }

    async fn shared_versions(&self) -> Result<Vec<SharedVersion>> {
        plugin_files::versions(&**self.short().await?).await
    }

    async fn plugin_file(&self, plugin: String, sha256: String) -> Result<Option<PluginFile>> {
        plugin_files::file(&**self.long().await?, &plugin, &sha256).await
    }

    async fn is_known_file(&self, plugin: String, sha256: String) -> Result<bool> {
        plugin_files::is_known(&**self.short().await?, &plugin, &sha256).await
    }

    async fn hosts(&self) -> Result<Vec<HostRow>> {
        hosts::list(&**self.short().await?).await
    }

    async fn mark(&self) -> Result<Mark> {
        let mut connection = self.short().await?;
        let snapshot = snapshot(&mut connection).await?;
        let database = cell(&snapshot, "SELECT id FROM identity", &[]).await?;
        // Deliveries are removed after some time, and the newest row may be one.
        let sql = "SELECT greatest(0, (SELECT max(key) FROM events), (SELECT max(key) FROM incidents), \
                   (SELECT max(key) FROM audit))";
        Ok(Mark { database, last_key: cell(&snapshot, sql, &[]).await?, pace: None })
    }

    async fn operator_actions(
        &self,
        ids: Vec<Uuid>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Page<OperatorAction>> {
        access::actions(&**self.long().await?, &ids, before, limit).await
    }

    async fn session(&self, digest: [u8; 32]) -> Result<Option<SessionRow>> {
        access::session(&**self.short().await?, &digest).await
    }

    async fn sessions(&self, limit: usize) -> Result<Vec<OwnedSession>> {
        access::sessions(&**self.short().await?, limit).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        access::tokens(&**self.short().await?).await
    }

    async fn token(&self, hash: [u8; 32], now: i64) -> Result<Option<TokenRow>> {
        access::token(&**self.short().await?, &hash, now).await
    }

    fn compiled_digest(&self, name: &str) -> Result<Option<[u8; 32]>> {
        self.runtime.block_on(async { versions::compiled_digest(&**self.short().await?, name).await })
    }
}
