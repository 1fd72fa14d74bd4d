//! The operations of the model test, and how each is done in the store and in memory.

use super::memory::Memory;
use crate::ledger::{EncodedEvent, Ledger};
use crate::rows::{
    Attempted, Cursor, DeliveryFilter, DestinationRow, IncidentKey, IncidentRow, PrunePosition, StoredKind, TriageJob,
    TriageResult,
};
use crate::{Grant, Store, StoreError};
use anyhow::Result;
use hookmill_incident::{EventStatus, Mapped, Patch};
use hookmill_notify::{Rule, Trigger};
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub(super) enum ModelOperation {
    Record(Mapped),
    RecordAgain(Mapped, EventStatus, u32),
    RecordPulled(String, Vec<Mapped>, Option<Cursor>),
    Cursor(String, Cursor),
    RecordDryRun(Mapped),
    Discard(Uuid, Option<String>),
    DiscardQuarantined(Vec<Uuid>),
    PurgeRepeats,
    PurgeCounts,
    Prune(StoredKind, i64, Option<PrunePosition>),
    StorageLow(bool),
    Patch(IncidentKey, Patch, String),
    Delete(IncidentKey, String),
    RequestTriage(IncidentKey, String, String),
    RecordTriage(TriageJob, TriageResult),
    CountTriageAttempt(TriageJob),
    RetryTriage(String, String),
    RecordAttempts(String, Vec<Attempted>),
    RetryDelivery(Uuid),
    RetryDead(DeliveryFilter),
    PurgeDelivered(i64, i64),
    Notice(Trigger, Value),
    GiveUp(String),
    Disable(String, String),
    Enable(String),
    PullForward(String),
    SetOutbound(Vec<DestinationRow>, Vec<Rule>),
    SetSilent(String, bool),
}

const PUBLIC_URL: &str = "https://hookmill.example";

impl ModelOperation {
    /// Runs the operation in the store and returns its answer as text.
    pub async fn run_in_store(&self, store: &Store, under: &Grant) -> Result<String, StoreError> {
        Ok(match self {
            Self::Record(mapped) => text(store.record(copy(mapped)).await?),
            Self::RecordAgain(mapped, was, attempt) => text(store.record_again(copy(mapped), *was, *attempt).await?),
            Self::RecordPulled(source, batch, cursor) => {
                let batch = batch.iter().map(copy).collect();
                text(store.record_pulled(under, Arc::from(source.as_str()), batch, cursor.clone()).await?)
            }
            Self::Cursor(source, begin) => text(store.cursor(Arc::from(source.as_str()), begin.clone()).await?),
            Self::RecordDryRun(mapped) => text(store.dry_run(copy(mapped)).await?),
            Self::Discard(id, reason) => text(store.discard(*id, reason.clone()).await?),
            Self::DiscardQuarantined(ids) => text(store.discard_quarantined(ids.clone(), None).await?),
            Self::PurgeRepeats => text(store.purge_repeats(under).await?.answer),
            Self::PurgeCounts => text(store.purge_counts(under).await?.answer),
            Self::Prune(kind, before, from) => text(store.prune(under, *kind, *before, *from).await?.answer),
            Self::StorageLow(is_low) => text(store.set_storage_low(is_low.then(low)).await?),
            Self::Patch(which, patch, request_id) => {
                text(store.patch(*which, patch.clone(), "analyst".into(), request_id.clone()).await?)
            }
            Self::Delete(which, request_id) => text(store.delete(*which, "analyst".into(), request_id.clone()).await?),
            Self::RequestTriage(which, playbook, request_id) => {
                text(store.request_triage(*which, playbook.clone(), request_id.clone()).await?)
            }
            Self::RecordTriage(job, result) => text(store.record_triage(under, job.clone(), result.clone()).await?),
            Self::CountTriageAttempt(job) => text(store.count_triage_attempt(under, job.clone()).await?),
            Self::RetryTriage(playbook, sha256) => text(store.retry_triage(playbook.clone(), sha256.clone()).await?),
            Self::RecordAttempts(name, attempts) => text(store.record_attempts(under, name, attempts.clone()).await?),
            Self::RetryDelivery(id) => text(store.retry_delivery(*id).await?),
            Self::RetryDead(filter) => text(store.retry_dead(filter.clone()).await?),
            Self::PurgeDelivered(after, before) => text(store.purge_delivered(under, *after, *before).await?),
            Self::Notice(trigger, message) => text(store.enqueue_notice(*trigger, message.clone()).await?),
            Self::GiveUp(name) => text(store.give_up(name).await?),
            Self::Disable(name, reason) => text(store.disable_destination(under, name, reason.clone()).await?),
            Self::Enable(name) => text(store.enable_destination(name).await?),
            Self::PullForward(name) => text(store.pull_forward(name).await?),
            Self::SetOutbound(destinations, rules) => {
                text(store.set_outbound(destinations.clone(), rules.clone(), PUBLIC_URL.into()).await?)
            }
            Self::SetSilent(source, is_silent) => {
                text(store.set_silent(under, source, *is_silent, silence(source)).await?)
            }
        })
    }

    /// Runs the operation in memory and returns its answer as text.
    pub fn run_in_memory(&self, ledger: &mut Ledger<Memory>) -> Result<String> {
        Ok(match self {
            Self::Record(mapped) => text(ledger.record(mapped, &EncodedEvent::of(mapped))?),
            Self::RecordAgain(mapped, was, attempt) => text(ledger.record_again(mapped, *was, *attempt)?),
            Self::RecordPulled(source, batch, cursor) => {
                let batch: Vec<_> = batch.iter().map(|mapped| (EncodedEvent::of(mapped), copy(mapped))).collect();
                text(ledger.record_pulled(source, &batch, cursor.as_ref())?)
            }
            Self::Cursor(source, begin) => text(ledger.cursor(source, begin)?),
            Self::RecordDryRun(mapped) => text(ledger.dry_run(mapped)?),
            Self::Discard(id, reason) => text(ledger.discard(*id, reason.as_deref())?),
            Self::DiscardQuarantined(ids) => text(ledger.discard_quarantined(ids, None)?),
            Self::PurgeRepeats => text(ledger.purge_repeats()?),
            Self::PurgeCounts => text(ledger.purge_counts()?),
            Self::Prune(kind, before, from) => text(ledger.prune(*kind, *before, *from, false)?),
            Self::StorageLow(is_low) => text(ledger.set_storage_low(is_low.then(low).as_ref())?),
            Self::Patch(which, patch, request_id) => {
                text(ledger.patch(*which, patch.clone(), "analyst", request_id)?)
            }
            Self::Delete(which, request_id) => text(ledger.delete(*which, "analyst", request_id)?),
            Self::RequestTriage(which, playbook, request_id) => {
                text(ledger.request_triage(*which, playbook, request_id)?)
            }
            Self::RecordTriage(job, result) => text(ledger.record_triage(job, result.clone())?),
            Self::CountTriageAttempt(job) => text(ledger.count_triage_attempt(job)?),
            Self::RetryTriage(playbook, sha256) => text(ledger.retry_triage(playbook, sha256)?),
            Self::RecordAttempts(name, attempts) => text(ledger.record_attempts(name, attempts)?),
            Self::RetryDelivery(id) => text(ledger.retry_delivery(*id)?),
            Self::RetryDead(filter) => text(ledger.retry_dead(filter, 0)?.len()),
            Self::PurgeDelivered(after, before) => text(ledger.purge_delivered(*after, *before)?),
            Self::Notice(trigger, message) => text(ledger.enqueue_notice(*trigger, message)?),
            Self::GiveUp(name) => {
                ledger.give_up(name)?;
                text(())
            }
            Self::Disable(name, reason) => text(ledger.disable_destination(name, reason)?),
            Self::Enable(name) => text(ledger.enable_destination(name)?),
            Self::PullForward(name) => text(ledger.pull_forward(name)?),
            Self::SetOutbound(destinations, rules) => text(ledger.set_outbound(destinations, rules, PUBLIC_URL)?),
            Self::SetSilent(source, is_silent) => {
                let since = is_silent.then(|| ledger.clock.now_ms());
                text(ledger.set_silent(source, since, &silence(source))?)
            }
        })
    }
}

fn silence(source: &str) -> Value {
    serde_json::json!({"object": {"name": source}})
}

fn low() -> Value {
    serde_json::json!({"object": {"reason": "little space"}})
}

fn text(answer: impl Debug) -> String {
    format!("{answer:?}")
}

/// Returns a copy of a mapped event.
pub(super) fn copy(mapped: &Mapped) -> Mapped {
    Mapped {
        event: mapped.event.clone(),
        verdict: mapped.verdict.clone(),
        playbook: mapped.playbook.clone(),
        auto_triage: mapped.auto_triage,
        tried: mapped.tried.clone(),
        journey: mapped.journey.clone(),
    }
}

/// Returns the key of an incident, by its id or by its number.
pub(super) fn key_of(row: &IncidentRow, by_number: bool) -> IncidentKey {
    if by_number { IncidentKey::Number(row.number) } else { IncidentKey::Id(row.id) }
}
