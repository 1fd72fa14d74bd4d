//! The proof of a new version before it goes live: its results on known payloads, compared with those of the live
//! version.
//!
//! Only the report is stored. The payloads are mapped one after the other, each by both versions, so that a proof takes
//! little processor time from incoming payloads.

use super::samples::Sample;
use super::trust::Trust;
use crate::field_changes::{field_changes, short};
use crate::map;
use crate::payload_file::PayloadFile;
use crate::source::{PluginChoice, Source};
use crate::sources::Sources;
use anyhow::Result;
use hookmill_incident::{Event, EventStatus, FailureCode, Reading, Verdict};
use hookmill_sandbox::Plugin;
use hookmill_store::{FieldChange, PayloadDifference, PayloadDifferences, ProofReport, Store};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use uuid::Uuid;

/// The number of payloads that a report names for each kind of difference. All are counted.
const NAMED_MAX: usize = 50;

/// The size of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofBounds {
    /// The number of stored payloads that are mapped.
    pub payloads: usize,
    /// The time that the proof may take.
    pub time: Duration,
}

/// The payloads that two versions are compared on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownPayloads {
    /// Only stored payloads of this source, and no samples. Without one, the samples and the payloads of all sources of the
    /// plugin.
    pub source: Option<String>,
    /// The number of stored payloads; without one, that of [`ProofBounds`].
    pub stored: Option<usize>,
}

/// Compares versions of mappers.
#[derive(Debug)]
pub struct Prover {
    store: Arc<Store>,
    sources: Arc<Sources>,
    plugins_dir: PathBuf,
    trust: Trust,
    bounds: ProofBounds,
    /// Allows one proof at a time, so that arriving payloads get most of the machine.
    turn: Semaphore,
}

/// A payload that both versions map.
struct Payload {
    name: String,
    event: Event,
    source: Arc<Source>,
    /// The rank of its known result, for a payload that the former version does not map in the proof.
    known_rank: Rank,
}

/// The quality of a result, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Read,
    Partial,
    Unsupported,
    Malformed,
    Broken,
}

impl Prover {
    /// Returns a prover that takes payloads from the store, and samples from the folders `NAME.samples` in the plugins
    /// folder.
    pub fn new(
        store: Arc<Store>,
        sources: Arc<Sources>,
        plugins_dir: PathBuf,
        trust: Trust,
        bounds: ProofBounds,
    ) -> Self {
        Self { store, sources, plugins_dir, trust, bounds, turn: Semaphore::new(1) }
    }

    /// Maps the samples of a plugin and the newest stored payloads of its sources with both versions.
    ///
    /// # Errors
    /// Returns an error if the payloads cannot be read.
    pub async fn prove(
        &self,
        before: Option<&Arc<Plugin>>,
        new: &Arc<Plugin>,
        payloads: KnownPayloads,
    ) -> Result<ProofReport> {
        let _turn = self.turn.acquire().await;
        let mut report = ProofReport {
            plugin: (*new.version).clone(),
            against: before.map(|before| (*before.version).clone()),
            at: self.store.clock().now(),
            passed: true,
            payloads: 0,
            left_out: 0,
            same: 0,
            changed: PayloadDifferences::default(),
            newly_failing: PayloadDifferences::default(),
            newly_succeeding: PayloadDifferences::default(),
        };
        let name = &new.version.name;
        let samples = match &payloads.source {
            Some(_) => Vec::new(),
            None => self.samples(name).await?,
        };
        let sources = payloads.source.map_or_else(|| self.sources_of(name), |source| vec![source]);
        let stored = payloads.stored.unwrap_or(self.bounds.payloads);
        let stored = self.store.newest_event_ids(sources, stored).await?;
        let mut all = samples.len() + stored.len();
        // Samples and stored payloads each have half of the time, so that slow samples leave time for real payloads.
        let end = Instant::now() + self.bounds.time / 2;
        for sample in samples {
            let Some(payload) = self.sample(name, sample).await? else {
                all -= 1;
                continue;
            };
            if timeout_at(end, compare(&mut report, payload, before, new)).await.is_err() {
                break;
            }
        }
        let end = Instant::now() + self.bounds.time / 2;
        for id in stored {
            let Some(payload) = self.stored(name, id).await? else { continue };
            if timeout_at(end, compare(&mut report, payload, before, new)).await.is_err() {
                break;
            }
        }
        report.left_out = all.saturating_sub(report.payloads);
        report.passed = report.newly_failing.count == 0 && (report.payloads > 0 || all == 0);
        Ok(report)
    }

    /// Returns the samples of a plugin, sorted by name.
    ///
    /// # Errors
    /// Returns an error if their folder cannot be read.
    pub async fn samples(&self, plugin: &str) -> Result<Vec<Sample>> {
        let (folder, plugin) = (self.plugins_dir.clone(), plugin.to_owned());
        spawn_blocking(move || Sample::list(&folder, &plugin)).await?
    }

    /// Reads a sample.
    ///
    /// # Errors
    /// Returns an error if the sample must not be used, or is not a payload.
    pub async fn read_sample(&self, sample: Sample) -> Result<PayloadFile> {
        let trust = self.trust.clone();
        spawn_blocking(move || sample.read(&trust)).await?
    }

    /// Returns the payload of a sample, unless the sample must not be used.
    async fn sample(&self, plugin: &str, sample: Sample) -> Result<Option<Payload>> {
        let name = sample.file.clone();
        let read = self.read_sample(sample).await.inspect_err(|error| warn!(plugin, "a sample is not used: {error:#}"));
        let Ok(PayloadFile { body, headers, context }) = read else { return Ok(None) };
        let source = self.sources.get(plugin).unwrap_or_else(|| Arc::new(Source::unregistered(plugin.to_owned())));
        let now = self.store.clock().now_ms();
        let event = Event { context, ..Event::dry_run(Uuid::nil(), now, source.name.clone(), headers, body.into()) };
        // A plugin must map its own samples.
        Ok(Some(Payload { name, event, source, known_rank: Rank::Unsupported }))
    }

    /// Returns the sources whose payloads the plugin may have to map.
    fn sources_of(&self, plugin: &str) -> Vec<String> {
        let all = self.sources.all();
        let sources = all.values().filter(|source| match &source.settings.plugin {
            PluginChoice::None => false,
            PluginChoice::Named(names) => names.iter().any(|name| name == plugin),
            PluginChoice::Auto => true,
        });
        sources.map(|source| source.name.to_string()).collect()
    }

    async fn stored(&self, plugin: &str, id: Uuid) -> Result<Option<Payload>> {
        let Some(Ok(row)) = self.store.event(id).await? else { return Ok(None) };
        if row.body_removed_at.is_some() {
            return Ok(None);
        }
        let known_rank = match (row.state.status, row.state.code) {
            _ if !row.tried.iter().any(|tried| tried.split('@').next() == Some(plugin)) => Rank::Unsupported,
            (EventStatus::Partial, _) => Rank::Partial,
            (EventStatus::Mapped | EventStatus::Ignored, _) => Rank::Read,
            (_, Some(code)) => Rank::of(code),
            _ => Rank::Broken,
        };
        let unregistered = || Arc::new(Source::unregistered(row.event.source.to_string()));
        let source = self.sources.get(&row.event.source).unwrap_or_else(unregistered);
        Ok(Some(Payload { name: id.to_string(), event: row.event, source, known_rank }))
    }
}

/// Maps a payload with both versions, and adds the comparison of the results to the report.
async fn compare(report: &mut ProofReport, payload: Payload, former: Option<&Arc<Plugin>>, new: &Arc<Plugin>) {
    let new_result = outcome(new, &payload).await;
    let former_result = match former {
        Some(former) => Some(outcome(former, &payload).await),
        None => None,
    };
    // If the former version gives no result now, the result from the arrival of the payload is used.
    let former_rank = former_result.as_ref().and_then(rank).unwrap_or(payload.known_rank);
    let Some(new_rank) = rank(&new_result) else { return };
    report.payloads += 1;
    let former_shown = former_result.as_ref().map(shown);
    let new_shown = shown(&new_result);
    let (group, reason) = match new_rank.cmp(&former_rank) {
        Ordering::Greater => (&mut report.newly_failing, Some(reason(&new_result))),
        Ordering::Less => (&mut report.newly_succeeding, former_result.as_ref().map(reason)),
        Ordering::Equal if former_shown.as_ref().is_none_or(|shown| *shown == new_shown) => {
            report.same += 1;
            return;
        }
        Ordering::Equal => (&mut report.changed, None),
    };
    group.count += 1;
    if group.payloads.len() < NAMED_MAX {
        let (name, source) = (payload.name, payload.source.name.to_string());
        let fields = former_shown.map(|shown| field_changes(&shown, &new_shown)).unwrap_or_default();
        group.payloads.push(PayloadDifference { payload: name, source, reason, fields });
    }
}

/// Returns the result of a version on a payload. A call that missed its deadline, perhaps on a busy machine, is
/// repeated once.
async fn outcome(plugin: &Arc<Plugin>, payload: &Payload) -> Verdict {
    let verdict = map::run(plugin, &payload.event, &payload.source).await.result;
    let again = match &verdict {
        Verdict::Wait(_) => true,
        Verdict::Failed(failure) => failure.code == FailureCode::DeadlineExceeded,
        Verdict::Read { .. } | Verdict::NotMapped(_) => false,
    };
    if again { map::run(plugin, &payload.event, &payload.source).await.result } else { verdict }
}

impl Rank {
    fn of(code: FailureCode) -> Self {
        match code {
            FailureCode::Unsupported => Self::Unsupported,
            FailureCode::Malformed => Self::Malformed,
            _ => Self::Broken,
        }
    }
}

/// Returns the rank of a result, or `None` if the version was not called.
fn rank(verdict: &Verdict) -> Option<Rank> {
    match verdict {
        Verdict::Read { reading, .. } if reading.problems.is_empty() => Some(Rank::Read),
        Verdict::Read { .. } => Some(Rank::Partial),
        Verdict::Failed(failure) => Some(Rank::of(failure.code)),
        Verdict::Wait(_) | Verdict::NotMapped(_) => None,
    }
}

fn reason(verdict: &Verdict) -> String {
    short(&match verdict {
        Verdict::Read { reading, .. } => reading.problems.join("; "),
        Verdict::Failed(failure) => format!("{}: {}", failure.code, failure.message),
        verdict => verdict.reason().to_owned(),
    })
}

/// Returns the fields in which the results of two versions differ.
pub fn result_changes(before: &Verdict, new: &Verdict) -> Vec<FieldChange> {
    field_changes(&shown(before), &shown(new))
}

/// Returns the part of a result that is compared. The message of a failure is left out, because it may name the
/// version.
fn shown(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Read { reading: Reading { observations, skipped, problems }, .. } => {
            json!({"incidents": observations, "skipped": skipped, "problems": problems})
        }
        Verdict::Failed(failure) => json!({"error": failure.code.as_str()}),
        Verdict::Wait(_) | Verdict::NotMapped(_) => Value::Null,
    }
}
