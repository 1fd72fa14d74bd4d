//! The answers of the API in JSON: written by the handlers, read by the commands of `hookmill`.
//!
//! A test in `api/document.rs` compares each shape with the OpenAPI document, which describes the fields for users.
//! Names that begin with `Shown` tell an answer from the value of the domain that it shows.

mod delivery;
mod destination;
mod event;
mod list;
mod notification;
mod plugin;
mod source;
mod state;

pub use crate::deliver::ShownRequest;
pub use crate::dry_run::{DryRun, IncidentChanges, Stage};
pub use crate::http_error::{ErrorAnswer, ErrorDetail};
pub use crate::plugin_dry_run::{
    CallFailure, CallSummary, MapperDryRun, MappingOutcome, NotifierDryRun, PlaybookDryRun, PluginDryRun,
};
pub use crate::receive::{Accepted, AcceptedStatus, Unmappable, UnmappableError};
pub use delivery::{RetriedDeliveries, RetriedDelivery, ShownAttempt, ShownDelivery};
pub use destination::{EnabledDestination, ShownDestination};
pub use event::{BodyEncoding, EventBody, EventDryRun, EventError, EventResult, NamedText, ShownEvent, StoredEvent};
pub use hookmill_incident::{IncidentRef, PluginVersion, ShownIncident};
pub use hookmill_store::{Difference, Differences, FieldChange, Report};
pub use list::List;
pub use notification::{DryRunAttempt, DryRunMail, DryRunStep, NotificationDryRun, ShownNotification};
pub use plugin::{FileState, PluginWithVersions, ShownPlugin, ShownPluginVersion};
pub use source::{
    IssuedSource, PluginNames, ShownSource, SourceError, SourceOrigin, SourceSecret, UnusableSource, UsableSource,
};
pub use state::HostState;
