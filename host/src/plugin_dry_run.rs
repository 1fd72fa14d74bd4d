//! One call of a plugin without effects.

use crate::deliver::{ShownRequest, render};
use crate::map;
use crate::release::proof::result_changes;
use crate::source::Source;
use crate::triage::call_playbook;
use anyhow::{Context, Result};
use hookmill_incident::{Action, Event, Incident, Origin, PluginVersion, Reading, ShownIncident, Verdict};
use hookmill_sandbox::{Call, Kind, LogLine, Notification, Plugin};
use hookmill_store::FieldChange;
use jiff::Timestamp;
use reqwest::Url;
use serde::Serialize;
use uuid::Uuid;

/// The URL of the destination that a notifier is called for.
const DESTINATION_URL: &str = "https://destination.example/";
const DESTINATION: &str = "dry-run";

/// The result of one call. `I` is the form of an incident.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PluginDryRun<I> {
    /// The result of a mapper.
    Mapper(MapperDryRun<I>),
    /// The result of a playbook.
    Playbook(PlaybookDryRun),
    /// The result of a notifier.
    Notifier(NotifierDryRun),
}

/// The values that calls of all kinds have.
#[derive(Debug, Serialize)]
pub struct CallSummary {
    /// The plugin.
    pub plugin: PluginVersion,
    /// The lines that the plugin logged.
    pub log: Vec<LogLine>,
    /// The duration of the call in microseconds.
    pub duration_us: u64,
    /// The peak memory of the instance, in bytes.
    pub memory_bytes: usize,
    /// The limits of the call.
    pub limits: CallBounds,
}

/// The limits of one call.
#[derive(Debug, Serialize)]
pub struct CallBounds {
    /// The wall time in milliseconds.
    pub deadline_ms: u64,
    /// The memory of the instance, in bytes.
    pub memory_bytes: usize,
}

/// One call of a mapper. `I` is the form of an incident, which has an id and a number only where a store was asked.
#[derive(Debug, Serialize)]
pub struct MapperDryRun<I> {
    /// The call.
    #[serde(flatten)]
    pub call: CallSummary,
    /// The mapper's result; `None` if no mapper was called.
    pub outcome: Option<MappingOutcome>,
    /// The incidents as they would be stored.
    pub incidents: Vec<I>,
    /// The destinations that would get a delivery; absent if the call did not use a store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Vec<String>>,
    /// The same call of another version, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<ComparedCall>,
}

/// A call of another version of the same mapper with the same payload.
#[derive(Debug, Serialize)]
pub struct ComparedCall {
    /// The call.
    #[serde(flatten)]
    pub call: CallSummary,
    /// The mapper's result.
    pub outcome: Option<MappingOutcome>,
    /// The values that differ: `before` of this version, `after` of the called one.
    pub changes: Vec<FieldChange>,
}

/// The result of a mapper in short.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum MappingOutcome {
    /// The payload was read.
    Read {
        /// The number of incidents.
        incidents: usize,
        /// The reasons why parts of the payload make no incident.
        skipped: Vec<String>,
        /// Parts of the payload that could not be mapped.
        problems: Vec<String>,
    },
    /// The payload was not read.
    Failed {
        /// The reason.
        error: CallFailure,
    },
}

/// One call of a playbook.
#[derive(Debug, Serialize)]
pub struct PlaybookDryRun {
    /// The call.
    #[serde(flatten)]
    pub call: CallSummary,
    /// The actions that the playbook asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<Action>>,
    /// The reason why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CallFailure>,
}

/// One call of a notifier.
#[derive(Debug, Serialize)]
pub struct NotifierDryRun {
    /// The call.
    #[serde(flatten)]
    pub call: CallSummary,
    /// The request that would be sent; `null` if nothing would be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Option<ShownRequest>>,
    /// The reason why there is no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<CallFailure>,
}

/// A call without a result.
#[derive(Debug, Serialize)]
pub struct CallFailure {
    /// The code of the reason.
    pub code: String,
    /// The reason as text.
    pub message: String,
}

impl CallSummary {
    /// Returns the summary of a call, and its result.
    fn of<R>(plugin: &Plugin, call: Call<R>) -> (Self, R) {
        let Call { result, log, duration, memory_bytes } = call;
        let duration_us = duration.as_micros().try_into().unwrap_or(u64::MAX);
        let limits = CallBounds {
            deadline_ms: plugin.deadline().as_millis().try_into().unwrap_or(u64::MAX),
            memory_bytes: plugin.memory_bytes_max(),
        };
        (Self { plugin: (*plugin.version).clone(), log, duration_us, memory_bytes, limits }, result)
    }
}

impl CallFailure {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

impl<I> MapperDryRun<I> {
    /// Returns the result of a mapper that was called.
    pub fn new(plugin: &Plugin, call: Call<Verdict>, incidents: Vec<I>, deliveries: Option<Vec<String>>) -> Self {
        let (call, verdict) = CallSummary::of(plugin, call);
        Self { call, outcome: MappingOutcome::of(verdict), incidents, deliveries, against: None }
    }
}

impl ComparedCall {
    /// Calls another version with the same event, and compares the result with that of the called one.
    pub async fn of(plugin: &Plugin, event: &Event, source: &Source, called: &Verdict) -> Self {
        let (call, verdict) = CallSummary::of(plugin, map::run(plugin, event, source).await);
        let changes = result_changes(&verdict, called);
        Self { call, outcome: MappingOutcome::of(verdict), changes }
    }
}

impl MappingOutcome {
    fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Read { reading: Reading { observations, skipped, problems }, .. } => {
                Some(Self::Read { incidents: observations.len(), skipped, problems })
            }
            Verdict::Failed(failure) => {
                Some(Self::Failed { error: CallFailure::new(failure.code.as_str(), failure.message) })
            }
            Verdict::Wait(reason) => Some(Self::Failed { error: CallFailure::new("queued", reason) }),
            Verdict::NotMapped(_) => None,
        }
    }
}

/// Calls a mapper. The incidents are those that an empty store would create.
///
/// # Errors
/// Returns an error if the event's time is outside of the calendar.
pub async fn dry_run_mapper(plugin: &Plugin, event: &Event, source: &Source) -> Result<MapperDryRun<Incident>> {
    let call = map::run(plugin, event, source).await;
    let incidents = match &call.result {
        Verdict::Read { plugin, reading } => {
            let origin = Origin::of(event, plugin)?;
            let now = Timestamp::from_millisecond(event.received_at)?;
            let observations = reading.observations.iter().cloned();
            observations.map(|observation| Incident::create(observation, &origin, now).0).collect()
        }
        _ => Vec::new(),
    };
    Ok(MapperDryRun::new(plugin, call, incidents, None))
}

/// Calls a playbook with an incident in the form of `GET /api/incidents/ID`, or a notifier with an audit entry as destinations
/// receive it. Returns `None` for a mapper.
///
/// # Errors
/// Returns an error if `input` does not have the form that plugins of this kind receive.
pub async fn dry_run<I>(plugin: &Plugin, input: &str) -> Result<Option<PluginDryRun<I>>> {
    Ok(match plugin.kind() {
        Kind::Mapper => None,
        Kind::Playbook => Some(PluginDryRun::Playbook(dry_run_playbook(plugin, input).await?)),
        Kind::Notifier => Some(PluginDryRun::Notifier(dry_run_notifier(plugin, input).await?)),
    })
}

async fn dry_run_playbook(plugin: &Plugin, input: &str) -> Result<PlaybookDryRun> {
    let shown: ShownIncident =
        serde_json::from_str(input).context("the input is not an incident in the form of `GET /api/incidents/ID`")?;
    let (call, result) = CallSummary::of(plugin, call_playbook(plugin, &shown).await);
    let (actions, error) = match result {
        Some(Ok(actions)) => (Some(actions), None),
        Some(Err(error)) => (None, Some(CallFailure::new(error.code.as_str(), error.message))),
        None => (None, Some(CallFailure::new("busy", "all instances of the plugin are busy"))),
    };
    Ok(PlaybookDryRun { call, actions, error })
}

async fn dry_run_notifier(plugin: &Plugin, input: &str) -> Result<NotifierDryRun> {
    let notification = Notification::new(Uuid::nil(), DESTINATION.to_owned(), input.to_owned())?;
    let call = render(plugin, &notification, &Url::parse(DESTINATION_URL)?, &[]).await;
    let (call, result) = CallSummary::of(plugin, call);
    let (request, error) = match result {
        Ok(request) => (Some(request.map(|request| request.shown())), None),
        Err(error) => (None, Some(CallFailure::new("not_rendered", format!("{error:#}")))),
    };
    Ok(NotifierDryRun { call, request, error })
}
