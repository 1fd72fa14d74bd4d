use super::{Guard, Incident};
use crate::{
    Action, Observable, Observation, Origin, Patch, PluginVersion, Severity, State, Status, Tlp, Triage, TriageStatus,
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn origin(received: i64) -> Origin {
    Origin {
        event_id: Uuid::nil(),
        source: "edr".into(),
        received_at: at(received),
        plugin: PluginVersion { name: "edr".into(), version: "1.0".into(), sha256: "0".into() },
        playbook: Some("judge".into()),
        auto_triage: true,
    }
}

fn observation() -> Observation {
    Observation { source_ref: "r1".into(), ..Observation::default() }
}

fn created() -> (Incident, Guard) {
    Incident::create(observation(), &origin(100), at(100))
}

#[test]
fn a_first_observation_has_defaults() {
    let (incident, guard) = created();
    assert_eq!((incident.title.as_str(), incident.severity, incident.status), ("r1", Severity::Medium, Status::New));
    assert_eq!(incident.triage.map(|triage| triage.status), Some(TriageStatus::Waiting));
    assert_eq!((guard.changed_at, incident.revision), (at(100), 1));
    let resolved = Observation { state: Some(State::Resolved), ..observation() };
    let (incident, _) = Incident::create(resolved, &origin(100), at(100));
    assert_eq!((incident.status, incident.triage), (Status::Resolved, None));
}

#[test]
fn an_older_observation_only_adds_to_the_lists() {
    let (mut incident, mut guard) = created();
    let older = Observation {
        title: Some("old".into()),
        severity: Some(Severity::Low),
        changed_at: Some(at(50)),
        tags: vec!["t".into()],
        ..observation()
    };
    let changes = incident.apply(&mut guard, older, &origin(200), at(200));
    assert_eq!(json!(changes), json!({"tags": ["t"]}));
    assert_eq!((guard.changed_at, incident.revision), (at(100), 2));
}

#[test]
fn an_observation_with_nothing_new_makes_no_revision() {
    let (mut incident, mut guard) = created();
    assert!(incident.apply(&mut guard, observation(), &origin(200), at(200)).is_empty());
    assert_eq!((incident.revision, incident.updated_at), (1, at(100)));
}

#[test]
fn tlp_only_rises_and_the_earliest_time_stays() {
    let (mut incident, mut guard) = created();
    for (tlp, time) in [(Tlp::Amber, 40), (Tlp::Green, 50)] {
        let next = Observation { tlp: Some(tlp), occurred_at: Some(at(time)), ..observation() };
        incident.apply(&mut guard, next, &origin(200), at(200));
    }
    assert_eq!((incident.tlp, incident.occurred_at), (Some(Tlp::Amber), Some(at(40))));
}

#[test]
fn payloads_do_not_change_fields_that_were_set_by_hand() {
    let (mut incident, mut guard) = created();
    let patch = json!({"title": "mine", "description": null, "tags": ["a"], "note": "looked at"});
    let patch: Patch = serde_json::from_value(patch).unwrap();
    let changes = incident.patch(&mut guard, patch, "ann", at(150));
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["notes", "tags", "title"]);
    let later = Observation {
        title: Some("theirs".into()),
        description: Some("theirs".into()),
        tags: vec!["b".into()],
        category: Some("malware".into()),
        ..observation()
    };
    let changes = incident.apply(&mut guard, later, &origin(200), at(200));
    assert_eq!(json!(changes), json!({"category": "malware"}));
}

#[test]
fn null_clears_only_fields_that_can_be_empty() {
    assert!(serde_json::from_value::<Patch>(json!({"title": null})).is_err());
    let patch: Patch = serde_json::from_value(json!({"tlp": null})).unwrap();
    assert_eq!((patch.tlp, patch.category), (Some(None), None));
}

#[test]
fn states_resolve_and_reopen_by_status() {
    let cases = [
        (Status::InProgress, State::Resolved, Status::Resolved),
        (Status::FalsePositive, State::Resolved, Status::FalsePositive),
        (Status::Closed, State::Resolved, Status::Closed),
        (Status::Resolved, State::Open, Status::New),
        (Status::Closed, State::Open, Status::New),
        (Status::FalsePositive, State::Open, Status::FalsePositive),
        (Status::Escalated, State::Open, Status::Escalated),
    ];
    for (before, state, expected) in cases {
        let (mut incident, mut guard) = created();
        incident.status = before;
        let next = Observation { state: Some(state), ..observation() };
        incident.apply(&mut guard, next, &origin(200), at(200));
        assert_eq!(incident.status, expected, "{before} {state:?}");
    }
}

#[test]
fn reopening_has_a_time_limit() {
    let (mut incident, guard) = created();
    incident.status = Status::Resolved;
    let open = Observation { state: Some(State::Open), ..observation() };
    let is_past = |received| incident.is_past_reopening(&guard, &open, &origin(received), 60_000);
    assert!(!is_past(160));
    assert!(is_past(161));
    assert!(!incident.is_past_reopening(&guard, &observation(), &origin(1_000), 60_000));
}

#[test]
fn items_beyond_the_bounds_are_counted() {
    let (mut incident, mut guard) = created();
    let next = Observation { tags: (0..205).map(|tag| tag.to_string()).collect(), ..observation() };
    incident.apply(&mut guard, next, &origin(200), at(200));
    assert_eq!((incident.tags.len(), incident.truncated), (200, 5));
}

#[test]
fn observables_of_one_type_and_value_are_merged() {
    let observable = |message: Option<&str>, tag: &str, ioc| Observable {
        data_type: "ip".into(),
        value: "192.0.2.1".into(),
        message: message.map(str::to_owned),
        tags: vec![tag.into()],
        ioc,
    };
    let (mut incident, mut guard) = created();
    let observables = vec![observable(None, "a", true), observable(Some("m"), "b", false)];
    incident.apply(&mut guard, Observation { observables, ..observation() }, &origin(200), at(200));
    let merged = json!([{"data_type": "ip", "value": "192.0.2.1", "message": "m", "tags": ["a", "b"], "ioc": true}]);
    assert_eq!(json!(incident.observables), merged);
}

#[test]
fn a_playbooks_work_is_recorded_and_its_notes_are_not_repeated() {
    let (mut incident, mut guard) = created();
    let done = Triage { status: TriageStatus::Done, ..Triage::waiting("judge", at(150)) };
    let actions = || vec![Action::SetSeverity(Severity::High), Action::AddNote("n".into())];
    let changes = incident.triage(&mut guard, actions(), done.clone(), false, at(150));
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["notes", "severity", "triage"]);
    assert!(incident.triage(&mut guard, actions(), done.clone(), false, at(160)).is_empty());
    let changes = incident.triage(&mut guard, actions(), done, true, at(170));
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["triage"]);
    assert_eq!((incident.notes.len(), incident.revision), (1, 3));
    assert!(guard.pinned.contains("severity"));
}
