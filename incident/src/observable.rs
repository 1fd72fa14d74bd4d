//! Observables and techniques of incidents.

use serde::{Deserialize, Serialize};

/// Something seen that can be looked up or blocked, such as an address, a hash or a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observable {
    /// The type of the value: `ip`, `hash`, ….
    pub data_type: String,
    /// The value.
    pub value: String,
    /// The connection with the incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Labels of this observable.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Whether the observable is an indicator of compromise: malicious by itself.
    #[serde(default)]
    pub ioc: bool,
}

/// A MITRE ATT&CK technique or tactic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Technique {
    /// The id: `T1059.001`, `TA0002`.
    pub id: String,
    /// The tactic that the technique serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tactic: Option<String>,
}
