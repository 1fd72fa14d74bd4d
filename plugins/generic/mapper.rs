//! The generic form `{"event_type": …, "data": {…}}`, for senders without a mapper of their own.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, State, WithRest};
use hookmill_sdk::{json, sentence, timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

const EXPECTED: &str = "an object with `event_type`, and what is known of the event in `data`";

/// Observable types by the last segment of a field's path.
const OBSERVABLES: [(&str, &[&str]); 10] = [
    (
        "ip",
        &["ip", "ip_address", "src_ip", "source_ip", "dest_ip", "dst_ip", "destination_ip", "client_ip", "remote_ip"],
    ),
    ("url", &["url", "uri"]),
    ("domain", &["domain"]),
    ("hostname", &["hostname", "host", "host_name", "device", "device_name", "computer_name"]),
    ("user-account", &["user", "username", "user_name", "account"]),
    ("mail", &["email", "mail", "sender", "recipient", "recipients"]),
    ("mail-subject", &["subject"]),
    ("hash", &["hash", "md5", "sha1", "sha256", "sha512", "file_hash"]),
    ("filename", &["filename", "file_name"]),
    ("mac", &["mac", "mac_address"]),
];

/// Fields of `data` that are mapped to fields of an incident.
const MAPPED: [&str; 11] = [
    "alert_id",
    "title",
    "name",
    "description",
    "message",
    "severity",
    "category",
    "status",
    "tags",
    "link",
    "details",
];

/// Fields beside `data` that are mapped.
const MAPPED_BESIDE_DATA: [&str; 11] = [
    "event_type",
    "timestamp",
    "title",
    "name",
    "description",
    "message",
    "severity",
    "category",
    "status",
    "tags",
    "link",
];

struct Generic;

/// The body, for values that are kept as JSON.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Mapper for Generic {
    fn describe() -> Description {
        hookmill_sdk::description!("Generic", "Any JSON object with `event_type`")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let fields: Fields = event.json(EXPECTED)?;
        match with_data_as_object(event, &fields) {
            Some(other) => map_object(&other, &other.json(EXPECTED)?, || event.digest()),
            None => map_object(event, &fields, || event.digest()),
        }
    }
}

/// Returns the event with the object that some senders write as a text in `data`.
fn with_data_as_object(event: &Event, fields: &Fields) -> Option<Event> {
    let mut data = fields.iter().filter(|(path, text)| *path == "data" && text.trim_start().starts_with('{'));
    let data: &RawValue = json(data.next()?.1)?;
    let payload: WithRest<Payload> = event.json(EXPECTED).ok()?;
    Some(event.with_body(payload.rest_json(&[("data", data)])))
}

/// Maps a payload; one without an id of its own gets this one.
fn map_object(event: &Event, fields: &Fields, digest: impl Fn() -> String) -> Result<Outcome, MappingError> {
    let Some(event_type) = fields.first(&["event_type"]) else {
        return Err(MappingError::expected(EXPECTED));
    };
    let id = fields.first(&["data.alert_id"]).map_or_else(digest, str::to_owned);
    let mut incident = Incident::new(id);
    let title = fields.first(&["data.title", "title", "data.name", "name"]);
    incident.set_title(title.or(Some(&sentence(event_type))));
    incident.description =
        fields.first(&["data.description", "description", "data.message", "message"]).map(str::to_owned);
    incident.category = fields.first(&["data.category", "category"]).or(Some(event_type)).map(str::to_owned);
    incident.set_severity(fields.first(&["data.severity", "severity"]));
    incident.state = fields.first(&["data.status", "status"]).and_then(State::parse);
    incident.occurred_at = fields.first(&["timestamp", "data.timestamp"]).and_then(timestamp);
    incident.external_link = fields.first(&["data.link", "link"]).map(str::to_owned);
    for tag in fields.all("data.tags").chain(fields.all("tags")) {
        incident.tag(tag);
    }
    for (data_type, name, value) in fields.named("data.", &OBSERVABLES) {
        if data_type != "mail" || value.contains('@') {
            incident.observe(data_type, Some(value), &name.to_ascii_lowercase());
        }
    }
    add_details(&mut incident, event)?;
    Ok(incident.into())
}

/// Adds the remaining fields: of `data`, of `data.details` and beside `data`.
fn add_details(incident: &mut Incident, event: &Event) -> Result<(), MappingError> {
    let payload: WithRest<Payload> = event.json(EXPECTED)?;
    if let Some(data) = payload.data {
        let data = add_fields(incident, "data", data, &MAPPED);
        if let Some(details) = data.get("details") {
            add_fields(incident, "details", details, &[]);
        }
    }
    incident.keep_rest(&payload, |name| MAPPED_BESIDE_DATA.contains(&name));
    Ok(())
}

/// Adds the fields of an object, without those in `except`; any other value is added as a field `name`.
fn add_fields<'a>(incident: &mut Incident, name: &str, value: &'a RawValue, except: &[&str]) -> Object<'a> {
    let Ok(object) = serde_json::from_str::<Object>(value.get()) else {
        incident.detail_json(name, &value);
        return Object::new();
    };
    for (name, value) in &object {
        // A mapped field is a text or a list of texts. An object in its place is kept.
        let is_mapped = except.contains(&name.as_ref()) && (name == "details" || is_text_or_list(value));
        if !matches!(value.get(), "null" | "\"\"") && !is_mapped {
            incident.detail_json(name, &value);
        }
    }
    object
}

fn is_text_or_list(value: &RawValue) -> bool {
    value.get().starts_with('"') || !value.get().contains('{')
}

hookmill_sdk::export!(Generic);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Generic>("payloads");
        testing::check_rejects_invalid::<super::Generic>();
    }
}
