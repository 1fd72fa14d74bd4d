//! The domain of Hookmill, as values and pure functions.
//!
//! - An [`Event`] is one payload as received; a [`Verdict`] is what mapping it came to.
//! - An [`Observation`] is what one payload reports about one incident.
//! - An [`Incident`] is the record that observations, analysts and playbooks change: [`Incident::create`],
//!   [`Incident::apply`], [`Incident::patch`] and [`Incident::triage`].
//! - An [`AuditEntry`] is one change of an incident, in the shape of TheHive's webhooks.
//!
//! This crate must not know about plugins, HTTP, the configuration or a database, and must not do input or output.

mod audit;
mod event;
pub mod id;
mod incident;
pub mod name;
mod number;
mod observation;
mod patch;
mod plugin_version;
pub mod timestamp;
mod triage;
mod vocabulary;
mod words;

pub use audit::{AuditEntry, Operation};
pub use event::{
    DELIVERY_ID, Event, EventState, EventStatus, Failure, FailureCode, IncidentRef, Mapped, NamedValue, RepeatKey,
    Verdict,
};
pub use incident::{Details, EVENT_IDS_MAX, Guard, Incident, IncidentView, Note};
pub use number::Number;
pub use observation::{
    Observable, Observation, Origin, Reading, State, TAG_BYTES_MAX, TITLE_BYTES_MAX, Technique, check_length,
    merge_repeats,
};
pub use patch::{Patch, given};
pub use plugin_version::PluginVersion;
pub use triage::{Action, Triage, TriageCode, TriageError, TriageStatus};
pub use vocabulary::{Severity, Status, Tlp};
