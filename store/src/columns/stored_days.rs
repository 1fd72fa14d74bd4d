//! Rows of the table `stored_days`.

use super::{Word, columns};
use crate::rows::{KindUse, RowCount, StoredKind};
use hookmill_incident::id::row_key_ms;
use std::collections::BTreeMap;

/// Rows whose size is measured to estimate that of all rows of a table.
pub(crate) const SAMPLED_ROWS: i64 = 64;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The rows that a transaction added and removed, before they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredDays(BTreeMap<(StoredKind, i64), RowCount>);

impl StoredDays {
    /// Adds a row, or removes one with negative numbers.
    pub fn add(&mut self, kind: StoredKind, key: i64, rows: i64, bytes: i64) {
        let count = self.0.entry((kind, row_key_ms(key) / DAY_MS)).or_default();
        count.rows += rows;
        count.bytes += bytes;
    }

    /// Removes rows without bytes.
    pub fn remove_all(&mut self, kind: StoredKind, keys: &[i64]) {
        keys.iter().for_each(|key| self.add(kind, *key, -1, 0));
    }

    /// Takes the rows by their kind and day, to write them.
    pub fn take(&mut self) -> BTreeMap<(StoredKind, i64), RowCount> {
        std::mem::take(&mut self.0)
    }
}

columns! {
    DayColumns {
        kind: Word<StoredKind>,
        day: i64,
        rows: i64,
        bytes: i64,
    }
}

/// Returns the rows of each kind by day. Of those whose bytes are counted, the average size is known.
pub(crate) fn kinds(days: impl IntoIterator<Item = DayColumns>) -> BTreeMap<StoredKind, KindUse> {
    let mut kinds: BTreeMap<_, _> = StoredKind::ALL.iter().map(|kind| (*kind, KindUse::default())).collect();
    for DayColumns { kind: Word(kind), day, rows, bytes } in days {
        kinds.entry(kind).or_default().days.insert(day, RowCount { rows, bytes });
    }
    for found in kinds.values_mut() {
        found.row_bytes = average(found);
    }
    kinds
}

/// Returns the average size of rows whose bytes are counted.
fn average(found: &KindUse) -> f64 {
    let total = found.days.values().fold(RowCount::default(), |sum, count| RowCount {
        rows: sum.rows + count.rows,
        bytes: sum.bytes + count.bytes,
    });
    if total.rows == 0 { 0.0 } else { total.bytes as f64 / total.rows as f64 }
}

/// Returns the table of a kind, and the size of the content of its rows; none if their bytes are counted.
pub(crate) fn row_size(kind: StoredKind) -> Option<(&'static str, &'static str)> {
    match kind {
        StoredKind::Payloads => None,
        StoredKind::Events => Some((
            "events",
            "120 + octet_length(headers) + octet_length(context) + octet_length(tried) + octet_length(incidents) + \
             coalesce(octet_length(message), 0) + coalesce(octet_length(journey), 0) + coalesce(octet_length(log), 0)",
        )),
        StoredKind::Incidents => Some(("incidents", "160 + octet_length(record) + length(event_ids)")),
        StoredKind::Audit => Some((
            "audit",
            "100 + coalesce(octet_length(details), 0) + coalesce(octet_length(object), 0) + \
             coalesce(octet_length(difference), 0) + coalesce(octet_length(moved), 0)",
        )),
        StoredKind::Deliveries => {
            Some(("deliveries", "300 + coalesce(octet_length(notice), 0) + coalesce(octet_length(error), 0)"))
        }
    }
}
