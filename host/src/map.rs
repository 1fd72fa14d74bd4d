//! Maps verified payloads: chooses the mapper, calls it, and turns its result into a verdict.

mod refusals;

use crate::housekeeping;
use crate::loaded::{Loaded, Plugins, not_loaded};
use crate::metrics::Metrics;
use crate::source::{PluginChoice, Source};
use crate::traces::Trace;
use crate::verify::Verified;
use hookmill_incident::{
    Event, FailureCode, Journey, Mapped, MapperRun, MappingFailure, Reading, Verdict, microseconds,
};
use hookmill_sandbox::{Call, CallError, Kind, Plugin, forward_log};
use refusals::Refusals;
use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::once_with;
use std::sync::{Arc, PoisonError, RwLock};
use tracing::debug;

/// The mapper that is called last with `plugin: auto`.
const FALLBACK: &str = "generic";
/// The maximum number of attempts for an event that exceeds the deadline.
pub const ATTEMPTS: u32 = 3;

/// The mapping of events with the loaded plugins.
#[derive(Debug)]
pub struct Mappers {
    loaded: Arc<Loaded>,
    metrics: Arc<Metrics>,
    /// Per source with `plugin: auto`, the mapper that read the last event.
    fitted: RwLock<HashMap<Arc<str>, Arc<str>>>,
}

/// A mapper to call; `Err` is the reason why it is not available.
pub type Candidate = Result<Arc<Plugin>, String>;

enum Candidates {
    /// `plugin: none`.
    None,
    /// The mappers in the order of calls. Those after the first one are looked for only when they are to be called.
    Plugins(Box<dyn Iterator<Item = Candidate> + Send>),
}

impl Candidates {
    fn of(candidates: impl IntoIterator<Item = Candidate, IntoIter: Send + 'static>) -> Self {
        Self::Plugins(Box::new(candidates.into_iter()))
    }
}

impl Mappers {
    /// Creates a mapping that uses the plugins loaded at the time of each event.
    pub fn new(loaded: Arc<Loaded>, metrics: Arc<Metrics>) -> Self {
        Self { loaded, metrics, fitted: RwLock::default() }
    }

    /// Maps an event; `attempt` counts from 1.
    pub async fn map(&self, verified: Verified, attempt: u32) -> Mapped {
        let source = verified.source().clone();
        if let Some(message) = housekeeping::message(verified.event(), &source) {
            return not_mapped(verified, message.into());
        }
        match self.candidates(&source) {
            Candidates::None => not_mapped(verified, "the source has `plugin: none`".into()),
            Candidates::Plugins(plugins) => self.map_with(plugins, verified, attempt).await,
        }
    }

    /// Maps an event with these mappers, the first one first; `attempt` counts from 1.
    pub async fn map_with(
        &self,
        candidates: impl IntoIterator<Item = Candidate>,
        verified: Verified,
        attempt: u32,
    ) -> Mapped {
        let (event, source, trace, mut journey) = verified.into_parts();
        let (verdict, tried) = self.decide(candidates, &event, &source, attempt, &trace, &mut journey).await;
        Mapped { journey, ..mapped(event, &source, verdict, tried) }
    }

    /// Calls one candidate after the other. Returns the verdict and the versions that were tried.
    async fn decide(
        &self,
        candidates: impl IntoIterator<Item = Candidate>,
        event: &Event,
        source: &Source,
        attempt: u32,
        trace: &Trace,
        journey: &mut Journey,
    ) -> (Verdict, Vec<String>) {
        let mut tried = Vec::new();
        let mut refusals = Refusals::default();
        for candidate in candidates {
            let plugin = match candidate {
                Ok(plugin) => plugin,
                Err(reason) => return (Verdict::Wait(reason), tried),
            };
            let Call { result: verdict, log, duration, memory_bytes } = traced_run(&plugin, event, source, trace).await;
            if matches!(verdict, Verdict::Wait(_)) {
                return (verdict, tried);
            }
            tried.push(version_name(&plugin));
            self.metrics.mapping_duration(&plugin.version.name, duration);
            forward_log(event.id, &plugin.version.name, &log);
            let code = match &verdict {
                Verdict::Failed(failure) => Some(failure.code.to_string()),
                _ => None,
            };
            let (version, us) = (plugin.version.version.clone(), microseconds(duration));
            let run = MapperRun { version, us, memory: memory_bytes, code };
            journey.add_run(run, log.iter().map(|line| (line.level, line.message.as_str())));
            match verdict {
                Verdict::Failed(failure) if passes_on(failure.code, source) => refusals.add(failure),
                Verdict::Read { ref reading, .. } if is_auto(source) && is_empty(reading) => {
                    refusals.add_empty(verdict);
                }
                Verdict::Failed(failure) if failure.code == FailureCode::DeadlineExceeded && attempt < ATTEMPTS => {
                    let message = format!("{}; attempt {attempt} of {ATTEMPTS}", failure.message);
                    return (Verdict::Wait(message), tried);
                }
                verdict => {
                    debug!(request_id = %event.id, plugin = %plugin.version.name, "mapped");
                    return (verdict, tried);
                }
            }
        }
        (refusals.verdict().unwrap_or_else(|| Verdict::Wait("no mapper is loaded".into())), tried)
    }

    /// Returns the mappers that could be called now: those before the first one that is not available.
    pub fn available(&self, source: &Source) -> Vec<Arc<Plugin>> {
        match self.candidates(source) {
            Candidates::None => Vec::new(),
            Candidates::Plugins(plugins) => plugins.map_while(Result::ok).collect(),
        }
    }

    fn candidates(&self, source: &Source) -> Candidates {
        match &source.settings.plugin {
            PluginChoice::None => Candidates::None,
            PluginChoice::Named(names) => {
                let found = names.iter().map(|name| self.loaded.find(name, Kind::Mapper));
                Candidates::of(found.collect::<Vec<_>>())
            }
            PluginChoice::Auto => self.auto_candidates(&source.name),
        }
    }

    fn auto_candidates(&self, source: &str) -> Candidates {
        let loaded = self.loaded.plugins();
        let own = loaded.get(source);
        if let Some(own) = own.filter(|own| own.kind() == Kind::Mapper) {
            return Candidates::of([Ok(own.clone())]);
        }
        // If a source's own plugin is broken, events wait for it; no other mapper replaces it.
        if own.is_none() && self.loaded.states().contains_key(source) {
            return Candidates::of([Err(not_loaded(source))]);
        }
        // The mapper that fits may be one that is not loaded yet.
        if !self.loaded.is_settled() || self.loaded.is_lacking() {
            return Candidates::of([]);
        }
        let fitted = self.fitted.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned();
        let fitted = fitted.and_then(|name| loaded.get(&*name)).filter(|plugin| plugin.kind() == Kind::Mapper).cloned();
        let (plugins, called) = (loaded.clone(), fitted.clone());
        Candidates::of(
            fitted.into_iter().chain(once_with(move || others(&plugins, called.as_deref())).flatten()).map(Ok),
        )
    }

    /// Remembers the mapper that read an event, so that it is called first for the next event of the source.
    pub fn remember(&self, source: &Source, verdict: &Verdict) {
        let Verdict::Read { plugin, reading } = verdict else { return };
        if !is_auto(source) || is_empty(reading) {
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

/// Returns every mapper except one that was called, in the order of calls.
fn others(plugins: &Plugins, called: Option<&Plugin>) -> Vec<Arc<Plugin>> {
    let is_called = |name: &str| called.is_some_and(|called| called.version.name == name);
    let mut others: Vec<_> =
        plugins.iter().filter(|(name, plugin)| plugin.kind() == Kind::Mapper && !is_called(name)).collect();
    others.sort_by_key(|(name, _)| *name == FALLBACK);
    others.into_iter().map(|(_, plugin)| plugin.clone()).collect()
}

fn is_auto(source: &Source) -> bool {
    source.settings.plugin == PluginChoice::Auto
}

/// Returns whether a mapper that failed with this code passes the event on to the next one. With `plugin: auto` a
/// payload that is broken for one vendor's mapper may be another vendor's.
fn passes_on(code: FailureCode, source: &Source) -> bool {
    code == FailureCode::Unsupported || (code == FailureCode::Malformed && is_auto(source))
}

/// Returns whether a reading has neither incidents nor a reason for their absence.
fn is_empty(reading: &Reading) -> bool {
    reading.observations.is_empty() && reading.skipped.is_empty() && reading.problems.is_empty()
}

fn version_name(plugin: &Plugin) -> String {
    format!("{}@{}", plugin.version.name, plugin.version.sha256)
}

/// Joins an event with its verdict and its source's settings for triage.
pub fn mapped(event: Event, source: &Source, verdict: Verdict, tried: Vec<String>) -> Mapped {
    let (playbook, auto_triage) = (source.settings.playbook.clone(), source.settings.auto_triage);
    Mapped { event, verdict, playbook, auto_triage, tried, journey: Journey::default() }
}

fn not_mapped(verified: Verified, reason: Cow<'static, str>) -> Mapped {
    let (event, source, _, journey) = verified.into_parts();
    Mapped { journey, ..mapped(event, &source, Verdict::NotMapped(reason), Vec::new()) }
}

/// Calls one mapper, as a span of a trace.
async fn traced_run(plugin: &Plugin, event: &Event, source: &Source, trace: &Trace) -> Call<Verdict> {
    let mut span = trace.step("map");
    let call = run(plugin, event, source).await;
    span.plugin(&plugin.version, call.memory_bytes);
    match &call.result {
        // A mapper that is for other payloads has not failed.
        Verdict::Failed(failure) if failure.code == FailureCode::Unsupported => {
            span.set("error.type", failure.code.as_str());
        }
        Verdict::Failed(failure) => span.fail(failure.code.as_str()),
        Verdict::Read { .. } | Verdict::Wait(_) | Verdict::NotMapped(_) => {}
    }
    call
}

/// Calls one mapper and turns its result into a verdict.
pub async fn run(plugin: &Plugin, event: &Event, source: &Source) -> Call<Verdict> {
    let call = plugin.map(event, &source.settings.settings, &source.settings.severity_mapping).await;
    call.map(|returned| verdict(plugin, returned))
}

fn verdict(plugin: &Plugin, returned: Result<Result<Reading, MappingFailure>, CallError>) -> Verdict {
    let (code, message) = match returned {
        Ok(Ok(reading)) => return Verdict::Read { plugin: (*plugin.version).clone(), reading },
        Ok(Err(failure)) => (failure.code, failure.message),
        Err(error) => match error.code() {
            Some(code) => (code, error.to_string()),
            None => return Verdict::Wait(format!("{}: {error}", plugin.version.name)),
        },
    };
    // The sender gets only the first line of a message, and a plugin's text must be on that line as a whole.
    let message = message.replace('\n', " ");
    let message = format!("{} {}: {message}", plugin.version.name, plugin.version.version);
    Verdict::Failed(MappingFailure { code, message })
}
