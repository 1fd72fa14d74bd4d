//! Rows of the table `incidents`.

use super::{Id, Ids, Json, Microseconds, Nanoseconds, columns};
use crate::ledger::EndedIncident;
use crate::rows::IncidentRow;
use anyhow::Result;
use hookmill_incident::record::{self, RecordColumns};
use hookmill_incident::{Guard, Number};
use std::collections::BTreeSet;

columns! {
    IncidentColumns {
        id: Id,
        number: i64,
        source: String,
        source_ref: String,
        status: String,
        severity: String,
        created_at: Nanoseconds,
        updated_at: Nanoseconds,
        record: String,
        occurrences: u64,
        event_ids: Ids,
        changed_at: Microseconds,
        pinned: Json<BTreeSet<String>>,
        newest_audit: i64,
    }
}

columns! {
    EndedColumns {
        key: i64,
        newest_audit: i64,
    }
}

impl From<EndedColumns> for EndedIncident {
    fn from(row: EndedColumns) -> Self {
        let EndedColumns { key, newest_audit } = row;
        Self { key, newest_audit }
    }
}

impl IncidentColumns {
    /// Returns the whole record in JSON.
    pub fn record(&self) -> serde_json::Result<String> {
        let columns = RecordColumns {
            source: &self.source,
            source_ref: &self.source_ref,
            severity: &self.severity,
            status: &self.status,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
        };
        record::restored(&self.record, &columns)
    }

    /// Returns the row.
    pub fn into_row(self) -> Result<IncidentRow> {
        let incident = serde_json::from_str(&self.record()?)?;
        Ok(IncidentRow {
            id: self.id.0,
            number: Number::from_key(self.number),
            incident,
            occurrences: self.occurrences,
            event_ids: self.event_ids.0,
            guard: Guard { changed_at: self.changed_at.0, pinned: self.pinned.0 },
            newest_audit: self.newest_audit,
        })
    }
}
