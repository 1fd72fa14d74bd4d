//! Triages new incidents: calls playbooks in the background and applies the actions of each call in one transaction.
//!
//! Triage requests are stored in the transaction that creates the incident, and wait until their playbook is loaded. Each
//! playbook has its own pass, so that a slow playbook delays no other.

use crate::loaded::Loaded;
use crate::map::ATTEMPTS;
use crate::metrics::Metrics;
use crate::pipeline::committed;
use crate::source::Source;
use crate::sources::Sources;
use crate::tasks::{finish_all, finish_one, lease};
use crate::traces::Traces;
use anyhow::Result;
use hookmill_incident::{Action, ShownIncident, Triage, TriageCode, TriageError, TriageStatus};
use hookmill_sandbox::{Call, Kind, Plugin, forward_log};
use hookmill_store::{Grant, IncidentRow, LeaseName, Store, StoreError, TriageJob, TriageResult};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

/// The number of incidents read from the store in one go, with all their data.
const CHUNK: usize = 16;
/// The number of incidents that one playbook triages at the same time.
const CONCURRENCY: usize = 4;
/// The interval of checking without a signal.
const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// The pause before the next call if the store cannot be written or no instance is free.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls a playbook. The result is the requested actions, or the error; `None` if no instance was free.
pub async fn call_playbook(plugin: &Plugin, shown: &ShownIncident) -> Call<Option<Result<Vec<Action>, TriageError>>> {
    let failed = |code, message: String| {
        let message = format!("{} {}: {message}", plugin.version.name, plugin.version.version);
        Some(Err(TriageError { code, message }))
    };
    plugin.triage(shown).await.map(|returned| match returned {
        Ok(Ok(actions)) => Some(Ok(actions)),
        Ok(Err(refused)) => failed(refused.code, refused.message),
        Err(error) => error.code().and_then(|code| failed(code.into(), error.to_string())),
    })
}

/// Returns a stored incident as the API shows it and as playbooks get it.
pub fn shown_incident(row: IncidentRow) -> ShownIncident {
    let IncidentRow { id, number, incident, occurrences, event_ids, .. } = row;
    ShownIncident { id, number: number.to_string(), incident, occurrences, event_ids }
}

/// The task that triages incidents.
#[derive(Debug)]
pub struct Triager {
    store: Arc<Store>,
    sources: Arc<Sources>,
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    traces: Traces,
}

impl Triager {
    /// Creates a triager that calls the live playbooks.
    pub fn new(
        store: Arc<Store>,
        sources: Arc<Sources>,
        loaded: Arc<Loaded>,
        metrics: Arc<Metrics>,
        traces: Traces,
    ) -> Self {
        Self { store, sources, loaded, metrics, traces }
    }

    /// Returns the playbook of this name.
    ///
    /// # Errors
    /// Returns the reason if the playbook is not loaded.
    pub fn playbook(&self, name: &str) -> Result<Arc<Plugin>, String> {
        self.loaded.find(name, Kind::Playbook)
    }

    /// Returns why the playbook of a source with `auto_triage` cannot be called.
    pub fn missing_playbook(&self, source: &Source) -> Option<String> {
        let playbook = source.settings.playbook.as_ref().filter(|_| source.settings.auto_triage)?;
        if self.loaded.is_settled() { self.playbook(playbook).err() } else { None }
    }

    /// Adds the reason to a triage that waits for a missing playbook. The reason is not stored: the playbook may be loaded
    /// later.
    pub fn explain_waiting(&self, triage: &mut Triage) {
        if triage.status == TriageStatus::Waiting
            && self.loaded.is_settled()
            && let Err(message) = self.playbook(&triage.playbook)
        {
            triage.error = Some(TriageError { code: TriageCode::NotLoaded, message });
        }
    }

    /// Calls playbooks whenever an incident waits for one, until `stop` is set.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut plugins, mut requested) = (self.loaded.watch(), self.store.watch_triage());
        let (mut passes, mut under_way) = (JoinSet::new(), HashSet::new());
        let (mut missing, mut plugins_are_new) = (HashSet::new(), true);
        while !*stop.borrow() {
            if self.loaded.is_settled() {
                let begun = self.begin_passes(&mut passes, &mut under_way, &mut missing, plugins_are_new, &stop).await;
                plugins_are_new = begun.is_err() && plugins_are_new;
                if let Err(error) = begun {
                    warn!("cannot look for incidents to triage: {error:#}");
                }
            }
            tokio::select! {
                Some(Ok(name)) = passes.join_next() => {
                    under_way.remove(&name);
                }
                _ = plugins.changed() => plugins_are_new = true,
                _ = requested.changed() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                _ = stop.changed() => {}
            }
        }
        while passes.join_next().await.is_some() {}
    }

    /// Begins a pass of every playbook with triage requests, unless its pass is running.
    async fn begin_passes(
        self: &Arc<Self>,
        passes: &mut JoinSet<String>,
        under_way: &mut HashSet<String>,
        missing: &mut HashSet<String>,
        plugins_are_new: bool,
        stop: &watch::Receiver<bool>,
    ) -> Result<()> {
        if plugins_are_new {
            missing.clear();
            for source in self.sources.all().values() {
                if let Some(reason) = self.missing_playbook(source) {
                    warn!(source = &*source.name, "incidents of this source wait for their playbook: {reason}");
                }
            }
            let plugins = self.loaded.plugins().clone();
            for plugin in plugins.values().filter(|plugin| plugin.kind() == Kind::Playbook) {
                self.store.retry_triage(plugin.version.name.clone(), plugin.version.sha256.clone()).await?;
            }
        }
        for name in self.store.waiting_playbooks().await? {
            match self.playbook(&name) {
                Ok(_) if under_way.insert(name.clone()) => {
                    passes.spawn(self.clone().pass(name, stop.clone()));
                }
                Ok(_) => {}
                Err(reason) if missing.insert(name) => warn!("incidents wait for a playbook: {reason}"),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Processes all triage requests of one playbook. Returns the name of the playbook.
    async fn pass(self: Arc<Self>, name: String, mut stop: watch::Receiver<bool>) -> String {
        let Some(lease) = lease(&self.store, LeaseName::Playbook(name.clone()), &mut stop).await else { return name };
        let (mut under_way, mut after) = (JoinSet::new(), 0);
        'pass: loop {
            let jobs = match self.store.triage_jobs(name.clone(), after, CHUNK).await {
                Ok(jobs) => jobs,
                Err(error) => {
                    warn!(playbook = name, "cannot read triage requests: {error:#}");
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
            };
            let Some(last) = jobs.last() else { break };
            after = last.key;
            for job in jobs {
                if under_way.len() == CONCURRENCY {
                    finish_one(&mut under_way).await;
                }
                // The live plugins may have changed since the last request.
                let Ok(plugin) = self.playbook(&name) else { break 'pass };
                if *stop.borrow() || !lease.goes_on() {
                    break 'pass;
                }
                under_way.spawn(self.clone().triage_one(plugin, job, lease.grant().clone()));
            }
        }
        finish_all(under_way).await;
        name
    }

    async fn triage_one(self: Arc<Self>, plugin: Arc<Plugin>, job: TriageJob, under: Grant) {
        let (name, request_id) = (plugin.version.name.clone(), job.request_id.clone());
        match self.triage_job(&plugin, job, &under).await {
            Ok(()) => {}
            Err(error) => {
                warn!(request_id, playbook = name, "cannot record the result of the playbook: {error:#}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn triage_job(&self, plugin: &Plugin, mut job: TriageJob, under: &Grant) -> Result<(), StoreError> {
        let Some(row) = job.row.clone() else {
            warn!(request_id = job.request_id, "an incident cannot be read and is not triaged");
            return self.store.fail_triage(under, job, plugin.version.sha256.clone()).await;
        };
        let (name, number, request_id) = (&plugin.version.name, row.number, job.request_id.clone());
        if let Some(status) = job.is_late() {
            info!(request_id, playbook = name, "{number} is not triaged: its status is already {status}");
            let skipped = TriageResult::Skipped(format!("the status of the incident was already {status}"));
            self.store.record_triage(under, job, skipped).await?;
            return Ok(());
        }
        let mut span = self.traces.later("triage", job.traceparent.as_deref());
        let (incident, trace) = (row.id, span.trace());
        let call = call_playbook(plugin, &shown_incident(row)).await;
        span.plugin(&plugin.version, call.memory_bytes);
        span.set("hookmill.incident.id", incident);
        forward_log(&request_id, name, &call.log);
        let Some(result) = call.result else {
            span.set("hookmill.triage.result", "again");
            drop(span);
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        };
        let (triaged, word) = match result {
            Ok(actions) => (TriageResult::Actions((*plugin.version).clone(), actions), "done"),
            Err(error) if error.code == TriageCode::DeadlineExceeded && job.attempts + 1 < ATTEMPTS => {
                warn!(request_id, playbook = name, "{number} will be triaged again: {}", error.message);
                self.metrics.triage(name, "again");
                span.set("hookmill.triage.result", "again");
                span.fail(error.code.as_str());
                return self.store.count_triage_attempt(under, job).await;
            }
            Err(error) => {
                warn!(request_id, playbook = name, "triage of {number} failed: {}", error.message);
                span.fail(error.code.as_str());
                (TriageResult::Failed((*plugin.version).clone(), error), "failed")
            }
        };
        // Otherwise the incident changed while the playbook ran; the next pass triages its new state.
        span.set("hookmill.triage.result", word);
        job.traceparent = trace.traceparent();
        if committed(&trace, self.store.record_triage(under, job, triaged)).await? {
            self.metrics.triage(name, word);
            info!(request_id, playbook = name, "triage of {number}: {word}");
        }
        Ok(())
    }
}
