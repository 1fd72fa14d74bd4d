//! The rows that a group of writes will read, loaded by one statement for each table.
//!
//! The writes are run once without a database: every row that they look for is noted, and answered as if it were not there.
//! Then the rows are loaded. A write that needs more reads it itself.

use super::batch::{Batch, Statement};
use crate::columns::incidents::IncidentColumns;
use crate::columns::repeats::KnownColumns;
use crate::columns::{After, Cells, Columns, value};
use crate::ledger::{KnownEvent, RepeatKeyRow};
use crate::rows::IncidentRow;
use anyhow::Result;
use hookmill_incident::{EventState, Number};
use std::collections::{HashMap, HashSet};
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
    /// The destinations and subjects of pending deliveries that the transaction adds.
    pub pending: HashSet<(String, i64)>,
    /// The number that was given last.
    pub last_number: Option<Number>,
}

impl Wanted {
    /// Returns the statements that load the rows.
    pub fn statements(&self) -> [Option<Statement>; 4] {
        let mut repeats = Batch::new(concat!(
            "SELECT repeats.event, repeats.received_at, at, source, digest FROM repeats ",
            "JOIN @ AS wanted (at, source, digest) USING (at, source, digest)"
        ));
        for (at, source, digest) in &self.repeats {
            repeats.push([(*at).into(), source.as_str().into(), digest.as_slice().into()]);
        }
        let mut incidents = Batch::new(NEWEST_INCIDENTS);
        for (source, source_ref) in &self.incidents {
            incidents.push([source.as_str().into(), source_ref.as_str().into()]);
        }
        let numbers =
            Statement { sql: "SELECT year, last FROM numbers ORDER BY year DESC LIMIT 1".into(), values: vec![] };
        let mut deliveries = Batch::new("SELECT key, subject FROM deliveries JOIN @ AS wanted (key) USING (key)");
        self.deliveries.iter().for_each(|key| deliveries.push([(*key).into()]));
        let numbers = (!self.incidents.is_empty()).then_some(numbers);
        [repeats.take(), incidents.take(), numbers, deliveries.take()]
    }
}

/// The columns are those of [`IncidentColumns`].
const NEWEST_INCIDENTS: &str = "SELECT newest.* FROM @ AS wanted (source, source_ref) CROSS JOIN LATERAL ( \
    SELECT id, number, source, source_ref, status, severity, created_at, updated_at, record, occurrences, event_ids, \
        changed_at, pinned, newest_audit FROM incidents \
    WHERE incidents.source = wanted.source AND incidents.source_ref = wanted.source_ref AND NOT deleted \
    ORDER BY key DESC LIMIT 1) AS newest";

impl Known {
    /// Reads the rows of the statements of [`Wanted::statements`]. Those that were not found are known not to be there.
    pub fn read(wanted: Wanted, found: [Vec<Row>; 4]) -> Result<Self> {
        let [repeats, incidents, numbers, deliveries] = found;
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
                known.incidents.insert(key, Some(incident));
            }
        }
        known.deliveries = wanted.deliveries.into_iter().map(|key| (key, None)).collect();
        for row in &deliveries {
            known.deliveries.insert(value(row, 0, "key")?, Some(value(row, 1, "subject")?));
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
