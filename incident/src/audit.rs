//! Audit entries of incidents.

use crate::members::Members;
use crate::words;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

words!(
    /// The kind of a change of an incident.
    Operation { Creation = "Creation", Update = "Update", Delete = "Delete" }
);

/// One change of an incident, in the shape of TheHive's webhooks.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// The kind of change.
    pub operation: Operation,
    /// Always `incident`.
    pub object_type: &'static str,
    /// The incident's id.
    pub object_id: Uuid,
    /// The time of the change, in milliseconds since the Unix epoch.
    pub start_date: i64,
    /// The request that made the change: the id of an event or of a call of the API.
    pub request_id: String,
    /// A JSON object of the attributes that were set or changed, with their new values.
    pub details: Box<RawValue>,
    /// Always true: entries are not consequences of each other.
    pub base: bool,
    /// The incident's id again: incidents have no parent.
    pub root_id: Uuid,
    /// A JSON object of the incident after the change.
    pub object: Box<RawValue>,
}

/// The `details` of an entry, as they are stored.
#[derive(Debug)]
pub enum EntryDetails {
    /// Everything that a Creation sets.
    OfCreation,
    /// The names of the attributes that changed. Their new values are in the object.
    Names(Vec<String>),
    /// The attributes themselves.
    Given(Box<RawValue>),
}

impl AuditEntry {
    /// Returns the entry of one change.
    ///
    /// # Errors
    /// Returns an error if `object` is not a JSON object.
    pub fn new(
        operation: Operation,
        object_id: Uuid,
        start_date: i64,
        request_id: String,
        details: EntryDetails,
        object: Box<RawValue>,
    ) -> serde_json::Result<Self> {
        let details = match details {
            EntryDetails::OfCreation => creation_details(&object)?,
            EntryDetails::Names(names) => named_details(&object, &names)?,
            EntryDetails::Given(details) => details,
        };
        let (object_type, base, root_id) = ("incident", true, object_id);
        Ok(Self { operation, object_type, object_id, start_date, request_id, details, base, root_id, object })
    }

    /// Returns the bytes of the object and the details.
    pub fn bytes(&self) -> usize {
        self.object.get().len() + self.details.get().len()
    }
}

/// Returns the attributes that a Creation sets: those of the object, without nulls and those that no
/// observation sets.
fn creation_details(object: &RawValue) -> serde_json::Result<Box<RawValue>> {
    const NOT_SET: [&str; 10] = [
        "id",
        "number",
        "triage",
        "occurrences",
        "event_ids",
        "truncated",
        "created_at",
        "updated_at",
        "revision",
        "hold",
    ];
    let Members(mut attributes) = serde_json::from_str(object.get())?;
    attributes.retain(|(name, value)| value.get() != "null" && !NOT_SET.contains(name));
    to_raw_value(&Members(attributes))
}

/// Returns the attributes of these names.
fn named_details(object: &RawValue, names: &[String]) -> serde_json::Result<Box<RawValue>> {
    let Members(mut attributes) = serde_json::from_str(object.get())?;
    attributes.retain(|(name, _)| names.iter().any(|known| known == name));
    attributes.sort_by_key(|(name, _)| *name);
    to_raw_value(&Members(attributes))
}
