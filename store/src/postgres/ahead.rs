//! The rows that a group of writes will read, loaded by one statement for each table.
//!
//! The writes are run once without a database: every row that they look for is noted, and answered as if it were not there.
//! Then the rows are loaded. A write that needs more reads it itself.

use super::batch::{Batch, Statement};
use super::lease_rows::NEWEST_EPOCHS;
use crate::columns::incidents::IncidentColumns;
use crate::columns::repeats::KnownColumns;
use crate::columns::{After, Cells, Columns, value};
use crate::ledger::{KnownEvent, RepeatKeyRow};
use crate::rows::IncidentRow;
use anyhow::Result;
use hookmill_incident::id::row_key;
use hookmill_incident::{EventState, Number};
use std::collections::{BTreeSet, HashMap, HashSet};
use tokio_postgres::Row;
use tracing::warn;

/// A repeat key that is kept.
pub(super) type OwnedRepeatKey = (i64, String, [u8; 32]);

/// Returns a repeat key to keep.
pub(super) fn owned(key: &RepeatKeyRow) -> OwnedRepeatKey {
    (key.at, key.source.to_owned(), *key.digest)
}

/// The keys of the rows that writes look for.
#[derive(Default)]
pub(super) struct Wanted {
    pub repeats: HashSet<OwnedRepeatKey>,
    /// Sources with source-refs.
    pub incidents: HashSet<(String, String)>,
    pub deliveries: HashSet<i64>,
    /// The names of leases.
    pub leases: BTreeSet<String>,
}

/// What is known of rows, as they will be at the end of the transaction.
#[derive(Default)]
pub(super) struct Known {
    pub repeats: HashMap<OwnedRepeatKey, Option<KnownEvent>>,
    /// The newest incident of a source and source-ref.
    pub incidents: HashMap<(String, String), Option<IncidentRow>>,
    /// The subjects of deliveries.
    pub deliveries: HashMap<i64, Option<i64>>,
    /// The states of events that the transaction adds.
    pub events: HashMap<i64, EventState>,
    /// The destinations and subjects of pending deliveries.
    pub pending: HashSet<(String, i64)>,
    /// The incidents of which all pending deliveries are known.
    pub whole: HashSet<i64>,
    /// The epochs of leases, which no host can take until the end of the transaction.
    pub epochs: HashMap<String, Option<i64>>,
    /// The number that was given last.
    pub last_number: Option<Number>,
}

impl Wanted {
    /// Returns the statements that load the rows.
    pub fn statements(&self) -> [Option<Statement>; QUERIES] {
        let mut repeats = Batch::new(concat!(
            "SELECT repeats.event, repeats.received_at, at, source, digest FROM repeats ",
            "JOIN @ AS wanted (at, source, digest) USING (at, source, digest)"
        ));
        for (at, source, digest) in &self.repeats {
            repeats.push([(*at).into(), source.as_str().into(), digest.as_slice().into()]);
        }
        let [mut incidents, mut pending] = [Batch::new(NEWEST_INCIDENTS), Batch::new(PENDING_DELIVERIES)];
        for (source, source_ref) in &self.incidents {
            for batch in [&mut incidents, &mut pending] {
                batch.push([source.as_str().into(), source_ref.as_str().into()]);
            }
        }
        let numbers =
            Statement { sql: "SELECT year, last FROM numbers ORDER BY year DESC LIMIT 1".into(), values: vec![] };
        let mut deliveries = Batch::new("SELECT key, subject FROM deliveries JOIN @ AS wanted (key) USING (key)");
        self.deliveries.iter().for_each(|key| deliveries.push([(*key).into()]));
        let numbers = (!self.incidents.is_empty()).then_some(numbers);
        let leases: Vec<String> = self.leases.iter().cloned().collect();
        let leases =
            (!leases.is_empty()).then(|| Statement { sql: NEWEST_EPOCHS.into(), values: vec![Box::new(leases)] });
        [repeats.take(), incidents.take(), pending.take(), numbers, deliveries.take(), leases]
    }
}

/// The number of statements that load rows.
const QUERIES: usize = 6;

/// The columns are those of [`IncidentColumns`].
const NEWEST_INCIDENTS: &str = "SELECT newest.* FROM @ AS wanted (source, source_ref) CROSS JOIN LATERAL ( \
    SELECT id, number, source, source_ref, status, severity, created_at, updated_at, record, occurrences, event_ids, \
        changed_at, pinned, newest_audit FROM incidents \
    WHERE incidents.source = wanted.source AND incidents.source_ref = wanted.source_ref AND NOT deleted \
    ORDER BY key DESC LIMIT 1) AS newest";
const PENDING_DELIVERIES: &str = "SELECT DISTINCT destination, newest.key FROM @ AS wanted (source, source_ref) \
    CROSS JOIN LATERAL (SELECT key FROM incidents \
        WHERE incidents.source = wanted.source AND incidents.source_ref = wanted.source_ref AND NOT deleted \
        ORDER BY key DESC LIMIT 1) AS newest \
    JOIN deliveries ON subject = newest.key AND deliveries.status = 'pending'";

impl Known {
    /// Reads the rows of the statements of [`Wanted::statements`]. Those that were not found are known not to be there.
    pub fn read(wanted: Wanted, found: [Vec<Row>; QUERIES]) -> Result<Self> {
        let [repeats, incidents, pending, numbers, deliveries, leases] = found;
        let repeat_keys = wanted.repeats.into_iter().map(|key| (key, None)).collect();
        let mut known = Self { repeats: repeat_keys, ..Self::default() };
        for row in &repeats {
            let event = KnownColumns::read(row)?;
            let rest = After(row, KnownColumns::COUNT);
            let key = (value(&rest, 0, "at")?, value(&rest, 1, "source")?, value(&rest, 2, "digest")?);
            known.repeats.insert(key, Some(event.into()));
        }
        known.incidents = wanted.incidents.into_iter().map(|key| (key, None)).collect();
        for row in &incidents {
            if let Some(incident) = readable(row) {
                let key = (incident.incident.source.clone(), incident.incident.source_ref.clone());
                known.whole.insert(row_key(incident.id));
                known.incidents.insert(key, Some(incident));
            }
        }
        for row in &pending {
            known.pending.insert((value(row, 0, "destination")?, value(row, 1, "key")?));
        }
        known.deliveries = wanted.deliveries.into_iter().map(|key| (key, None)).collect();
        for row in &deliveries {
            known.deliveries.insert(value(row, 0, "key")?, Some(value(row, 1, "subject")?));
        }
        known.epochs = wanted.leases.into_iter().map(|name| (name, None)).collect();
        for row in &leases {
            known.epochs.insert(value(row, 0, "name")?, Some(value(row, 1, "epoch")?));
        }
        if let Some(row) = numbers.first() {
            let (year, last): (i64, i64) = (value(row, 0, "year")?, value(row, 1, "last")?);
            known.last_number = Some(Number { year: year.try_into()?, count: last.try_into()? });
        }
        Ok(known)
    }
}

/// Returns an incident, or none if its values cannot be read. Such an incident is passed over, so that its source is not
/// held up by it: the next payload makes a new incident.
pub(super) fn readable(row: &dyn Cells) -> Option<IncidentRow> {
    let read = IncidentColumns::read(row).and_then(IncidentColumns::into_row);
    read.inspect_err(|error| warn!("an incident cannot be read and is passed over: {error:#}")).ok()
}
