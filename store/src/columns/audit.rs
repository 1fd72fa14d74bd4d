//! Rows of the table `audit`, and the entries that they make with the rows of their incidents.

use super::incidents::IncidentColumns;
use super::{Id, Json, Word, columns, json};
use anyhow::{Result, ensure};
use hookmill_incident::json_size::text_depth;
use hookmill_incident::{AuditEntry, Difference, EntryDetails, Number, Operation};
use serde_json::value::RawValue;

/// Parsers of JSON have bounds, often 128, within which the entry stands in lists and messages. Deeper incidents are those
/// of earlier versions.
const DEPTH_MAX: usize = 100;
/// The entries of a trail that are in memory together, beside those of a page.
pub(crate) const RESTORED_TOGETHER: usize = 16;

columns! {
    /// An entry with its incident.
    EntryColumns {
        operation: Word<Operation>,
        at: i64,
        request_id: String,
        details: Option<String>,
        id: Id = "i.id",
    }
}

columns! {
    /// The parts from which the object of an entry is restored.
    ObjectColumns {
        object: Option<String>,
        difference: Option<Json<Difference>>,
        moved: Option<Json<Difference>>,
        next: Option<i64>,
        incident: i64,
    }
}

impl EntryColumns {
    /// Returns the entry with its object.
    pub fn into_entry(self, object: Box<RawValue>) -> Result<AuditEntry> {
        let details = match self.details {
            None => EntryDetails::OfCreation,
            Some(text) if text.starts_with('[') => EntryDetails::Names(serde_json::from_str(&text)?),
            Some(text) => EntryDetails::Given(RawValue::from_string(text)?),
        };
        let depth = text_depth(object.get());
        ensure!(depth <= DEPTH_MAX, "its incident is nested {depth} deep; at most {DEPTH_MAX} can be read");
        Ok(AuditEntry::new(self.operation.0, self.id.0, self.at, self.request_id, details, object)?)
    }
}

/// Returns the key of the entry after one; none if the incident as it is now is next.
pub(crate) fn next_entry(at: i64, next: Option<i64>) -> Result<Option<i64>> {
    ensure!(next.is_none_or(|next| next > at), "the audit entries do not follow each other");
    Ok(next)
}

/// Returns an earlier object, from a later one and the differences from the earlier to the later one.
pub(crate) fn restored<'a>(
    mut object: Box<RawValue>,
    differences: impl DoubleEndedIterator<Item = &'a Difference>,
) -> Result<Box<RawValue>> {
    for difference in differences.rev() {
        object = difference.restore(&object)?;
    }
    Ok(object)
}

/// Returns an incident as [`hookmill_incident::ShownIncidentRef`] shows it. The values of its record stay as they are
/// written.
pub(crate) fn shown(columns: &IncidentColumns) -> Result<Box<RawValue>> {
    let record = columns.record()?;
    let record = record.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let before = format!(r#"{{"id":"{}","number":"{}","#, columns.id.0, Number::from_key(columns.number));
    let after = format!(r#","occurrences":{},"event_ids":{}}}"#, columns.occurrences, json(&columns.event_ids.0));
    Ok(RawValue::from_string([&before, record, &after].concat())?)
}
