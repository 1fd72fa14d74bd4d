//! Incidents.

use crate::http_error::ErrorDetail;
use hookmill_incident::{Patch, ShownIncident, given};
use hookmill_store::SharedObservable;
use serde::{Deserialize, Serialize};

/// The body of a call of a playbook.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TriageOptions {
    /// The playbook; by default the one of the incident's source.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub playbook: Option<String>,
}

/// An incident that shares observables with another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownRelatedIncident {
    /// The incident.
    #[serde(flatten)]
    pub incident: ShownIncident,
    /// The observables that both have, the rarest first.
    pub shared_observables: Vec<SharedObservable>,
}

/// One change of several incidents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentsChange {
    /// The ids of incidents.
    #[serde(default)]
    pub ids: Vec<String>,
    /// The numbers of incidents.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// The change, as for one incident.
    pub change: Patch,
}

/// The result of a change of one of several incidents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncidentChangeResult {
    /// The id or the number, as in the request.
    pub incident: String,
    /// The revision after the change; null if the change failed.
    pub revision: Option<u64>,
    /// The reason why the change failed.
    pub error: Option<ErrorDetail>,
}
