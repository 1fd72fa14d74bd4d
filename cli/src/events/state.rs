//! The state of an event in one line.

use crate::text::{join, list, plain};
use serde_json::Value;

/// Returns the state of an event in one line: its id, status, incidents and reason.
pub(super) fn state(event: &Value) -> String {
    let parts = ["id", "status"].map(|name| plain(&event[name]));
    let why = join(&[plain(&event["error"]["code"]), plain(&event["message"])], ": ");
    join(&[join(&parts, " "), incidents(event), why], "  ")
}

/// Returns the numbers of the incidents that an event made or changed.
pub(super) fn incidents(event: &Value) -> String {
    let numbers = list(&event["incidents"]).iter().map(|incident| plain(&incident["number"]));
    numbers.collect::<Vec<_>>().join(", ")
}
