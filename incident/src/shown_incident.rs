//! Incidents as JSON shows them.

use crate::Incident;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An incident as the API shows it and as plugins get it; [`ShownIncidentRef`] borrows the same.
///
/// The id, the number and the events are optional in JSON, because an incident that was not stored has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownIncident {
    /// The incident's id.
    #[serde(default)]
    pub id: Uuid,
    /// The incident's number, `INC-2026-0001`.
    #[serde(default)]
    pub number: String,
    /// The record.
    #[serde(flatten)]
    pub incident: Incident,
    /// The number of events that reported the incident.
    #[serde(default = "one")]
    pub occurrences: u64,
    /// The newest events that reported the incident, the newest last.
    #[serde(default)]
    pub event_ids: Vec<Uuid>,
}

/// A borrowed incident as the API and the `object` of an audit entry show it.
#[derive(Debug, Serialize)]
pub struct ShownIncidentRef<'a> {
    /// The incident's id.
    pub id: Uuid,
    /// The incident's number, `INC-2026-0001`.
    pub number: String,
    /// The record.
    #[serde(flatten)]
    pub incident: &'a Incident,
    /// The number of events that reported the incident.
    pub occurrences: u64,
    /// The newest events that reported the incident, the newest last; at most [`EVENT_IDS_MAX`](crate::EVENT_IDS_MAX).
    pub event_ids: &'a [Uuid],
}

fn one() -> u64 {
    1
}
