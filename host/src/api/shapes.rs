//! The bodies of requests and answers of the API in JSON, for the handlers and the commands of `hookmill`.
//!
//! A test in `api/document.rs` compares each shape with the OpenAPI document, which describes the fields for users.
//! Names that begin with `Shown` tell an answer from the value of the domain that it shows.

mod backups;
mod delivery;
mod destination;
mod event;
mod host;
mod incident;
mod list;
mod notification;
mod operator_action;
mod overview;
mod plugin;
mod quarantine;
mod session;
mod source;
mod state;
mod stats;
mod storage;

pub use crate::backup::{LastBackup, LastFailure};
pub use crate::config::ListedSetting;
pub use crate::deliver::{DryRunAttempt, DryRunMessage, DryRunStep, ShownAlert, ShownMail, ShownRequest};
pub use crate::http_error::{ErrorAnswer, ErrorDetail};
pub use crate::pipeline::{DryRun, IncidentChanges, Stage};
pub use crate::plugin_dry_run::{
    CallBounds, CallFailure, CallSummary, ComparedCall, MapperDryRun, MappingOutcome, NotifierDryRun, PlaybookDryRun,
    PluginDryRun,
};
pub use crate::receive::{Accepted, AcceptedStatus, Unmappable, UnmappableError};
pub use crate::refusals::RefusedRequests;
pub use crate::vendors::{Vendor, VendorDocument, VendorValue, VendorWay};
pub use backups::{ShownBackups, ShownSchedule};
pub use delivery::{
    DeliveryWithMessage, RetriedDeliveries, RetriedDelivery, RetryFilter, ShownAttempt, ShownDeadLetters, ShownDelivery,
};
pub use destination::{EnabledDestination, ShownDestination, ShownFailure};
pub use event::{
    BodyEncoding, DiscardReason, EventBody, EventDryRun, EventError, EventResult, NamedText, RemovedBody, SecretState,
    ShownEvent, ShownJourney, ShownLogLine, ShownRun, ShownSecretUse, ShownVerification, StoredEvent,
};
pub use hookmill_incident::{IncidentRef, PluginVersion, ShownIncident};
pub use hookmill_store::{
    FieldChange, PayloadDifference, PayloadDifferences, ProofReport, SharedObservable, Unreadable,
};
pub use host::ShownHost;
pub use incident::{IncidentChangeResult, IncidentsChange, ShownRelatedIncident, TriageOptions};
pub use list::{List, ListedItem, ShownCount};
pub use notification::{NotificationDryRun, NotificationDryRunRequest, ShownNotification};
pub use operator_action::ShownOperatorAction;
pub use overview::{Overview, ShownOpenIncidents, SilentSource, WaitingEvents};
pub use plugin::{FileState, PluginDryRunRequest, PluginSample, PluginWithVersions, ShownPlugin, ShownPluginVersion};
pub use quarantine::{DiscardRequest, DiscardedGroup, GroupReplayFailure, GroupReplayResult, ShownQuarantineGroup};
pub use session::{ShownOwnedSession, ShownSession, ShownToken, SignIn};
pub use source::{
    IssuedSource, NewSource, PluginNames, SecretRotation, ShownOrigin, ShownSource, SourceDryRunRequest, SourceError,
    SourcePatch, SourceSecret, UnusableSource, UsableSource,
};
pub use state::HostState;
pub use stats::{Stats, StatsSeries, Step};
pub use storage::{DueRows, ShownStorage, StoredRows};
