//! The messages that filters and templates read: one JSON object about what happened.

use crate::Trigger;
use crate::payload_json::payload_json;
use hookmill_incident::{AuditEntry, Event, EventState};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Returns the message about a change of an incident: `object` is the incident after the change, `details` has the
/// changed fields, `audit` describes the change itself.
pub fn about_change(entry: &AuditEntry, public_url: &str) -> Value {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let object = value(&entry.object);
    let url = link(public_url, "incidents", object["number"].as_str().unwrap_or_default());
    let mut message = json!({
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
    });
    // `json!` copies the values that it is given.
    message["object"] = object;
    message["details"] = value(&entry.details);
    message
}

/// Returns the message about an event. The message of a received event has the body, if `needs_body`; the message of a
/// quarantined event has the reason instead. Without `needs_body` the body is not parsed, which saves time.
pub fn about_event(trigger: Trigger, event: &Event, state: &EventState, public_url: &str, needs_body: bool) -> Value {
    let pairs = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
    };
    let mut content = json!({
        "id": event.id,
        "source": &*event.source,
        "received_at": Timestamp::from_millisecond(event.received_at).ok(),
        "content_type": event.content_type,
        "headers": pairs(&event.headers),
        "context": pairs(&event.context),
    });
    if trigger == Trigger::EventQuarantined {
        content["error"] = json!({"code": state.code.map(|code| code.as_str()), "message": state.message});
    } else if needs_body {
        content["body"] = body(event);
    }
    // `json!` copies the values that it is given.
    let mut message = json!({"url": link(public_url, "events", &event.id.to_string())});
    message["event"] = content;
    message
}

/// Returns the link to a thing in the API; `None` if the address of the host is not known.
fn link(public_url: &str, list: &str, id: &str) -> Option<String> {
    (!public_url.is_empty()).then(|| format!("{public_url}/api/{list}/{id}"))
}

/// Returns the body as JSON, or as a text if it is not JSON.
fn body(event: &Event) -> Value {
    payload_json(&event.body).unwrap_or_else(|| json!(String::from_utf8_lossy(&event.body)))
}
