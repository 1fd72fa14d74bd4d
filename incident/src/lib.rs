//! The domain of Hookmill, as values and pure functions.
//!
//! - An [`Event`] is one payload as received; a [`Verdict`] is the result of mapping the event.
//! - A [`Reading`] is the checked result of a mapper; its [`Observation`]s report about one incident each.
//! - An [`Incident`] is the record that observations, analysts and playbooks change: [`Incident::create`],
//!   [`Incident::apply`], [`Incident::patch`] and [`Incident::triage`].
//! - An [`AuditEntry`] is one change of an incident, in the shape of TheHive's webhooks; a [`Difference`] restores the
//!   incident as it was.
//! - [`words!`] makes the enums whose values are words of the API, the database and the command line.
//!
//! This crate must not know about plugins, HTTP, the configuration or a database, and must not do input or output. The
//! exception is [`Clock`], which reads the system's clock.

mod audit;
mod clock;
mod detail_map;
mod difference;
mod event;
mod failure_pattern;
pub mod id;
mod incident;
mod journey;
pub mod json_size;
mod mapped;
mod members;
pub mod name;
mod number;
mod observable;
mod observation;
mod patch;
mod plugin_version;
pub mod record;
mod shown_incident;
pub mod timestamp;
mod triage;
mod vocabulary;
mod words;

pub use audit::{AuditEntry, EntryDetails, Operation};
pub use clock::{Clock, KeptPace, STEADY_FOR};
pub use detail_map::DetailMap;
pub use difference::Difference;
pub use event::{DELIVERY_ID, Event, NamedValue, RepeatKey};
pub use failure_pattern::failure_pattern;
pub use incident::{
    DESCRIPTION_BYTES_MAX, Details, EVENT_IDS_MAX, Guard, Incident, NOTE_BYTES_MAX, Note, RECORD_BYTES_MAX,
    WORDS_BYTES_MAX,
};
pub use journey::{Journey, KeptLine, KeptLog, MapperRun, SenderVerification, UsedSecret, microseconds};
pub use mapped::{EventState, EventStatus, FailureCode, IncidentRef, Mapped, MappingFailure, Verdict};
pub use number::Number;
pub use observable::{Observable, Technique};
pub use observation::{
    Observation, Origin, Reading, State, TAG_BYTES_MAX, TITLE_BYTES_MAX, check_length, merge_repeats,
};
pub use patch::{Patch, given};
pub use plugin_version::PluginVersion;
pub use shown_incident::{ShownIncident, ShownIncidentRef};
pub use triage::{Action, Triage, TriageCode, TriageError, TriageStatus};
pub use vocabulary::{Severity, Status, Tlp};
