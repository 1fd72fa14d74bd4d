//! CrowdStrike Falcon: detections of the Event Streams API and of Falcon Data Replicator (FDR), which has no
//! `metadata`, and alerts of the Alerts API.

mod alert;
mod stream;

use hookmill_sdk::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, State};
use serde::Deserialize;

const EXPECTED: &str = "a CrowdStrike event with `metadata.eventType` and `event`, FDR's `event.ExternalApiType`, also \
                        without `event`, or an alert with `composite_id`, also in `resources`";

/// Types of observables, their roles and the fields with such values. The first role of an observable is kept.
pub(crate) type Roles = [(&'static str, &'static str, &'static [&'static str])];

/// The mapper for CrowdStrike Falcon.
pub struct CrowdStrike;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    metadata: Part<Fields<'a>>,
    event: Part<Fields<'a>>,
    /// In an answer of the Alerts API.
    resources: List<Fields<'a>>,
}

impl Mapper for CrowdStrike {
    fn describe() -> Description {
        hookmill_sdk::description!(
            "CrowdStrike Falcon",
            "Detections of Falcon's event stream, FDR and Alerts API, and changes of their state",
            "crowdstrike"
        )
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        match payload.event.get() {
            Some(found) => stream::outcome(payload.metadata.get(), found),
            None => {
                let body: Fields = event.json(EXPECTED)?;
                // Some exports of FDR have its fields without `event`.
                if body.has("ExternalApiType") {
                    stream::outcome(None, &body)
                } else {
                    alerts(body, &payload.resources)
                }
            }
        }
    }
}

pub(crate) fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

/// Maps alerts of the Alerts API, those of `resources` or the body itself.
fn alerts(body: Fields, resources: &[Fields]) -> Result<Outcome, MappingError> {
    let list = if resources.is_empty() { std::slice::from_ref(&body) } else { resources };
    if !list.iter().any(alert::is_alert) {
        return Err(unsupported());
    }
    let mut outcome = Outcome::default();
    for (number, found) in (1..).zip(list) {
        match alert::id(found) {
            Some(id) => outcome.incidents.push(alert::incident(id, found)),
            None => outcome.problems.push(format!("alert {number} has no `composite_id`")),
        }
    }
    if outcome.incidents.is_empty() {
        return Err(MappingError::Malformed(outcome.problems.join("; ")));
    }
    Ok(outcome)
}

/// Adds observables. The texts in some fields are lists with separators.
pub(crate) fn observe(incident: &mut Incident, fields: &Fields, roles: &Roles, separators: &[char]) {
    for (data_type, role, names) in roles {
        let mut add = |value: &str| match *data_type {
            "user-account" => _ = incident.observe_user(Some(value.trim()), role),
            "mail" if !value.contains('@') => {}
            data_type => _ = incident.observe(data_type, Some(value), role),
        };
        for text in names.iter().flat_map(|name| fields.all(name)) {
            match separators {
                [] => add(text),
                separators => text.split(separators).for_each(&mut add),
            }
        }
    }
}

/// Returns the type of observable of an indicator.
pub(crate) fn indicator_type(name: &str) -> &'static str {
    match name {
        "domain" => "domain",
        "ipv4" | "ipv6" => "ip",
        "filename" => "filename",
        "registry_key" => "registry",
        "hash_sha256" | "hash_sha1" | "hash_md5" | "sha256" | "sha1" | "md5" => "hash",
        _ => "other",
    }
}

/// Work on a closed detection opens it again.
pub(crate) fn state(name: &str) -> Option<State> {
    match name.to_ascii_lowercase().as_str() {
        "true_positive" | "ignored" | "dismiss" | "auto_resolved" => Some(State::Resolved),
        "in_progress" => Some(State::Open),
        name => State::parse(name),
    }
}

hookmill_sdk::export!(CrowdStrike);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::CrowdStrike>("payloads");
        testing::check_rejects_invalid::<super::CrowdStrike>();
    }
}
