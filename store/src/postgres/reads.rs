//! The reads in PostgreSQL.

use super::readers::Readers;
use crate::Dedup;
use crate::mark::Mark;
use crate::reads::{Reads, for_all_reads};
use crate::rows::{
    BoundedCount, CountFilter, CountSeries, DeadLetters, DeliveryFilter, DeliveryRow, DueDeliveries, EventFilter,
    EventRow, IncidentFilter, IncidentKey, IncidentRow, Listed, OpenIncidents, OperatorAction, Order, OwnedSession,
    Page, Position, QuarantineGroup, QueueCounts, QueuePosition, RelatedIncident, SessionRow, SharedObservable,
    SourceRow, StorageUse, StoredDelivery, Tally, TokenRow, TriageJob, VersionRow,
};
use anyhow::Result;
use hookmill_incident::{AuditEntry, Event, EventStatus};
use hookmill_notify::Trigger;
use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use uuid::Uuid;

macro_rules! unread {
    ($(fn $name:ident($($value:ident: $type:ty),* $(,)?) -> $answer:ty;)*) => {
        impl Reads for Readers {
            $(async fn $name(&self, $(_: $type),*) -> Result<$answer> {
                anyhow::bail!("PostgreSQL has no reads yet")
            })*

            async fn audit_after<T: Send + 'static>(
                &self,
                _: Uuid,
                _: T,
                _: impl FnMut(&mut T, Uuid, &Listed<AuditEntry>) -> ControlFlow<()> + Send + 'static,
            ) -> Result<T> {
                anyhow::bail!("PostgreSQL has no reads yet")
            }

            fn compiled_digest(&self, _: &str) -> Result<Option<[u8; 32]>> {
                anyhow::bail!("PostgreSQL has no reads yet")
            }
        }
    };
}
for_all_reads!(unread);
