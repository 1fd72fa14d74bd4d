//! Maps verified payloads: chooses the mapper, calls it in an instance of its own, checks what comes back.

mod outcome;

pub(crate) use outcome::{observable, severity};

use crate::event::{Failure, FailureCode, Mapped, Verdict};
use crate::metrics::Metrics;
use crate::plugin::{CallError, Kind, Plugin, shapes};
use crate::plugin_dir::{Loaded, find, not_loaded};
use crate::sandbox::{LogLine, log_said};
use crate::source::{PluginChoice, Source};
use crate::verify::Verified;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tracing::debug;

/// The mapper that is asked last when nothing else is chosen.
const FALLBACK: &str = "generic";
/// How often an event that took too long is tried in all.
pub const ATTEMPTS: u32 = 3;

/// Maps events with the plugins that are loaded.
#[derive(Debug)]
pub struct Mappers {
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    /// Per source with `plugin: auto`, the mapper that fitted last.
    fitted: RwLock<HashMap<Arc<str>, Arc<str>>>,
}

/// What one mapper made of an event, for those who want to see how.
#[derive(Debug)]
pub struct Trace {
    /// The mapper.
    pub plugin: Arc<Plugin>,
    /// What it wrote.
    pub log: Vec<LogLine>,
    /// How long it took.
    pub duration: Duration,
    /// The most memory that it had.
    pub memory_bytes: usize,
}

enum Candidates {
    /// `plugin: none`.
    Nobody,
    /// To be asked in this order; `Err` says of one why it cannot be.
    Plugins(Vec<Result<Arc<Plugin>, String>>),
}

impl Mappers {
    /// Maps with what is loaded at the time of each event.
    pub fn new(loaded: Arc<Loaded>, metrics: Arc<Metrics>) -> Self {
        Self { loaded, metrics, fitted: RwLock::default() }
    }

    /// Maps an event; `attempt` counts from 1.
    pub async fn map(&self, verified: Verified, attempt: u32) -> Mapped {
        let (event, source) = verified.into_parts();
        let candidates = match self.candidates(&source) {
            Candidates::Nobody => {
                return Mapped { event, source, verdict: Verdict::NotMapped, tried: Vec::new() };
            }
            Candidates::Plugins(plugins) => plugins,
        };
        let mut tried = Vec::new();
        let mut refusals = Vec::new();
        for candidate in candidates {
            let plugin = match candidate {
                Ok(plugin) => plugin,
                Err(reason) => {
                    let verdict = Verdict::Wait(reason);
                    return Mapped { event, source, verdict, tried };
                }
            };
            let (verdict, trace) = run(&plugin, &event, &source).await;
            if matches!(verdict, Verdict::Wait(_)) {
                return Mapped { event, source, verdict, tried };
            }
            tried.push(version_name(&plugin));
            self.metrics.mapping_duration(&plugin.version.name, trace.duration);
            log_said(event.id, &plugin.version.name, &trace.log);
            match verdict {
                Verdict::Failed(failure) if failure.code == FailureCode::Unsupported => refusals.push(failure.message),
                Verdict::Failed(failure) if failure.code == FailureCode::DeadlineExceeded && attempt < ATTEMPTS => {
                    let message = format!("{}; attempt {attempt} of {ATTEMPTS}", failure.message);
                    return Mapped { event, source, verdict: Verdict::Wait(message), tried };
                }
                verdict => {
                    debug!(request_id = %event.id, plugin = %plugin.version.name, "mapped");
                    return Mapped { event, source, verdict, tried };
                }
            }
        }
        let verdict = if refusals.is_empty() {
            Verdict::Wait("no mapper is loaded".into())
        } else {
            Verdict::Failed(Failure { code: FailureCode::Unsupported, message: refusals.join("; ") })
        };
        Mapped { event, source, verdict, tried }
    }

    /// The mappers that would be asked now, as `NAME@SHA256`.
    pub fn candidate_versions(&self, source: &Source) -> Vec<String> {
        match self.candidates(source) {
            Candidates::Nobody => Vec::new(),
            Candidates::Plugins(plugins) => plugins.iter().flatten().map(|plugin| version_name(plugin)).collect(),
        }
    }

    fn candidates(&self, source: &Source) -> Candidates {
        let loaded = self.loaded.plugins();
        match &source.settings.plugin {
            PluginChoice::None => Candidates::Nobody,
            PluginChoice::Named(names) => {
                Candidates::Plugins(names.iter().map(|name| find(&loaded, name, Kind::Mapper)).collect())
            }
            PluginChoice::Auto => {
                let own = loaded.get(&*source.name);
                if let Some(own) = own.filter(|own| own.kind() == Kind::Mapper) {
                    return Candidates::Plugins(vec![Ok(own.clone())]);
                }
                // A source's own plugin that is there and broken is waited for, not worked around.
                if own.is_none() && self.loaded.states().contains_key(&*source.name) {
                    return Candidates::Plugins(vec![Err(not_loaded(&source.name))]);
                }
                if !self.loaded.is_settled() {
                    return Candidates::Plugins(Vec::new());
                }
                let fitted = self.fitted.read().unwrap_or_else(PoisonError::into_inner).get(&source.name).cloned();
                let mut plugins: Vec<_> = loaded.iter().filter(|(_, plugin)| plugin.kind() == Kind::Mapper).collect();
                plugins.sort_by_key(|(name, _)| (Some(name.as_str()) != fitted.as_deref(), *name == FALLBACK));
                Candidates::Plugins(plugins.into_iter().map(|(_, plugin)| Ok(plugin.clone())).collect())
            }
        }
    }

    /// Asks the mapper that read an event first when the next one of its source comes.
    pub fn remember(&self, mapped: &Mapped) {
        let Mapped { source, verdict: Verdict::Read { plugin, .. }, .. } = mapped else { return };
        if source.settings.plugin != PluginChoice::Auto {
            return;
        }
        let name = &*plugin.name;
        if self.fitted.read().unwrap_or_else(PoisonError::into_inner).get(&source.name).map(|name| &**name)
            == Some(name)
        {
            return;
        }
        let mut fitted = self.fitted.write().unwrap_or_else(PoisonError::into_inner);
        fitted.insert(source.name.clone(), name.into());
    }
}

fn version_name(plugin: &Plugin) -> String {
    format!("{}@{}", plugin.version.name, plugin.version.sha256)
}

/// Calls one mapper and checks what it returns.
pub async fn run(plugin: &Arc<Plugin>, event: &crate::event::Event, source: &Source) -> (Verdict, Trace) {
    let call = plugin.to_incidents(event, &source.settings.settings).await;
    let verdict = judge(plugin, source, call.result);
    let trace =
        Trace { plugin: plugin.clone(), log: call.log, duration: call.duration, memory_bytes: call.memory_bytes };
    (verdict, trace)
}

type Returned = Result<Result<shapes::Outcome, shapes::MappingError>, CallError>;

fn judge(plugin: &Plugin, source: &Source, returned: Returned) -> Verdict {
    let (code, message) = match returned {
        Ok(Ok(outcome)) => match outcome::check(outcome, &source.settings.severity_mapping, plugin.incidents_max()) {
            Ok(checked) => {
                return Verdict::Read {
                    plugin: (*plugin.version).clone(),
                    observations: checked.observations,
                    skipped: checked.skipped,
                    problems: checked.problems,
                };
            }
            Err(failure) => (failure.code, failure.message),
        },
        Ok(Err(shapes::MappingError::Malformed(text))) => (FailureCode::Malformed, text),
        Ok(Err(shapes::MappingError::Unsupported(text))) => (FailureCode::Unsupported, text),
        Err(error) => {
            let code = match &error {
                CallError::Busy => return Verdict::Wait(format!("{}: {error}", plugin.version.name)),
                CallError::Kind { .. } => FailureCode::Unsupported,
                CallError::Deadline(_) => FailureCode::DeadlineExceeded,
                CallError::Memory(_) => FailureCode::MemoryExceeded,
                CallError::Output(_) => FailureCode::OutputTooLarge,
                CallError::Trap(_) => FailureCode::Trapped,
            };
            (code, error.to_string())
        }
    };
    let message = format!("{} {}: {message}", plugin.version.name, plugin.version.version);
    Verdict::Failed(Failure { code, message })
}
