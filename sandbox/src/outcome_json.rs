//! The unchecked result of a mapper as JSON, in the form of `hookmill_sdk::testing::outcome_json`: the fields of the
//! WIT record with `_` for `-`, enums as their WIT words, without absent fields.

use crate::bindings::wit::{
    FieldResult as Field, Incident, MappingError, ObservableResult as Observable, Outcome, Severity, State,
    TechniqueResult as Technique, Tlp,
};
use crate::detail::detail;
use serde_json::{Map, Value, json};

/// Returns the result of a mapper as JSON.
pub(crate) fn outcome_json(outcome: &Result<Outcome, MappingError>) -> Value {
    match outcome {
        Ok(outcome) => json!({
            "incidents": outcome.incidents.iter().map(incident).collect::<Vec<_>>(),
            "skipped": outcome.skipped,
            "problems": outcome.problems,
        }),
        Err(MappingError::Malformed(text)) => json!({"error": {"malformed": text}}),
        Err(MappingError::Unsupported(text)) => json!({"error": {"unsupported": text}}),
    }
}

fn incident(incident: &Incident) -> Value {
    let severity = incident.severity.map(|severity| match severity {
        Severity::Informational => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    });
    let state = incident.state.map(|state| match state {
        State::Open => "open",
        State::Resolved => "resolved",
    });
    let tlp = incident.tlp.map(|tlp| match tlp {
        Tlp::Clear => "clear",
        Tlp::Green => "green",
        Tlp::Amber => "amber",
        Tlp::AmberStrict => "amber-strict",
        Tlp::Red => "red",
    });
    let details: Map<String, Value> = incident.details.iter().map(named_detail).collect();
    present(json!({
        "source_ref": incident.source_ref,
        "title": incident.title,
        "description": incident.description,
        "category": incident.category,
        "severity": severity,
        "vendor_severity": incident.vendor_severity,
        "state": state,
        "tlp": tlp,
        "occurred_at": incident.occurred_at,
        "changed_at": incident.changed_at,
        "external_link": incident.external_link,
        "tags": incident.tags,
        "observables": incident.observables.iter().map(observable).collect::<Vec<_>>(),
        "techniques": incident.techniques.iter().map(technique).collect::<Vec<_>>(),
        "details": details,
    }))
}

fn observable(observable: &Observable) -> Value {
    present(json!({
        "data_type": observable.data_type,
        "value": observable.value,
        "message": observable.message,
        "tags": observable.tags,
        "ioc": observable.ioc.then_some(true),
    }))
}

fn technique(technique: &Technique) -> Value {
    present(json!({"id": technique.id, "tactic": technique.tactic}))
}

fn named_detail(field: &Field) -> (String, Value) {
    (field.name.clone(), detail(field.value.clone()))
}

/// Returns an object without its members that are null or empty.
fn present(object: Value) -> Value {
    let Value::Object(mut fields) = object else { return object };
    fields.retain(|_, value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    });
    Value::Object(fields)
}
