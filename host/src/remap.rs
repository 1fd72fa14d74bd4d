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
/// The number of events mapped at the same time, so that a slow event does not delay the others.
const CONCURRENCY: usize = 8;
/// The minimum time between two queued events, so that new payloads get processor time.
const QUEUED_PACE: Duration = Duration::from_millis(2);
/// The minimum time between two events in quarantine, for which nobody waits: new payloads are as fast as without them.
const QUARANTINED_PACE: Duration = Duration::from_millis(10);
/// The interval of checking without a signal.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

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
            self.run_under(&lease, &mut stop).await;
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

    async fn run_under(self: &Arc<Self>, lease: &Lease, stop: &mut watch::Receiver<bool>) {
        let mut plugins = self.loaded.watch();
        let mut sources = self.sources.watch();
        let mut queued = self.store.watch_queued();
        let mut has_quarantined = true;
        while !*stop.borrow() && lease.goes_on() {
            let pass = Pass { remapper: self, lease, stop: &*stop, running: JoinSet::new() };
            if self.loaded.is_settled()
                && let Err(error) = pass.remap_all(has_quarantined, &mut queued).await
            {
                warn!("cannot map waiting events again: {error:#}");
            }
            if self.loaded.is_lacking() {
                return;
            }
            // Only another plugin can change the result of an event in quarantine.
            has_quarantined = tokio::select! {
                _ = plugins.changed() => true,
                _ = sources.changed() => false,
                _ = queued.changed() => false,
                () = tokio::time::sleep(POLL_INTERVAL) => false,
                () = lease.ended() => return,
                _ = stop.changed() => return,
            };
        }
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

/// One pass through the waiting events.
struct Pass<'a> {
    remapper: &'a Arc<Remapper>,
    lease: &'a Lease,
    stop: &'a watch::Receiver<bool>,
    running: JoinSet<()>,
}

impl Pass<'_> {
    /// Maps queued events again, and those in quarantine, which are many at times: events that are queued meanwhile come first.
    async fn remap_all(mut self, has_quarantined: bool, queued: &mut watch::Receiver<()>) -> Result<()> {
        let mut quarantined = has_quarantined.then_some(0);
        loop {
            queued.mark_unchanged();
            let mut next = Some(0);
            while let Some(after) = next {
                next = self.remap_chunk(EventStatus::Queued, QUEUED_PACE, after).await?;
            }
            while let Some(after) = quarantined {
                quarantined = self.remap_chunk(EventStatus::Quarantined, QUARANTINED_PACE, after).await?;
                if queued.has_changed().unwrap_or(false) {
                    break;
                }
            }
            if self.is_over() {
                return Ok(());
            }
            if quarantined.is_none() {
                finish_all(self.running).await;
                return Ok(());
            }
        }
    }

    /// Maps some events with a status and a key after one again. Returns the key after which to continue, if there may be more.
    async fn remap_chunk(&mut self, status: EventStatus, pace: Duration, after: i64) -> Result<Option<i64>> {
        let rows = self.remapper.store.events_with_status(status, after, CHUNK).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        let next = row_key(last.state.id);
        let mut pace = tokio::time::interval(pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for row in rows.into_iter().filter(|row| self.remapper.is_worth_trying(row)) {
            if self.is_over() {
                return Ok(None);
            }
            if self.running.len() == CONCURRENCY {
                finish_one(&mut self.running).await;
            }
            pace.tick().await;
            self.running.spawn(self.remapper.clone().remap_one(row));
        }
        Ok(Some(next))
    }

    fn is_over(&self) -> bool {
        *self.stop.borrow() || !self.lease.goes_on()
    }
}
