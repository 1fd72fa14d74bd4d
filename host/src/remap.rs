//! The task that maps waiting events again: those that arrived before their plugin, exceeded the deadline, or failed with a
//! version that was replaced since.

use crate::loaded::Loaded;
use crate::map::ATTEMPTS;
use crate::pipeline::{Pipeline, RemapError};
use crate::source::PluginChoice;
use crate::sources::Sources;
use crate::tasks::{finish_all, finish_one, lease};
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{EventStatus, FailureCode};
use hookmill_sandbox::Plugin;
use hookmill_store::{EventRow, Lease, LeaseName, Store};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

/// The number of events read from the store in one go.
const CHUNK: usize = 64;
/// The number of events of one status mapped at the same time, so that a slow event does not delay the others.
const CONCURRENCY: usize = 8;
/// New payloads get processor time between two queued events.
const QUEUED: Waiting = Waiting { status: EventStatus::Queued, pace: Duration::from_millis(2) };
/// Nobody waits for events in quarantine, with which new payloads share the processor and the disk.
const QUARANTINED: Waiting = Waiting { status: EventStatus::Quarantined, pace: Duration::from_millis(10) };
/// The interval of checking without a signal.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// The waiting events of one status.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    status: EventStatus,
    /// The minimum time between two events.
    pace: Duration,
}

/// The task that maps waiting events again.
#[derive(Debug)]
pub struct Remapper {
    pipeline: Arc<Pipeline>,
    store: Arc<Store>,
    sources: Arc<Sources>,
    loaded: Arc<Loaded>,
}

impl Remapper {
    /// Creates a remapper that uses the live plugins.
    pub fn new(pipeline: Arc<Pipeline>, store: Arc<Store>, sources: Arc<Sources>, loaded: Arc<Loaded>) -> Self {
        Self { pipeline, store, sources, loaded }
    }

    /// Maps waiting events whenever the plugins, the sources or the queue change, until `stop` is set.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while let Some(lease) = lease(&self.store, LeaseName::Remap, &mut stop).await {
            let mut plugins = self.loaded.watch();
            self.run_under(&lease, &stop).await;
            drop(lease);
            if self.loaded.is_lacking() {
                // Another host may have the versions that this one lacks.
                tokio::select! {
                    _ = plugins.changed() => {}
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                    _ = stop.changed() => {}
                }
            }
        }
    }

    /// Maps the events of each status on their own: nobody waits for those in quarantine, which are many at times.
    async fn run_under(self: &Arc<Self>, lease: &Lease, stop: &watch::Receiver<bool>) {
        tokio::join!(self.run_status(QUEUED, lease, stop.clone()), self.run_status(QUARANTINED, lease, stop.clone()),);
    }

    async fn run_status(self: &Arc<Self>, waiting: Waiting, lease: &Lease, mut stop: watch::Receiver<bool>) {
        let mut plugins = self.loaded.watch();
        let mut sources = self.sources.watch();
        let mut queued = self.store.watch_queued();
        // Only another plugin can change the result of an event in quarantine.
        let is_queue = waiting.status == EventStatus::Queued;
        let mut is_due = true;
        loop {
            if is_due && self.loaded.is_settled() {
                match self.remap_all(waiting, lease, &stop, &plugins).await {
                    Ok(()) => is_due = false,
                    Err(error) => warn!("cannot map waiting events again: {error:#}"),
                }
            }
            if self.is_over(lease, &stop) {
                return;
            }
            is_due |= tokio::select! {
                _ = plugins.changed() => true,
                _ = sources.changed(), if is_queue => true,
                _ = queued.changed(), if is_queue => true,
                () = tokio::time::sleep(POLL_INTERVAL) => is_queue,
                () = lease.ended() => return,
                _ = stop.changed() => return,
            };
        }
    }

    /// Returns whether another host is to map waiting events again, or none.
    fn is_over(&self, lease: &Lease, stop: &watch::Receiver<bool>) -> bool {
        *stop.borrow() || !lease.goes_on() || self.loaded.is_lacking()
    }

    /// Maps events again until there are no more, or the plugins change: events that were passed over may fit then.
    async fn remap_all(
        self: &Arc<Self>,
        waiting: Waiting,
        lease: &Lease,
        stop: &watch::Receiver<bool>,
        plugins: &watch::Receiver<()>,
    ) -> Result<()> {
        let mut running = JoinSet::new();
        let mut pace = tokio::time::interval(waiting.pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut after = 0;
        loop {
            let rows = self.store.events_with_status(waiting.status, after, CHUNK).await?;
            let Some(last) = rows.last() else { break };
            after = row_key(last.state.id);
            for row in rows {
                if self.is_over(lease, stop) {
                    return Ok(());
                }
                if !self.is_worth_trying(&row) {
                    continue;
                }
                if running.len() == CONCURRENCY {
                    finish_one(&mut running).await;
                }
                pace.tick().await;
                running.spawn(self.clone().remap_one(row));
            }
            if plugins.has_changed().unwrap_or(false) {
                break;
            }
        }
        finish_all(running).await;
        Ok(())
    }

    async fn remap_one(self: Arc<Self>, row: EventRow) {
        let id = row.state.id;
        // Lists have no bodies, so that only the bodies of running calls are in memory.
        let row = match self.store.event(id).await {
            Ok(Some(Ok(row))) => row,
            Ok(Some(Err(row))) => return warn!(request_id = %id, "a waiting event is unreadable: {}", row.error),
            Ok(None) => return,
            Err(error) => return warn!(request_id = %id, "cannot read a waiting event: {error:#}"),
        };
        match self.pipeline.remap(row, None).await {
            Ok(recorded) => info!(request_id = %id, "event mapped again; its status is {}", recorded.state.status),
            Err(RemapError::Changed) => {}
            Err(error) => warn!(request_id = %id, "cannot map a waiting event again: {error}"),
        }
    }

    /// Returns whether mapping could have another result than before.
    fn is_worth_trying(&self, row: &EventRow) -> bool {
        let source = self.sources.get(&row.event.source).filter(|_| row.body_removed_at.is_none());
        let Some(source) = source else { return false };
        let mappers = self.pipeline.mappers_of(&source);
        let tried: HashMap<&str, &str> = row.tried.iter().filter_map(|version| version.split_once('@')).collect();
        let tried_version = |mapper: &Plugin| tried.get(&*mapper.version.name).copied();
        let is_new = |mapper: &Plugin| tried_version(mapper) != Some(&*mapper.version.sha256);
        if row.state.status == EventStatus::Queued {
            let again = row.tried.is_empty() || row.attempts < ATTEMPTS;
            let some = mappers.iter().any(|mapper| again || is_new(mapper));
            return some || source.settings.plugin == PluginChoice::None;
        }
        // A mapper that was not called before can only help if the earlier mappers returned `unsupported`.
        let others = row.state.code == Some(FailureCode::Unsupported);
        mappers.iter().any(|mapper| is_new(mapper) && (others || tried_version(mapper).is_some()))
    }
}
