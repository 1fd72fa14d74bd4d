//! The result of mapping an event, in one line.

use crate::text::{clean, given, join};
use hookmill_host::api::shapes::{EventResult, IncidentRef};

/// Returns the state of an event, its incidents and the reason for the state.
pub(super) fn result_line(event: &EventResult) -> String {
    let reason = join(&[error_code(event), given(event.message.as_ref())], ": ");
    join(&[format!("{} {}", event.id, event.status), incident_numbers(&event.incidents), reason], "  ")
}

/// Returns the kind of failure, if mapping failed.
pub(super) fn error_code(event: &EventResult) -> String {
    event.error.as_ref().map(|error| error.code.to_string()).unwrap_or_default()
}

/// Returns the numbers of the incidents that an event created or changed.
pub(super) fn incident_numbers(incidents: &[IncidentRef]) -> String {
    incidents.iter().map(|incident| clean(&incident.number)).collect::<Vec<_>>().join(", ")
}
