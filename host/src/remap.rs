//! Maps events that wait: those that came before their plugin, took too long, or failed on a version that has been
//! replaced since.

use crate::Host;
use hookmill_incident::{EventStatus, FailureCode, Mapped, Verdict};
use hookmill_incident::id::key;
use crate::map::ATTEMPTS;
use crate::release::proof;
use hookmill_store::{EventRow, FieldChange, Preview, Recorded, StoreError};
use crate::source::PluginChoice;
use crate::verify::Verified;
use anyhow::Result;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

const UNFINISHED: [EventStatus; 2] = [EventStatus::Queued, EventStatus::Quarantined];
/// Events read from the store at once.
const CHUNK: usize = 64;
/// Events that are mapped again at once, so that one that takes long does not hold up the others.
const CONCURRENCY: usize = 8;
/// The least time from one to the next, so that what comes in meanwhile has the machine.
const PACE: Duration = Duration::from_millis(2);
/// Fields that every change of an incident changes.
const COUNTERS: [&str; 2] = ["/revision", "/updated_at"];
/// How often to look without being told, for what was missed.
const LOOK: Duration = Duration::from_secs(10);

/// Why an event was not mapped again.
#[derive(Debug, thiserror::Error)]
pub enum RemapError {
    /// Its source is no longer registered.
    #[error("its source is not registered any more")]
    NoSource,
    /// It was mapped before and would not be now.
    #[error("it would not be mapped now ({}), so it stays as it is", .0.reason())]
    Worse(Box<Verdict>),
    /// It changed meanwhile.
    #[error("it was changed by somebody else at the same time; look at it again")]
    Changed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Host {
    /// Maps a stored event once more and records what comes of it.
    ///
    /// # Errors
    /// Why it was not.
    pub async fn remap(&self, row: EventRow) -> Result<Recorded, RemapError> {
        let Some(source) = self.sources.get(&row.event.source) else { return Err(RemapError::NoSource) };
        let (was, attempt) = (row.state.status, row.attempts + 1);
        let mut mapped: Mapped = self.mappers.map(Verified::again(row.event, source.clone()), attempt).await;
        self.mappers.remember(&source, &mapped.verdict);
        refuse_worse(was, &mapped)?;
        if matches!(mapped.verdict, Verdict::Wait(_)) && mapped.tried.is_empty() {
            // Nobody was there to try it: that is no attempt.
            mapped.tried = row.tried;
            return self.commit_again(mapped, was, row.attempts).await;
        }
        self.commit_again(mapped, was, attempt).await
    }

    /// What mapping a stored event once more would change.
    ///
    /// # Errors
    /// Why it would not be mapped.
    pub async fn try_remap(&self, row: EventRow) -> Result<Value, RemapError> {
        let Some(source) = self.sources.get(&row.event.source) else { return Err(RemapError::NoSource) };
        let was = row.state.status;
        let mapped = self.mappers.map(Verified::again(row.event, source), ATTEMPTS).await;
        refuse_worse(was, &mapped)?;
        let Preview { state, incidents, present, .. } = self.store.preview(mapped).await?;
        let incidents = present.iter().zip(&incidents).map(|(present, then)| {
            let changes = proof::changes(present, then);
            let counts = |change: &FieldChange| !COUNTERS.contains(&change.path.as_str());
            json!({
                "source_ref": then["source_ref"],
                "number": present["number"],
                "changes": changes.into_iter().filter(counts).collect::<Vec<_>>(),
            })
        });
        let incidents: Vec<Value> = incidents.collect();
        let error = state.code.map(|code| json!({"code": code.as_str(), "message": state.message}));
        let (status, message) = (state.status.as_str(), &state.message);
        Ok(json!({"id": state.id, "status": status, "message": message, "error": error, "incidents": incidents}))
    }

    async fn commit_again(&self, mapped: Mapped, was: EventStatus, attempt: u32) -> Result<Recorded, RemapError> {
        let recorded = self.store.record_again(mapped, was, attempt).await?.ok_or(RemapError::Changed)?;
        self.wake_for(&recorded);
        Ok(recorded)
    }

    /// Maps what waits whenever a plugin changes, until told to stop.
    pub async fn remap_waiting(self: Arc<Self>, mut changed: watch::Receiver<()>, mut stop: watch::Receiver<bool>) {
        let mut statuses: &[EventStatus] = &UNFINISHED;
        while !*stop.borrow() {
            if self.loaded.is_settled()
                && let Err(error) = self.remap_all(statuses, &stop).await
            {
                warn!("cannot map the events that wait: {error:#}");
            }
            // What failed can only come to something else with another plugin.
            statuses = tokio::select! {
                _ = changed.changed() => &UNFINISHED,
                () = self.waiting.notified() => &UNFINISHED[..1],
                () = tokio::time::sleep(LOOK) => &UNFINISHED[..1],
                _ = stop.changed() => return,
            };
        }
    }

    async fn remap_all(self: &Arc<Self>, statuses: &[EventStatus], stop: &watch::Receiver<bool>) -> Result<()> {
        let mut under_way = JoinSet::new();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for &status in statuses {
            let mut after = 0;
            loop {
                let rows = self.store.events_in(status, after, CHUNK).await?;
                let Some(last) = rows.last() else { break };
                after = key(last.state.id);
                for row in rows.into_iter().filter(|row| self.is_worth_trying(row)) {
                    if *stop.borrow() {
                        return Ok(());
                    }
                    if under_way.len() == CONCURRENCY {
                        under_way.join_next().await;
                    }
                    pace.tick().await;
                    under_way.spawn(self.clone().remap_one(row));
                }
            }
        }
        under_way.join_all().await;
        Ok(())
    }

    async fn remap_one(self: Arc<Self>, row: EventRow) {
        let (id, attempts) = (row.state.id, row.attempts + 1);
        // Lists have no bodies: only what is mapped now is held in memory.
        let row = match self.store.event(id).await {
            Ok(Some(row)) => row,
            Ok(None) => return,
            Err(error) => return warn!(request_id = %id, "event not read: {error:#}"),
        };
        match self.remap(row).await {
            Ok(recorded) => {
                info!(request_id = %id, "event mapped again: {}", recorded.state.status);
                if recorded.state.status == EventStatus::Queued && attempts < ATTEMPTS {
                    self.waiting.notify_one();
                }
            }
            Err(RemapError::Changed) => {}
            Err(error) => warn!(request_id = %id, "event not mapped again: {error}"),
        }
    }

    /// Whether mapping could come to something else than before.
    fn is_worth_trying(&self, row: &EventRow) -> bool {
        let Some(source) = self.sources.get(&row.event.source) else { return false };
        let candidates = self.mappers.candidate_versions(&source);
        let is_new = |version: &String| !row.tried.contains(version);
        if row.state.status == EventStatus::Queued {
            let again = row.tried.is_empty() || row.attempts < ATTEMPTS;
            let some = candidates.iter().any(|version| again || is_new(version));
            return some || source.settings.plugin == PluginChoice::None;
        }
        // Only a payload that its mapper left to others can be read by one that was not asked before.
        let others = row.state.code == Some(FailureCode::Unsupported);
        let was_asked = |version: &str| {
            let name = |version: &str| version.split('@').next().map(str::to_owned);
            row.tried.iter().any(|tried| name(tried) == name(version))
        };
        candidates.iter().any(|version| is_new(version) && (others || was_asked(version)))
    }
}

/// What was mapped is not made a failure: its incidents are there.
fn refuse_worse(was: EventStatus, mapped: &Mapped) -> Result<(), RemapError> {
    let done = matches!(was, EventStatus::Mapped | EventStatus::Partial | EventStatus::Ignored);
    match &mapped.verdict {
        Verdict::Read { .. } | Verdict::NotMapped => Ok(()),
        verdict if done => Err(RemapError::Worse(Box::new(verdict.clone()))),
        _ => Ok(()),
    }
}
