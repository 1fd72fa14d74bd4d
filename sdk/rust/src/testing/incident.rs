//! Conversion of incidents from the host's JSON and of actions to JSON.

use super::observable_json;
use crate::playbook::{Action, Field, Note, Observable, Severity, Status, StoredIncident, Technique, Tlp};
use serde_json::{Value, json};

/// Reads an incident in the form of `GET /api/incidents/…` and `hookmill plugin run --json`. Missing values are empty;
/// a missing severity is medium.
pub fn stored_incident(json: &Value) -> StoredIncident {
    let maybe = |name: &str| json[name].as_str().map(str::to_owned);
    let text = |name: &str| maybe(name).unwrap_or_default();
    let details = json["details"].as_object().into_iter().flatten();
    StoredIncident {
        id: text("id"),
        number: text("number"),
        source: text("source"),
        source_ref: text("source_ref"),
        title: text("title"),
        description: maybe("description"),
        category: maybe("category"),
        severity: json["severity"].as_str().and_then(Severity::parse).unwrap_or(Severity::Medium),
        status: STATUSES.iter().find(|(name, _)| json["status"] == *name).map_or(Status::New, |(_, status)| *status),
        assignee: maybe("assignee"),
        tlp: TLPS.into_iter().find(|tlp| json["tlp"] == tlp.name()),
        occurred_at: maybe("occurred_at"),
        external_link: maybe("external_link"),
        tags: texts(&json["tags"]),
        observables: items(&json["observables"]).iter().map(observable).collect(),
        techniques: items(&json["techniques"]).iter().map(technique).collect(),
        details: details
            .map(|(name, value)| Field {
                name: name.clone(),
                value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            })
            .collect(),
        notes: items(&json["notes"]).iter().map(note).collect(),
        occurrences: json["occurrences"].as_u64().unwrap_or(1),
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
const TLPS: [Tlp; 5] = [Tlp::Clear, Tlp::Green, Tlp::Amber, Tlp::AmberStrict, Tlp::Red];

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn observable(json: &Value) -> Observable {
    Observable {
        data_type: json["data_type"].as_str().unwrap_or_default().to_owned(),
        value: json["value"].as_str().unwrap_or_default().to_owned(),
        message: json["message"].as_str().map(str::to_owned),
        tags: texts(&json["tags"]),
        ioc: json["ioc"] == true,
    }
}

fn technique(json: &Value) -> Technique {
    Technique {
        id: json["id"].as_str().unwrap_or_default().to_owned(),
        tactic: json["tactic"].as_str().map(str::to_owned),
    }
}

fn note(json: &Value) -> Note {
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    Note { at: text("at"), by: text("by"), text: text("text") }
}

/// Returns actions as JSON. Each action is an object with one member, named as in `wit/plugin.wit` with `_` for `-`. A
/// note is the list of its lines. An error is `{"error": "…"}`.
pub fn actions_json(actions: &Result<Vec<Action>, String>) -> Value {
    match actions {
        Ok(actions) => actions.iter().map(action_json).collect(),
        Err(text) => json!({"error": text}),
    }
}

fn action_json(action: &Action) -> Value {
    match action {
        Action::SetSeverity(severity) => json!({"set_severity": severity.name()}),
        Action::SetStatus(status) => {
            let name = STATUSES.iter().find(|(_, known)| known == status).map(|(name, _)| *name);
            json!({"set_status": name})
        }
        Action::SetCategory(text) => json!({"set_category": text}),
        Action::SetAssignee(text) => json!({"set_assignee": text}),
        Action::AddTag(text) => json!({"add_tag": text}),
        Action::AddObservable(observable) => json!({"add_observable": observable_json(observable)}),
        Action::AddNote(text) => json!({"add_note": text.lines().collect::<Vec<_>>()}),
        Action::Notify(name) => json!({"notify": name}),
    }
}
