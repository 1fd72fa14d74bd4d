use super::AUDIT;
use crate::Trigger;
use crate::fields::FieldType;
use hookmill_incident::{AuditEntry, ShownIncidentRef};
use hookmill_incident::{
    Incident, Note, Observable, Observation, Origin, PluginVersion, Technique, Triage, TriageCode, TriageError,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// An incident that leaves nothing out.
fn full() -> Value {
    let now = Timestamp::UNIX_EPOCH;
    let plugin = PluginVersion { name: "p".into(), version: "1".into(), sha256: "0".into() };
    let origin = Origin {
        event_id: Uuid::nil(),
        source: "s".into(),
        received_at: now,
        plugin: plugin.clone(),
        playbook: Some("b".into()),
        auto_triage: true,
    };
    let observable = Observable {
        data_type: "ip".into(),
        value: "192.0.2.1".into(),
        message: Some("m".into()),
        tags: vec!["t".into()],
        ioc: true,
    };
    let observation = Observation {
        source_ref: "r".into(),
        tags: vec!["t".into()],
        observables: vec![observable],
        techniques: vec![Technique { id: "T1059".into(), tactic: Some("TA0002".into()) }],
        ..Observation::default()
    };
    let (mut incident, _) = Incident::create(observation, &origin, now);
    incident.notes.push(Note { at: now, by: "b".into(), text: "t".into() });
    let error = Some(TriageError { code: TriageCode::Refused, message: "m".into() });
    let problems = vec!["p".into()];
    incident.triage = Some(Triage { plugin: Some(plugin), error, problems, ..Triage::waiting("b", now) });
    let view = ShownIncidentRef {
        id: Uuid::nil(),
        number: "INC-1970-0001".into(),
        incident: &incident,
        occurrences: 1,
        event_ids: &[Uuid::nil()],
    };
    json!(view)
}

/// Checks both ways: every field that is shown is known, and every known field is shown.
fn compare(field_type: FieldType, value: &Value, path: &str) {
    match (field_type, value) {
        (FieldType::Object(members), Value::Object(shown)) => {
            let known: BTreeSet<&str> = members.iter().map(|(name, _)| *name).collect();
            assert_eq!(known, shown.keys().map(String::as_str).collect(), "{path}");
            members.iter().for_each(|(name, member)| compare(*member, &shown[*name], &format!("{path}.{name}")));
        }
        (FieldType::List(element), Value::Array(items)) => {
            assert!(!items.is_empty(), "{path}");
            items.iter().for_each(|item| compare(*element, item, path));
        }
        (FieldType::Word(words) | FieldType::Rank(words), Value::String(word)) => {
            assert!(words().contains(&word.as_str()), "{path}");
        }
        (FieldType::Time, Value::String(time)) => assert!(time.parse::<Timestamp>().is_ok(), "{path}"),
        (FieldType::Text | FieldType::Time | FieldType::Rank(_), Value::Null)
        | (FieldType::Text, Value::String(_))
        | (FieldType::Boolean, Value::Bool(_))
        | (FieldType::Number | FieldType::Time, Value::Number(_))
        | (FieldType::Any, _) => {}
        (field_type, value) => panic!("{path}: {field_type:?} is {value}"),
    }
}

#[test]
fn known_fields_are_those_that_are_shown() {
    compare(Trigger::Any.field("object").unwrap().field_type, &full(), "object");
    let entry = AuditEntry {
        operation: hookmill_incident::Operation::Creation,
        object_type: "incident",
        object_id: Uuid::nil(),
        start_date: 0,
        request_id: "r".into(),
        details: Default::default(),
        base: true,
        root_id: Uuid::nil(),
        object: Default::default(),
    };
    let mut entry = json!(entry);
    entry.as_object_mut().unwrap().retain(|name, _| name != "object" && name != "details");
    compare(FieldType::Object(AUDIT), &entry, "audit");
}

#[test]
fn fields_are_found_by_their_path() {
    let cases = [
        (Trigger::IncidentCreated, "object.severity"),
        (Trigger::IncidentCreated, "object.details.anything.at.all"),
        (Trigger::IncidentCreated, "object.observables.data_type"),
        (Trigger::IncidentCreated, "object.observables.0.tags.1"),
        (Trigger::IncidentCreated, "object.tags"),
        (Trigger::IncidentUpdated, "details.severity"),
        (Trigger::Any, "audit.requestId"),
        (Trigger::Any, "event"),
        (Trigger::EventReceived, "event.body.alerts.0.id"),
        (Trigger::EventReceived, "event.headers.x-vendor.v1"),
        (Trigger::EventQuarantined, "event.error.code"),
        (Trigger::DestinationDisabled, "object.reason"),
        (Trigger::PluginRefused, "object.sha256"),
        (Trigger::SourceSilent, "object.silent_after"),
    ];
    for (trigger, path) in cases {
        trigger.field(path).unwrap_or_else(|error| panic!("{trigger} {path}: {error}"));
    }
}

#[test]
fn unknown_fields_are_refused_with_a_suggestion() {
    let cases = [
        (Trigger::Any, "object.sevrity", "unknown field `object.sevrity`; did you mean `object.severity`?"),
        (Trigger::Any, "object.titel", "unknown field `object.titel`; did you mean `object.title`?"),
        (Trigger::Any, "objct.title", "unknown field `objct`; did you mean `object`?"),
        (
            Trigger::Any,
            "object.observables.dataType",
            "unknown field `object.observables.dataType`; did you mean `object.observables.data_type`?",
        ),
        (Trigger::Any, "object.tags.first", "unknown field `object.tags.first`: `object.tags` is a plain value"),
        (Trigger::Any, "object.title.length", "unknown field `object.title.length`: `object.title` is a plain value"),
        (Trigger::Any, "object..title", "`object..title` has an empty name; write a path such as `object.title`"),
        (Trigger::Any, "event.body", "unknown field `event.body`: `event` is always empty here"),
        (Trigger::EventReceived, "object.title", "unknown field `object`; expected one of: event, url"),
        (
            Trigger::EventQuarantined,
            "event.body",
            "unknown field `event.body`; `event` has: id, source, received_at, content_type, headers, context, error",
        ),
        (Trigger::DestinationDisabled, "object.title", "unknown field `object.title`; `object` has: name, reason"),
    ];
    for (trigger, path, expected) in cases {
        assert_eq!(trigger.field(path).unwrap_err().to_string(), expected, "{trigger} {path}");
    }
    let long = vec!["a"; 33].join(".");
    assert!(Trigger::Any.field(&format!("object.details.{long}")).is_err());
}
