//! Incidents from the host's JSON, and actions to JSON.

use super::{kebab, observable_json};
use crate::playbook::{Action, Field, Note, Observable, Severity, Status, StoredIncident, Technique, Tlp};
use serde_json::{Value, json};

/// An incident as `GET /api/incidents/…` or `hookmill plugin run --json` shows it. What is not there is empty, and the
/// severity medium.
pub fn stored_incident(shown: &Value) -> StoredIncident {
    let maybe = |name: &str| shown[name].as_str().map(str::to_owned);
    let text = |name: &str| maybe(name).unwrap_or_default();
    let details = shown["details"].as_object().into_iter().flatten();
    StoredIncident {
        id: text("id"),
        number: text("number"),
        source: text("source"),
        source_ref: text("source_ref"),
        title: text("title"),
        description: maybe("description"),
        category: maybe("category"),
        severity: shown["severity"].as_str().and_then(Severity::parse).unwrap_or(Severity::Medium),
        status: STATUSES.iter().find(|(word, _)| shown["status"] == *word).map_or(Status::New, |(_, status)| *status),
        assignee: maybe("assignee"),
        tlp: TLPS.iter().find(|(word, _)| shown["tlp"] == *word).map(|(_, tlp)| *tlp),
        occurred_at: maybe("occurred_at"),
        external_link: maybe("external_link"),
        tags: texts(&shown["tags"]),
        observables: items(&shown["observables"]).iter().map(observable).collect(),
        techniques: items(&shown["techniques"]).iter().map(technique).collect(),
        details: details
            .map(|(name, value)| Field {
                name: name.clone(),
                value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            })
            .collect(),
        notes: items(&shown["notes"]).iter().map(note).collect(),
        occurrences: shown["occurrences"].as_u64().unwrap_or(1),
        created_at: text("created_at"),
        updated_at: text("updated_at"),
    }
}

const STATUSES: [(&str, Status); 7] = [
    ("new", Status::New),
    ("triaged", Status::Triaged),
    ("in_progress", Status::InProgress),
    ("escalated", Status::Escalated),
    ("resolved", Status::Resolved),
    ("false_positive", Status::FalsePositive),
    ("closed", Status::Closed),
];
const TLPS: [(&str, Tlp); 5] = [
    ("clear", Tlp::Clear),
    ("green", Tlp::Green),
    ("amber", Tlp::Amber),
    ("amber-strict", Tlp::AmberStrict),
    ("red", Tlp::Red),
];

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn observable(shown: &Value) -> Observable {
    Observable {
        data_type: shown["data_type"].as_str().unwrap_or_default().to_owned(),
        value: shown["value"].as_str().unwrap_or_default().to_owned(),
        message: shown["message"].as_str().map(str::to_owned),
        tags: texts(&shown["tags"]),
        ioc: shown["ioc"] == true,
    }
}

fn technique(shown: &Value) -> Technique {
    Technique {
        id: shown["id"].as_str().unwrap_or_default().to_owned(),
        tactic: shown["tactic"].as_str().map(str::to_owned),
    }
}

fn note(shown: &Value) -> Note {
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    Note { at: text("at"), by: text("by"), text: text("text") }
}

/// Actions as JSON, each an object with one member that is named as in `wit/plugin.wit` with `_` for `-`. A note is the
/// list of its lines. An error is `{"error": "…"}`.
pub fn actions_json(actions: &Result<Vec<Action>, String>) -> Value {
    match actions {
        Ok(actions) => actions.iter().map(action_json).collect(),
        Err(text) => json!({"error": text}),
    }
}

fn action_json(action: &Action) -> Value {
    match action {
        Action::SetSeverity(severity) => {
            json!({"set_severity": kebab(format!("{severity:?}").trim_start_matches("Severity::"))})
        }
        Action::SetStatus(status) => {
            let word = STATUSES.iter().find(|(_, known)| known == status).map(|(word, _)| *word);
            json!({"set_status": word})
        }
        Action::SetCategory(text) => json!({"set_category": text}),
        Action::SetAssignee(text) => json!({"set_assignee": text}),
        Action::AddTag(text) => json!({"add_tag": text}),
        Action::AddObservable(observable) => json!({"add_observable": observable_json(observable)}),
        Action::AddNote(text) => json!({"add_note": text.lines().collect::<Vec<_>>()}),
        Action::Notify(name) => json!({"notify": name}),
    }
}
