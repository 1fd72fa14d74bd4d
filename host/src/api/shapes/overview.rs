//! The work that waits.

use hookmill_incident::Severity;
use hookmill_store::OpenIncidents;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer of `/api/overview`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overview {
    /// The version of the host.
    pub version: String,
    /// The URL at which others reach the host, if `public_url` is configured.
    pub public_url: Option<String>,
    /// The incidents that are not resolved, closed or false positives, the highest severity first.
    pub open_incidents: Vec<ShownOpenIncidents>,
    /// The events that are not mapped.
    pub events: WaitingEvents,
    /// The sources that have been silent for longer than their `silent_after`.
    pub silent_sources: Vec<SilentSource>,
}

/// The open incidents of one severity, by the time since their creation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownOpenIncidents {
    /// The severity.
    pub severity: Severity,
    /// The number of incidents that were created within an hour.
    pub within_hour: i64,
    /// The number of older incidents that were created within a day.
    pub within_day: i64,
    /// The number of older incidents that were created within seven days.
    pub within_week: i64,
    /// The number of incidents that are older.
    pub older: i64,
}

/// The numbers of events that are not mapped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaitingEvents {
    /// The number of events that the host will map.
    pub queued: i64,
    /// The number of events in quarantine.
    pub quarantined: i64,
}

/// A source that is silent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SilentSource {
    /// The source's name.
    pub name: String,
    /// When the host noticed the silence.
    pub since: Timestamp,
}

impl From<OpenIncidents> for ShownOpenIncidents {
    fn from(counts: OpenIncidents) -> Self {
        let OpenIncidents { severity, within_hour, within_day, within_week, older } = counts;
        Self { severity, within_hour, within_day, within_week, older }
    }
}
