//! Proof before a mapper goes live: what a new version makes of payloads that are there, beside what the live one makes.
//!
//! Nothing is stored of it but the report. Both versions are called on each payload, one after the other, so that as
//! little as possible is taken from what comes in meanwhile.

use crate::event::{Event, FailureCode, Verdict};
use crate::incident::PluginVersion;
use crate::map;
use crate::plugin::Plugin;
use crate::registry::Registry;
use crate::source::Source;
use crate::store::Store;
use anyhow::{Context, Result};
use jiff::Timestamp;
use json_patch::PatchOperation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;
use uuid::Uuid;

/// Samples beside a plugin that are looked at, and the largest of them.
const SAMPLES_MAX: usize = 1000;
const SAMPLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Payloads that a report names of each kind of difference, and fields of each payload. All are counted.
const NAMED_MAX: usize = 50;
const FIELDS_MAX: usize = 20;
/// As much of a value is shown.
const VALUE_CHARS_MAX: usize = 200;

/// What a new version has to get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many stored payloads.
    pub payloads: usize,
    /// For how long.
    pub time: Duration,
}

/// Compares versions.
#[derive(Debug)]
pub struct Prover {
    store: Arc<Store>,
    sources: Arc<Registry>,
    plugins_dir: PathBuf,
    bounds: Bounds,
}

/// What a version makes of payloads, beside the one before it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The version that was tried.
    pub plugin: PluginVersion,
    /// The version that it was compared with; none where there was none.
    pub against: Option<PluginVersion>,
    /// When.
    pub at: Timestamp,
    /// Whether it may go live.
    pub passed: bool,
    /// How many payloads were tried.
    pub payloads: usize,
    /// How many more there were when the time was over.
    pub left_out: usize,
    /// Payloads of which both make the same.
    pub same: usize,
    /// Payloads of which they make something else.
    pub changed: Differences,
    /// Payloads that only the version before could map, or that the new one fails on in a worse way.
    pub newly_failing: Differences,
    /// Payloads that only the new one can map.
    pub newly_succeeding: Differences,
}

/// Payloads with one kind of difference.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Differences {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub payloads: Vec<Difference>,
}

/// One payload with a difference.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The event's id, or the file's name.
    pub payload: String,
    /// Who sent it.
    pub source: String,
    /// Why the new version, or the one before, could not map it.
    pub reason: Option<String>,
    /// What changed, as JSON pointers into the outcome.
    pub fields: Vec<FieldChange>,
}

/// One value that changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FieldChange {
    /// Where.
    pub path: String,
    /// What it was; nothing where there was none.
    pub before: Option<String>,
    /// What it is; nothing where there is none.
    pub after: Option<String>,
}

/// A payload to try versions on.
struct Payload {
    name: String,
    event: Event,
    source: Arc<Source>,
}

/// How good an outcome is; the better the smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Read,
    Partial,
    Refused,
    Broken,
}

impl Prover {
    /// Takes payloads from the store, and samples from the folders `NAME.samples` in the plugins folder.
    pub fn new(store: Arc<Store>, sources: Arc<Registry>, plugins_dir: PathBuf, bounds: Bounds) -> Self {
        Self { store, sources, plugins_dir, bounds }
    }

    /// Tries a version on the samples of its plugin and on the newest payloads that the plugin was asked about.
    ///
    /// # Errors
    /// When the payloads cannot be read.
    pub async fn prove(&self, before: Option<&Arc<Plugin>>, new: &Arc<Plugin>) -> Result<Report> {
        let end = Instant::now() + self.bounds.time;
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
        let stored = self.store.payloads_of(name.clone(), self.bounds.payloads).await?;
        let all = samples.len() + stored.len();
        for file in samples {
            if Instant::now() < end {
                let payload = self.sample(name, &file).with_context(|| format!("the sample {}", file.display()))?;
                compare(&mut report, payload, before, new).await;
            }
        }
        for id in stored {
            if Instant::now() >= end {
                break;
            }
            if let Some(payload) = self.stored(id).await? {
                compare(&mut report, payload, before, new).await;
            }
        }
        report.left_out = all.saturating_sub(report.payloads);
        report.passed = report.newly_failing.count == 0;
        Ok(report)
    }

    fn sample(&self, plugin: &str, file: &Path) -> Result<Payload> {
        let bytes = std::fs::read(file)?;
        let source = self.sources.get(plugin).unwrap_or_else(|| Arc::new(Source::unregistered(plugin.to_owned())));
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let event = Event::trial(Uuid::nil(), source.name.clone(), headers, bytes.into());
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Payload { name, event, source })
    }

    async fn stored(&self, id: Uuid) -> Result<Option<Payload>> {
        let Some(row) = self.store.event(id).await? else { return Ok(None) };
        let unregistered = || Arc::new(Source::unregistered(row.event.source.to_string()));
        let source = self.sources.get(&row.event.source).unwrap_or_else(unregistered);
        Ok(Some(Payload { name: id.to_string(), event: row.event, source }))
    }
}

/// The sample files of a plugin, by name.
fn samples(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_sample = path.extension().is_some_and(|kind| kind == "json")
            && !path.to_string_lossy().ends_with(".expected.json")
            && path.metadata().is_ok_and(|file| file.is_file() && file.len() <= SAMPLE_BYTES_MAX);
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
        Some(before) => outcome(before, &payload).await,
        // A first version may leave payloads to others, and must not break on any.
        None => Verdict::Failed(crate::event::Failure { code: FailureCode::Unsupported, message: String::new() }),
    };
    let (Some(now_rank), Some(was_rank)) = (rank(&after), rank(&was)) else { return };
    report.payloads += 1;
    let (was_shown, now_shown) = (shown(&was), shown(&after));
    let (group, reason) = match now_rank.cmp(&was_rank) {
        std::cmp::Ordering::Greater => (&mut report.newly_failing, Some(reason(&after))),
        std::cmp::Ordering::Less => (&mut report.newly_succeeding, before.map(|_| reason(&was))),
        std::cmp::Ordering::Equal if was_shown == now_shown => {
            report.same += 1;
            return;
        }
        std::cmp::Ordering::Equal => (&mut report.changed, None),
    };
    group.count += 1;
    if group.payloads.len() < NAMED_MAX {
        let (name, source) = (payload.name, payload.source.name.to_string());
        let fields = if before.is_some() { changes(&was_shown, &now_shown) } else { Vec::new() };
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

/// Nothing where it was not tried.
fn rank(verdict: &Verdict) -> Option<Rank> {
    match verdict {
        Verdict::Read { problems, .. } if problems.is_empty() => Some(Rank::Read),
        Verdict::Read { .. } => Some(Rank::Partial),
        Verdict::Failed(failure) => match failure.code {
            FailureCode::Unsupported | FailureCode::Malformed => Some(Rank::Refused),
            _ => Some(Rank::Broken),
        },
        Verdict::Wait(_) | Verdict::NotMapped => None,
    }
}

fn reason(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Read { problems, .. } => problems.join("; "),
        Verdict::Failed(failure) => format!("{}: {}", failure.code, failure.message),
        verdict => verdict.reason().to_owned(),
    }
}

/// What of an outcome counts: a failure's words may name the version.
fn shown(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Read { observations, skipped, problems, .. } => {
            json!({"incidents": observations, "skipped": skipped, "problems": problems})
        }
        Verdict::Failed(failure) => json!({"error": failure.code.as_str()}),
        Verdict::Wait(_) | Verdict::NotMapped => Value::Null,
    }
}

/// What has to change in `before` to make `after` of it, step by step, with the values on both sides.
pub fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let patch = json_patch::diff(before, after);
    let mut present = before.clone();
    let mut changes = Vec::new();
    for operation in patch.0.into_iter().take(FIELDS_MAX) {
        let path = operation.path().to_string();
        let was = present.pointer(&path).filter(|_| !matches!(operation, PatchOperation::Add(_))).map(text);
        let is = match &operation {
            PatchOperation::Add(operation) => Some(text(&operation.value)),
            PatchOperation::Replace(operation) => Some(text(&operation.value)),
            _ => None,
        };
        // It was made from these two, so it fits.
        let _ = json_patch::patch(&mut present, &[operation]);
        changes.push(FieldChange { path, before: was, after: is });
    }
    changes
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl Report {
    /// One sentence on what speaks against it.
    pub fn objection(&self) -> String {
        let first = self.newly_failing.payloads.first();
        let first = first.map_or_else(String::new, |first| {
            format!("; first {} of {}: {}", first.payload, first.source, first.reason.as_deref().unwrap_or_default())
        });
        format!(
            "version {} newly fails on {} of {} payloads{first}; `hookmill plugin diff {name}` shows them, `hookmill \
             plugin promote {name}` makes it live nevertheless",
            self.plugin.version,
            self.newly_failing.count,
            self.payloads,
            name = self.plugin.name
        )
    }
}
