//! Incidents.

use hookmill_incident::given;
use serde::{Deserialize, Serialize};

/// The body of a call of a playbook.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TriageOptions {
    /// The playbook; by default the one of the incident's source.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub playbook: Option<String>,
}
