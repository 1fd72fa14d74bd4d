//! Incidents as JSON shows them.

use crate::Incident;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An incident as the API shows it and as plugins get it; [`IncidentView`](crate::IncidentView) borrows the same.
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

fn one() -> u64 {
    1
}
