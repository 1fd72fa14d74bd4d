//! The database of a store, of any kind.

use crate::Dedup;
use crate::error::StoreError;
use crate::leases::{Lease, LeaseName, Leases};
use crate::ledger::Writes;
use crate::mark::Mark;
use crate::postgres::Postgres;
use crate::reads::{Read, Reads, for_all_reads};
use crate::rows::{
    BoundedCount, CountFilter, CountSeries, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, EventFilter,
    EventRow, HostRow, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, OperatorAction, Order,
    OwnedSession, Page, PluginFile, Position, QuarantineGroup, QueueCounts, QueueRead, RelatedIncident, SessionRow,
    SharedObservable, SharedVersion, SourceRow, StorageUse, StoredDelivery, Tally, TokenRow, TriageJob, VersionRow,
};
use crate::sqlite::Sqlite;
use crate::write_queue::WriteQueue;
use anyhow::Result;
use hookmill_incident::{AuditEntry, Event, EventStatus};
use hookmill_notify::Trigger;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use uuid::Uuid;

/// The database of a store.
#[derive(Debug)]
pub(crate) struct Database {
    queue: Arc<WriteQueue>,
    kind: Kind,
}

/// The kinds of databases.
#[derive(Debug)]
pub(crate) enum Kind {
    /// An embedded database, of one host.
    Sqlite(Sqlite),
    /// A database of many hosts.
    Postgres(Postgres),
}

impl Database {
    pub fn new(queue: impl Into<Arc<WriteQueue>>, kind: Kind) -> Self {
        Self { queue: queue.into(), kind }
    }

    /// Writes, or returns [`StoreError::Busy`] without waiting if too many writes wait.
    pub async fn try_write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue.try_write(run).await
    }

    /// Writes, and waits for room in the queue.
    pub async fn write<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue.write(run).await
    }

    /// Writes from a thread that may block.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Writes) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.queue.write_blocking(run)
    }

    /// Returns the reads.
    pub fn reads(&self) -> &Kind {
        &self.kind
    }

    /// Returns why the last commit failed, if it did.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.queue.trouble()
    }

    /// Returns whether the thread that writes is running.
    pub fn is_open(&self) -> bool {
        self.queue.is_open()
    }

    /// Finishes every waiting write, ends the thread that writes, and releases the leases.
    pub fn close(&self) {
        self.queue.close();
        if let Kind::Postgres(database) = &self.kind {
            database.leases.close();
        }
    }

    /// Returns the id of this host among those that share the database.
    pub fn host_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Sqlite(_) => None,
            Kind::Postgres(database) => Some(database.leases.host()),
        }
    }

    /// Returns the names of the leases that this host holds.
    pub fn held_leases(&self) -> Vec<String> {
        match &self.kind {
            Kind::Sqlite(_) => Vec::new(),
            Kind::Postgres(database) => database.leases.held(),
        }
    }

    /// Sets the plugin versions that this host shows to the others, in JSON.
    pub fn set_plugins(&self, plugins: String) {
        if let Kind::Postgres(database) = &self.kind {
            database.leases.set_plugins(plugins);
        }
    }

    /// Waits for a lease.
    pub async fn acquire(&self, name: LeaseName) -> Lease {
        match &self.kind {
            Kind::Sqlite(database) => database.leases.acquire(name).await,
            Kind::Postgres(database) => database.leases.acquire(name).await,
        }
    }
}

macro_rules! read_from_kinds {
    ($(fn $name:ident($($value:ident: $type:ty),* $(,)?) -> $answer:ty;)*) => {
        impl Reads for Kind {
            $(async fn $name(&self, $($value: $type),*) -> Result<$answer> {
                match self {
                    Self::Sqlite(database) => database.$name($($value),*).await,
                    Self::Postgres(database) => {
                        let readers = database.readers.clone();
                        to_its_end(async move { readers.$name($($value),*).await }).await
                    }
                }
            })*

            async fn audit_after<T: Send + 'static>(
                &self,
                after: Uuid,
                to: T,
                add: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
            ) -> Result<T> {
                match self {
                    Self::Sqlite(database) => database.audit_after(after, to, add).await,
                    Self::Postgres(database) => {
                        let readers = database.readers.clone();
                        to_its_end(async move { readers.audit_after(after, to, add).await }).await
                    }
                }
            }

            fn compiled_digest(&self, name: &str) -> Result<Option<[u8; 32]>> {
                match self {
                    Self::Sqlite(database) => database.compiled_digest(name),
                    Self::Postgres(database) => database.readers.compiled_digest(name),
                }
            }
        }
    };
}
for_all_reads!(read_from_kinds);

/// Reads to the end, also if the caller has gone: only then is the connection free for another read.
async fn to_its_end<T: Send + 'static>(read: impl Read<T> + 'static) -> Result<T> {
    tokio::spawn(read).await?
}
