//! Unit tests of plugins: runs a plugin natively and compares the results with files.

mod incident;

pub use incident::{actions_json, stored_incident};

use crate::playbook::Playbook;
use crate::repair::DEPTH_MAX;
use crate::{Event, Field, Incident, Mapper, MappingError, Observable, Outcome, Severity, State, Tlp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Maps every payload `NAME.json` in `directory` and compares the outcome with `NAME.expected.json`.
///
/// An optional file `NAME.event.json` adds headers and context values to the event:
/// `{"headers": {NAME: VALUE}, "context": {NAME: VALUE}}`. Expected files have the form of [`outcome_json`]. With
/// `UPDATE_EXPECTED=1` in the environment this function writes them instead: review the difference before you commit.
///
/// # Panics
/// Panics if an outcome differs, if a file cannot be read or if the directory has no payload.
#[allow(clippy::panic, reason = "a failed check is a failed test")]
pub fn check<M: Mapper>(directory: impl AsRef<Path>) {
    check_files(directory.as_ref(), |payload, body| {
        let request = Request::of(payload);
        let event = Event { headers: fields(request.headers), context: fields(request.context), ..Event::new(body) };
        outcome_json(&crate::map::<M>(&event))
    });
}

/// The headers and context values of a payload, read from `NAME.event.json`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    headers: BTreeMap<String, String>,
    context: BTreeMap<String, String>,
}

impl Request {
    #[allow(clippy::panic, reason = "a failed check is a failed test")]
    fn of(payload: &Path) -> Self {
        let file = payload.with_extension("event.json");
        if !file.exists() {
            return Self::default();
        }
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }
}

fn fields(pairs: BTreeMap<String, String>) -> Vec<Field> {
    pairs.into_iter().map(|(name, value)| Field { name, value }).collect()
}

/// Triages every incident `NAME.json` in `directory` and compares the actions with `NAME.expected.json`.
///
/// Incident files have the form of `GET /api/incidents/…`, expected files the form of [`actions_json`]. With
/// `UPDATE_EXPECTED=1` in the environment this function writes them, like [`check`].
///
/// # Panics
/// Panics if the actions differ, if a file cannot be read or if the directory has no incident.
#[allow(clippy::panic, reason = "a failed check is a failed test")]
pub fn check_playbook<P: Playbook>(directory: impl AsRef<Path>) {
    check_files(directory.as_ref(), |_, text| {
        let incident =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("an incident file is not JSON: {error}"));
        actions_json(&P::triage(&stored_incident(&incident)))
    });
}

#[allow(clippy::panic, reason = "a failed check is a failed test")]
fn check_files(directory: &Path, run: impl Fn(&Path, Vec<u8>) -> Value) {
    let names = payload_names(directory);
    assert!(!names.is_empty(), "no files in {}", directory.display());
    for name in names {
        let payload = directory.join(format!("{name}.json"));
        let body = std::fs::read(&payload).unwrap_or_else(|error| panic!("{}: {error}", payload.display()));
        let outcome = run(&payload, body);
        let expected = directory.join(format!("{name}.expected.json"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&expected, format!("{outcome:#}\n"))
                .unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
            continue;
        }
        let text = std::fs::read_to_string(&expected).unwrap_or_else(|error| {
            panic!("{}: {error}; set UPDATE_EXPECTED=1 to write the plugin's result to this file", expected.display())
        });
        let wanted: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        assert!(outcome == wanted, "{}: expected\n{wanted:#}\ngot\n{outcome:#}", payload.display());
    }
}

/// Checks that a mapper rejects invalid bodies: empty, other JSON types, broken and deeply nested JSON. A mapper that
/// recurses into nested JSON overflows its stack here.
///
/// # Panics
/// Panics if the mapper accepts one of them.
pub fn check_rejects_invalid<M: Mapper>() {
    const DEPTH: usize = 100_000;
    let nested = [("[", ""), ("[", "]"), ("{\"event\":", ""), ("[{\"data\":", "}]")]
        .map(|(open, close)| open.repeat(DEPTH) + "1" + &close.repeat(DEPTH));
    let others =
        ["", "null", "true", "7", "\"text\"", "[]", "[1]", "{}", "{\"a\"", "\u{0}", "<xml/>"].map(String::from);
    for body in others.into_iter().chain(nested) {
        let outcome = crate::map::<M>(&Event::new(body.as_bytes()));
        assert!(outcome.is_err(), "{:.40} maps to {:#}", body, outcome_json(&outcome));
    }
}

fn payload_names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".expected") && !name.ends_with(".event"))
        .collect();
    names.sort();
    names
}

/// Returns an outcome as JSON: the fields of the WIT record with `_` for `-`, enums by their WIT names, without absent
/// values. Details are JSON or text, by the rule of the host. An error is `{"error": {"malformed": "…"}}` or `{"error": {"unsupported": "…"}}`.
pub fn outcome_json(outcome: &Result<Outcome, MappingError>) -> Value {
    match outcome {
        Ok(outcome) => json!({
            "incidents": outcome.incidents.iter().map(incident_json).collect::<Vec<_>>(),
            "skipped": outcome.skipped,
            "problems": outcome.problems,
        }),
        Err(MappingError::Malformed(text)) => json!({"error": {"malformed": text}}),
        Err(MappingError::Unsupported(text)) => json!({"error": {"unsupported": text}}),
    }
}

fn incident_json(incident: &Incident) -> Value {
    let mut object = Map::new();
    let texts = [
        ("source_ref", Some(incident.source_ref.clone())),
        ("title", incident.title.clone()),
        ("description", incident.description.clone()),
        ("category", incident.category.clone()),
        ("severity", incident.severity.map(Severity::name).map(str::to_owned)),
        ("vendor_severity", incident.vendor_severity.clone()),
        ("state", incident.state.map(State::name).map(str::to_owned)),
        ("tlp", incident.tlp.map(Tlp::name).map(str::to_owned)),
        ("occurred_at", incident.occurred_at.clone()),
        ("changed_at", incident.changed_at.clone()),
        ("external_link", incident.external_link.clone()),
    ];
    object.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?)))));
    let techniques = incident.techniques.iter().map(|technique| match &technique.tactic {
        Some(tactic) => json!({"id": technique.id, "tactic": tactic}),
        None => json!({"id": technique.id}),
    });
    let lists = [
        ("tags", incident.tags.iter().map(|tag| json!(tag)).collect::<Vec<_>>()),
        ("observables", incident.observables.iter().map(observable_json).collect()),
        ("techniques", techniques.collect()),
    ];
    object
        .extend(lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name.into(), list.into())));
    if !incident.details.is_empty() {
        object.insert("details".into(), Value::Object(incident.details.iter().map(detail_json).collect()));
    }
    Value::Object(object)
}

fn observable_json(observable: &Observable) -> Value {
    let mut object = json!({"data_type": observable.data_type, "value": observable.value});
    if let Some(message) = &observable.message {
        object["message"] = json!(message);
    }
    if !observable.tags.is_empty() {
        object["tags"] = json!(observable.tags);
    }
    if observable.ioc {
        object["ioc"] = json!(true);
    }
    object
}

fn detail_json(detail: &Field) -> (String, Value) {
    let value = match serde_json::from_str(&detail.value) {
        Ok(Value::Number(number)) if number.to_string() != detail.value => json!(detail.value),
        Ok(value) if is_deeper(&value, DEPTH_MAX) => json!(detail.value),
        Ok(value) => value,
        Err(_) => json!(detail.value),
    };
    (detail.name.clone(), value)
}

/// Returns whether lists and objects are nested deeper than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| is_deeper(member, levels - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, detail_json};
    use crate::Field;
    use serde_json::json;

    #[test]
    fn details_are_json_if_the_host_stores_them_as_json() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let value = |text: &str| detail_json(&Field { name: "n".into(), value: text.to_owned() }).1;
        assert!(value(&nested(DEPTH_MAX)).is_array());
        for text in ["7.10", "x", &nested(DEPTH_MAX + 1), &nested(200)] {
            assert_eq!(value(text), json!(text));
        }
    }
}
