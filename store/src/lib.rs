//! The store: events, incidents, audit entries and deliveries, kept durably.
//!
//! - [`Store`] is the API of the host: asynchronous methods, each of them one write or one read.
//! - `ledger` decides what a write changes, over the row verbs of its trait `Tx`; it knows no database.
//! - `reads` is the trait of lists, single rows and counts; `rows` are the values that cross the border.
//! - `sqlite` implements both; nothing outside its folder names SQL or rusqlite.
//! - A write and everything that follows from it are one transaction, and are on disk before the answer.
//! - [`Leases`] are held around work that one process at a time must do.
//! - After each commit the store publishes what changed; watch it with `Store::watch_…`.
//!
//! This crate must not know about HTTP, plugins or the configuration file.

mod clock;
mod columns;
mod database;
mod error;
mod leases;
mod ledger;
mod mark;
#[cfg(test)]
mod model;
mod move_mark;
mod moved_rows;
mod options;
mod pages;
mod postgres;
pub mod private_files;
mod reads;
mod related;
mod rows;
mod search_values;
mod search_words;
mod sqlite;
mod store;
mod topics;
mod write_queue;
mod writer_health;
mod writer_shared;

pub use error::StoreError;
pub use leases::{Grant, Lease, LeaseName, Leases};
pub use options::{Dedup, HostIdentity, OnCommit, Policy, Profile};
pub use postgres::Address as DatabaseAddress;
pub use rows::{
    ASKED_TO_WAIT, Attempt, AttemptRow, Attempted, BoundedCount, CopyProgress, CountFilter, CountKind, CountSeries,
    Cursor, DatabaseCopy, DeadLetters, DeliveryFilter, DeliveryRow, DeliveryStatus, DestinationRow, DestinationState,
    DueDeliveries, DueDelivery, EpochChanges, EventFilter, EventRow, FieldChange, Health, HostRow, IncidentFilter,
    IncidentKey, IncidentRow, KindUse, LastError, Listed, Message, NewEpoch, Next, OBSERVABLE_PREFIX_BYTES_MAX,
    OpenIncidents, OperatorAction, Order, Outbound, OwnedSession, Page, PatchRefusal, PayloadDifference,
    PayloadDifferences, PluginFile, Position, ProofReport, PrunePosition, Pruned, QuarantineCause, QuarantineGroup,
    QueueCounts, QueuePosition, QueueRead, RecordDryRun, Recorded, RelatedIncident, Removed, Retention, RowCount,
    Scope, SecretRow, SessionRow, SharedObservable, SharedVersion, SortKey, SortValue, Sorting, SourceRow, StorageUse,
    StoredDelivery, StoredKind, Tally, TokenRow, TriageJob, TriageResult, Unreadable, VersionDecision, VersionRow,
    VersionState,
};
pub use search_words::SearchWords;
pub use sqlite::Migration;
pub use store::{
    MoveStep, Pruner, Store, StorePlace, Timed, Tokens, VersionFiles, begin_epoch, begin_shared_epoch, copy_database,
    credential_digest, inspect_copy, lock_without_database, move_store, schema_version,
};
