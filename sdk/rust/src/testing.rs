//! Runs a plugin natively against files, in its author's unit tests.

mod incident;

pub use incident::{actions_json, stored_incident};

use crate::playbook::Playbook;
use crate::{Event, Field, Incident, Mapper, MappingError, Observable, Outcome};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Maps every `NAME.json` in `directory` and compares the outcome with `NAME.expected.json` beside it. What came with
/// the body, where it matters, stands in `NAME.event.json`: `{"headers": {NAME: VALUE}, "context": {NAME: VALUE}}`.
///
/// The expected file holds what [`outcome_json`] gives. With `UPDATE_EXPECTED=1` in the environment it is written
/// instead of compared: read the difference before you commit it.
///
/// # Panics
/// When an outcome differs, with both; when a file cannot be read; when there is no payload at all.
#[allow(clippy::panic, reason = "a failed check is a failed test")]
pub fn check<M: Mapper>(directory: impl AsRef<Path>) {
    check_files(directory.as_ref(), |payload, body| {
        let around = Around::beside(payload);
        let event = Event { headers: fields(around.headers), context: fields(around.context), ..Event::new(body) };
        outcome_json(&M::map(&event))
    });
}

/// What came with a payload.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Around {
    headers: BTreeMap<String, String>,
    context: BTreeMap<String, String>,
}

impl Around {
    #[allow(clippy::panic, reason = "a failed check is a failed test")]
    fn beside(payload: &Path) -> Self {
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

/// Has every incident `NAME.json` in `directory` judged, as `GET /api/incidents/…` shows it, and compares the actions
/// with `NAME.expected.json` beside it.
///
/// The expected file holds what [`actions_json`] gives, and is written by `UPDATE_EXPECTED=1` as for [`check`].
///
/// # Panics
/// As [`check`].
#[allow(clippy::panic, reason = "a failed check is a failed test")]
pub fn check_playbook<P: Playbook>(directory: impl AsRef<Path>) {
    check_files(directory.as_ref(), |_, text| {
        let incident = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("an incident is no JSON: {error}"));
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
            panic!("{}: {error}; set UPDATE_EXPECTED=1 to write it from what the plugin gives", expected.display())
        });
        let wanted: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        assert!(outcome == wanted, "{}: expected\n{wanted:#}\ngot\n{outcome:#}", payload.display());
    }
}

/// Maps bodies that no vendor sends: nothing, other JSON types, broken and very deeply nested JSON. A mapper has to
/// refuse each of them; one that follows the nesting by recursion overflows its stack here.
///
/// # Panics
/// When one of them maps.
pub fn check_refuses_nonsense<M: Mapper>() {
    const DEPTH: usize = 100_000;
    let nested = [("[", ""), ("[", "]"), ("{\"event\":", ""), ("[{\"data\":", "}]")]
        .map(|(open, close)| open.repeat(DEPTH) + "1" + &close.repeat(DEPTH));
    let others =
        ["", "null", "true", "7", "\"text\"", "[]", "[1]", "{}", "{\"a\"", "\u{0}", "<xml/>"].map(String::from);
    for body in others.into_iter().chain(nested) {
        let outcome = M::map(&Event::new(body.as_bytes()));
        assert!(outcome.is_err(), "{:.40} makes {:#}", body, outcome_json(&outcome));
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

/// An outcome as JSON: the WIT record's fields with `_` for `-`, enums as their WIT words, what is absent left out.
/// An error is `{"error": {"malformed": "…"}}` or `{"error": {"unsupported": "…"}}`.
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
    let word = |debug: String| debug.rsplit("::").next().map(kebab);
    let mut object = Map::new();
    let texts = [
        ("source_ref", Some(incident.source_ref.clone())),
        ("title", incident.title.clone()),
        ("description", incident.description.clone()),
        ("category", incident.category.clone()),
        ("severity", incident.severity.and_then(|value| word(format!("{value:?}")))),
        ("vendor_severity", incident.vendor_severity.clone()),
        ("state", incident.state.and_then(|value| word(format!("{value:?}")))),
        ("tlp", incident.tlp.and_then(|value| word(format!("{value:?}")))),
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
        Ok(value) => value,
        Err(_) => json!(detail.value),
    };
    (detail.name.clone(), value)
}

/// `AmberStrict` → `amber-strict`.
fn kebab(name: &str) -> String {
    let mut word = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}
