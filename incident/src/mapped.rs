//! The result of mapping an event: the verdict before it is stored, the state after.

use crate::{Event, Journey, Number, PluginVersion, Reading, TriageCode, words};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

words!(
    /// The stored result of an event.
    EventStatus {
        /// The event made or changed incidents.
        Mapped = "mapped",
        /// Nothing in the event makes an incident.
        Ignored = "ignored",
        /// Parts of the event could not be mapped.
        Partial = "partial",
        /// The host will map the event later without a request.
        Queued = "queued",
        /// Mapping failed; the event waits for a new plugin version, a replay or a discard.
        Quarantined = "quarantined",
        /// An administrator decided that the event will not be mapped.
        Discarded = "discarded",
    }
);

words!(
    /// The kind of reason why mapping failed.
    FailureCode {
        /// The call took longer than `deadline_ms`.
        DeadlineExceeded = "deadline_exceeded",
        /// The instance needed more than `memory_mib`.
        MemoryExceeded = "memory_exceeded",
        /// The plugin passed more than `output_mib` to the host.
        OutputTooLarge = "output_too_large",
        /// The instance trapped.
        Trapped = "trapped",
        /// The mapper reported a broken payload.
        Malformed = "malformed",
        /// The mapper reported a payload of another kind.
        Unsupported = "unsupported",
        /// The mapper returned incidents, and none of them is usable.
        InvalidIncident = "invalid_incident",
    }
);

impl From<FailureCode> for TriageCode {
    /// Returns the code for the failure of a playbook that has this code for a mapper.
    fn from(code: FailureCode) -> Self {
        match code {
            FailureCode::DeadlineExceeded => Self::DeadlineExceeded,
            FailureCode::MemoryExceeded => Self::MemoryExceeded,
            FailureCode::OutputTooLarge => Self::OutputTooLarge,
            FailureCode::Trapped => Self::Trapped,
            FailureCode::Unsupported => Self::NotLoaded,
            FailureCode::Malformed => Self::Refused,
            FailureCode::InvalidIncident => Self::InvalidAction,
        }
    }
}

/// The reason why an event was not mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFailure {
    /// The kind of reason.
    pub code: FailureCode,
    /// A description, with the plugin's name and version. The sender gets its first line only; further lines are for
    /// operators.
    pub message: String,
}

/// The result of mapping an event, before it is stored.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// A mapper read the event.
    Read {
        /// The mapper.
        plugin: PluginVersion,
        /// The mapper's result.
        reading: Reading,
    },
    /// The event waits, for this reason.
    Wait(String),
    /// Mapping failed.
    Failed(MappingFailure),
    /// No mapper is to be called, for this reason.
    NotMapped(Cow<'static, str>),
}

impl Verdict {
    /// Returns the status of an event with this verdict.
    pub fn status(&self) -> EventStatus {
        match self {
            Self::Read { reading: Reading { problems, .. }, .. } if !problems.is_empty() => EventStatus::Partial,
            Self::Read { reading: Reading { observations, .. }, .. } if !observations.is_empty() => EventStatus::Mapped,
            Self::Read { .. } | Self::NotMapped(_) => EventStatus::Ignored,
            Self::Wait(_) => EventStatus::Queued,
            Self::Failed(_) => EventStatus::Quarantined,
        }
    }

    /// Returns the reason why there is no reading, for messages.
    pub fn reason(&self) -> &str {
        match self {
            Self::Wait(reason) => reason,
            Self::Failed(failure) => &failure.message,
            Self::Read { .. } => "it was read",
            Self::NotMapped(reason) => reason,
        }
    }
}

/// An event with its verdict, ready to be stored.
#[derive(Debug)]
pub struct Mapped {
    /// The event.
    pub event: Event,
    /// The result of mapping the event.
    pub verdict: Verdict,
    /// The playbook that the source names.
    pub playbook: Option<String>,
    /// Whether new incidents are triaged by that playbook without a request.
    pub auto_triage: bool,
    /// The plugin versions that were called, as `NAME@SHA256`.
    pub tried: Vec<String>,
    /// The way of the event so far.
    pub journey: Journey,
}

/// A stored event's status, with its reason and its incidents: the content of the answer to the sender.
#[derive(Clone, Debug)]
pub struct EventState {
    /// The event's id.
    pub id: Uuid,
    /// The result of the event.
    pub status: EventStatus,
    /// The kind of reason, if mapping failed.
    pub code: Option<FailureCode>,
    /// The reason why the event is queued, failed or is not mapped, or notes on the parts of the payload that were left
    /// out.
    pub message: Option<String>,
    /// The incidents that the event made or changed.
    pub incidents: Vec<IncidentRef>,
}

/// An incident that an event made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRef {
    /// The incident's id.
    pub id: Uuid,
    /// The incident's number, `INC-2026-0001`.
    pub number: String,
    /// Whether the event made the incident.
    pub created: bool,
}

impl IncidentRef {
    /// Returns a reference to the incident of this id and number.
    pub fn new(id: Uuid, number: Number, created: bool) -> Self {
        Self { id, number: number.to_string(), created }
    }
}
