//! The values that the store takes and returns: rows, filters and results, without a database's types.

mod cursor;
mod database_copy;
mod delivery;
mod destination;
mod event;
mod host;
mod incident;
mod operator_action;
mod order;
mod page;
mod quarantine;
mod report;
mod retention;
mod session;
mod source;
mod stats;
mod storage;
mod tally;
mod token;
mod triage;
mod version;

pub use cursor::Cursor;
pub use database_copy::{CopyProgress, DatabaseCopy, EpochChanges, NewEpoch};
pub use delivery::{
    ASKED_TO_WAIT, Attempt, AttemptRow, Attempted, DeadLetters, DeliveryFilter, DeliveryRow, DeliveryStatus,
    DueDeliveries, DueDelivery, Message, Next, QueueCounts, QueuePosition, QueueRead, StoredDelivery,
};
pub use destination::{DestinationRow, DestinationState, Health, Outbound};
pub use event::{EventFilter, EventRow, RecordDryRun, Recorded};
pub use host::HostRow;
pub use incident::{
    IncidentFilter, IncidentKey, IncidentRow, OBSERVABLE_PREFIX_BYTES_MAX, PatchRefusal, RelatedIncident,
    SharedObservable,
};
pub use operator_action::OperatorAction;
pub(crate) use order::{Class, Directed, Place};
pub use order::{Order, Position, SortKey, SortValue, Sorting};
pub(crate) use page::ALL_COUNTED_MAX;
pub use page::{BoundedCount, Listed, Page, Unreadable};
pub use quarantine::{QuarantineCause, QuarantineGroup};
pub use report::{FieldChange, PayloadDifference, PayloadDifferences, ProofReport};
pub use retention::{PrunePosition, Pruned, Removed, Retention, RowCount, StoredKind};
pub use session::{OwnedSession, SessionRow};
pub use source::{SecretRow, SourceRow};
pub use stats::{CountFilter, CountKind, CountSeries, OpenIncidents};
pub use storage::{KindUse, StorageUse};
pub use tally::{LastError, Tally};
pub use token::{Scope, TokenRow};
pub use triage::{TriageJob, TriageResult};
pub use version::{PluginFile, SharedVersion, VersionDecision, VersionRow, VersionState};
