//! Audit entries of incidents.

use crate::words;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;
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

impl AuditEntry {
    /// Returns the entry of one change. Without `details`, those of a Creation are taken from the object.
    ///
    /// # Errors
    /// Returns an error if `object` is not a JSON object.
    pub fn new(
        operation: Operation,
        object_id: Uuid,
        start_date: i64,
        request_id: String,
        details: Option<Box<RawValue>>,
        object: Box<RawValue>,
    ) -> serde_json::Result<Self> {
        let details = details.map_or_else(|| creation_details(&object), Ok)?;
        let (object_type, base, root_id) = ("incident", true, object_id);
        Ok(Self { operation, object_type, object_id, start_date, request_id, details, base, root_id, object })
    }
}

/// Returns the attributes that a Creation sets: those of the object, without nulls and those that the host sets.
fn creation_details(object: &RawValue) -> serde_json::Result<Box<RawValue>> {
    const SET_BY_HOST: [&str; 9] =
        ["id", "number", "triage", "occurrences", "event_ids", "truncated", "created_at", "updated_at", "revision"];
    let Members(mut attributes) = serde_json::from_str(object.get())?;
    attributes.retain(|(name, value)| value.get() != "null" && !SET_BY_HOST.contains(name));
    to_raw_value(&Members(attributes))
}

/// The members of a JSON object, in their order.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<Self, A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(self)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
