//! The values that the store takes and returns: rows, filters and results, without a database's types.

mod cursor;
mod delivery;
mod destination;
mod event;
mod incident;
mod page;
mod report;
mod source;
mod tally;
mod token;
mod triage;
mod version;

pub use cursor::Cursor;
pub use delivery::{
    Attempt, AttemptRow, Attempted, DeliveryFilter, DeliveryRow, DeliveryStatus, DueDeliveries, DueDelivery, Message,
    Next, QueuePosition,
};
pub use destination::{DestinationRow, DestinationState, Health, Outbound};
pub use event::{EventFilter, EventRow, RecordDryRun, Recorded};
pub use incident::{IncidentFilter, IncidentKey, IncidentRow, PatchRefusal};
pub use page::Page;
pub use report::{Difference, Differences, FieldChange, Report};
pub use source::{SecretRow, SourceRow};
pub use tally::{LastError, Tally};
pub use token::{Scope, TokenRow};
pub use triage::{TriageJob, TriageResult};
pub use version::{VersionRow, VersionState};
