//! Proof before a mapper goes live: what a new version makes of payloads that are there, beside what the live one makes.
//!
//! Nothing is stored of it but the report. Both versions are called on each payload, one after the other, so that as
//! little as possible is taken from what comes in meanwhile.

use super::report::{field_changes, short};
use crate::map;
use crate::payload_file::{PayloadFile, is_payload};
use crate::source::{PluginChoice, Source};
use crate::sources::Sources;
use anyhow::{Context, Result};
use hookmill_incident::{Event, EventStatus, FailureCode, Reading, Verdict};
use hookmill_sandbox::Plugin;
use hookmill_store::{Difference, Differences, Report, Store};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use uuid::Uuid;

/// Samples beside a plugin that are looked at, and the largest of them.
const SAMPLES_MAX: usize = 1000;
const SAMPLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Payloads that a report names of each kind of difference, and fields of each payload. All are counted.
const NAMED_MAX: usize = 50;

/// What a new version has to get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofBounds {
    /// How many stored payloads.
    pub payloads: usize,
    /// For how long.
    pub time: Duration,
}

/// Compares versions.
#[derive(Debug)]
pub struct Prover {
    store: Arc<Store>,
    sources: Arc<Sources>,
    plugins_dir: PathBuf,
    bounds: ProofBounds,
    /// One proof at a time: what comes in meanwhile has the machine.
    turn: Semaphore,
}

/// A payload to try versions on.
struct Payload {
    name: String,
    event: Event,
    source: Arc<Source>,
    /// What came of it, where there is no version before that could be asked.
    was: Rank,
}

/// How good an outcome is; the better the smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Read,
    Partial,
    Unsupported,
    Malformed,
    Broken,
}

impl Prover {
    /// Takes payloads from the store, and samples from the folders `NAME.samples` in the plugins folder.
    pub fn new(store: Arc<Store>, sources: Arc<Sources>, plugins_dir: PathBuf, bounds: ProofBounds) -> Self {
        Self { store, sources, plugins_dir, bounds, turn: Semaphore::new(1) }
    }

    /// Tries a version on the samples of its plugin and on the newest payloads that the plugin was asked about.
    ///
    /// # Errors
    /// When the payloads cannot be read.
    pub async fn prove(&self, before: Option<&Arc<Plugin>>, new: &Arc<Plugin>) -> Result<Report> {
        let _turn = self.turn.acquire().await;
        let mut report = Report {
            plugin: (*new.version).clone(),
            against: before.map(|before| (*before.version).clone()),
            at: Timestamp::now(),
            passed: true,
            payloads: 0,
            left_out: 0,
            same: 0,
            changed: Differences::default(),
            newly_failing: Differences::default(),
            newly_succeeding: Differences::default(),
        };
        let name = &new.version.name;
        let samples = samples(&self.plugins_dir.join(format!("{name}.samples")))?;
        let stored = self.store.newest_of_each(self.sources_of(name), self.bounds.payloads).await?;
        let all = samples.len() + stored.len();
        // Each kind has its own time, so that slow samples leave some to what was really sent.
        let end = Instant::now() + self.bounds.time / 2;
        for file in samples {
            let payload = self.sample(name, &file).with_context(|| format!("the sample {}", file.display()))?;
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

    fn sample(&self, plugin: &str, file: &Path) -> Result<Payload> {
        let PayloadFile { body, headers, context } = PayloadFile::read(file)?;
        let source = self.sources.get(plugin).unwrap_or_else(|| Arc::new(Source::unregistered(plugin.to_owned())));
        let event = Event { context, ..Event::dry_run(Uuid::nil(), source.name.clone(), headers, body.into()) };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What is put beside a plugin, it has to map somehow.
        Ok(Payload { name, event, source, was: Rank::Unsupported })
    }

    /// The sources whose payloads a plugin may be asked about.
    fn sources_of(&self, plugin: &str) -> Vec<String> {
        let all = self.sources.all();
        let asks = all.values().filter(|source| match &source.settings.plugin {
            PluginChoice::None => false,
            PluginChoice::Named(names) => names.iter().any(|name| name == plugin),
            PluginChoice::Auto => true,
        });
        asks.map(|source| source.name.to_string()).collect()
    }

    async fn stored(&self, plugin: &str, id: Uuid) -> Result<Option<Payload>> {
        let Some(row) = self.store.event(id).await? else { return Ok(None) };
        let was = match (row.state.status, row.state.code) {
            _ if !row.tried.iter().any(|tried| tried.split('@').next() == Some(plugin)) => Rank::Unsupported,
            (EventStatus::Partial, _) => Rank::Partial,
            (EventStatus::Mapped | EventStatus::Ignored, _) => Rank::Read,
            (_, Some(code)) => Rank::of(code),
            _ => Rank::Broken,
        };
        let unregistered = || Arc::new(Source::unregistered(row.event.source.to_string()));
        let source = self.sources.get(&row.event.source).unwrap_or_else(unregistered);
        Ok(Some(Payload { name: id.to_string(), event: row.event, source, was }))
    }
}

/// The sample files of a plugin, by name.
fn samples(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the samples in {}", folder.display())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_sample =
            is_payload(&path) && path.metadata().is_ok_and(|file| file.is_file() && file.len() <= SAMPLE_BYTES_MAX);
        if is_sample {
            files.push(path);
        }
    }
    files.sort();
    if files.len() > SAMPLES_MAX {
        warn!("{} has {} samples; only the first {SAMPLES_MAX} are tried", folder.display(), files.len());
        files.truncate(SAMPLES_MAX);
    }
    Ok(files)
}

async fn compare(report: &mut Report, payload: Payload, before: Option<&Arc<Plugin>>, new: &Arc<Plugin>) {
    let after = outcome(new, &payload).await;
    let was = match before {
        Some(before) => Some(outcome(before, &payload).await),
        None => None,
    };
    // Where the version before had no time, what it once made of the payload counts.
    let was_rank = was.as_ref().and_then(rank).unwrap_or(payload.was);
    let Some(now_rank) = rank(&after) else { return };
    report.payloads += 1;
    let was_shown = was.as_ref().map(shown);
    let now_shown = shown(&after);
    let (group, reason) = match now_rank.cmp(&was_rank) {
        Ordering::Greater => (&mut report.newly_failing, Some(reason(&after))),
        Ordering::Less => (&mut report.newly_succeeding, was.as_ref().map(reason)),
        Ordering::Equal if was_shown.as_ref().is_none_or(|was| *was == now_shown) => {
            report.same += 1;
            return;
        }
        Ordering::Equal => (&mut report.changed, None),
    };
    group.count += 1;
    if group.payloads.len() < NAMED_MAX {
        let (name, source) = (payload.name, payload.source.name.to_string());
        let fields = was_shown.map(|was| field_changes(&was, &now_shown)).unwrap_or_default();
        group.payloads.push(Difference { payload: name, source, reason, fields });
    }
}

/// What a version makes of a payload. A deadline that a busy machine made it miss is tried once more.
async fn outcome(plugin: &Arc<Plugin>, payload: &Payload) -> Verdict {
    let (verdict, _) = map::run(plugin, &payload.event, &payload.source).await;
    let again = match &verdict {
        Verdict::Wait(_) => true,
        Verdict::Failed(failure) => failure.code == FailureCode::DeadlineExceeded,
        Verdict::Read { .. } | Verdict::NotMapped => false,
    };
    if again { map::run(plugin, &payload.event, &payload.source).await.0 } else { verdict }
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

/// Nothing where it was not tried.
fn rank(verdict: &Verdict) -> Option<Rank> {
    match verdict {
        Verdict::Read { reading, .. } if reading.problems.is_empty() => Some(Rank::Read),
        Verdict::Read { .. } => Some(Rank::Partial),
        Verdict::Failed(failure) => Some(Rank::of(failure.code)),
        Verdict::Wait(_) | Verdict::NotMapped => None,
    }
}

fn reason(verdict: &Verdict) -> String {
    short(&match verdict {
        Verdict::Read { reading, .. } => reading.problems.join("; "),
        Verdict::Failed(failure) => format!("{}: {}", failure.code, failure.message),
        verdict => verdict.reason().to_owned(),
    })
}

/// What of an outcome counts: a failure's words may name the version.
fn shown(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Read { reading: Reading { observations, skipped, problems }, .. } => {
            json!({"incidents": observations, "skipped": skipped, "problems": problems})
        }
        Verdict::Failed(failure) => json!({"error": failure.code.as_str()}),
        Verdict::Wait(_) | Verdict::NotMapped => Value::Null,
    }
}
