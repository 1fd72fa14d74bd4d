//! The message that filters and templates look at: what happened, in one JSON object.

use super::Trigger;
use hookmill_incident::Event;
use hookmill_incident::{AuditEntry, EventState};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Of a change of an incident: `object` after it, `details` that changed, `audit` about the change itself.
pub fn about_change(entry: &AuditEntry, public_url: &str) -> Value {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let object = value(&entry.object);
    let url = format!("{public_url}/api/incidents/{}", object["number"].as_str().unwrap_or_default());
    json!({
        "object": object,
        "details": value(&entry.details),
        "audit": {
            "operation": entry.operation,
            "objectType": entry.object_type,
            "objectId": entry.object_id,
            "startDate": entry.start_date,
            "requestId": entry.request_id,
            "base": entry.base,
            "rootId": entry.root_id,
        },
        "url": url,
    })
}

/// Of an event: as it came when it was received; without its body and with the reason when it was quarantined. Whoever does
/// not look at the body need not have it read.
pub fn about_event(trigger: Trigger, event: &Event, state: &EventState, public_url: &str, needs_body: bool) -> Value {
    let pairs = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
    };
    let mut shown = json!({
        "id": event.id,
        "source": &*event.source,
        "received_at": Timestamp::from_millisecond(event.received_at).ok(),
        "content_type": event.content_type,
        "headers": pairs(&event.headers),
        "context": pairs(&event.context),
    });
    if trigger == Trigger::EventQuarantined {
        shown["error"] = json!({"code": state.code.map(|code| code.as_str()), "message": state.message});
    } else if needs_body {
        shown["body"] = body(event);
    }
    json!({"event": shown, "url": format!("{public_url}/api/events/{}", event.id)})
}

/// What was sent: as JSON where it is some, else as text.
fn body(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&event.body)))
}
