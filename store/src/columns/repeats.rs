//! Rows of the table `repeats`.

use super::columns;
use crate::ledger::KnownEvent;
use hookmill_incident::id::row_key_ms;

columns! {
    KnownColumns {
        event: i64,
        received_at: Option<i64>,
    }
}

impl From<KnownColumns> for KnownEvent {
    fn from(row: KnownColumns) -> Self {
        let KnownColumns { event: key, received_at } = row;
        // Rows of earlier versions have no time of arrival.
        Self { key, received_at: received_at.unwrap_or_else(|| row_key_ms(key)) }
    }
}
