use super::{Guard, Incident, RECORD_BYTES_MAX};
use crate::{
    Action, Difference, Observable, Observation, Origin, Patch, PluginVersion, Severity, ShownIncidentRef, State,
    Status, Tlp, Triage, TriageStatus,
};
use jiff::Timestamp;
use serde_json::json;
use serde_json::value::to_raw_value;
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

fn observable_of(value: &str, label: &str) -> Observable {
    Observable { data_type: "ip".into(), value: value.into(), message: None, tags: vec![label.into()], ioc: false }
}

#[test]
fn a_record_stays_in_its_bounds_whatever_is_reported() {
    let (mut incident, mut guard) = created();
    // Characters that take six bytes in JSON.
    let long = "\u{1}".repeat(200_000);
    for round in 0..20 {
        let name = |index: usize| format!("{round}-{index}");
        let next = Observation {
            description: Some(long.clone()),
            category: Some(long.clone()),
            external_link: Some(long.clone()),
            tags: (0..50).map(|index| name(index) + &"\u{1}".repeat(120)).chain([long.clone()]).collect(),
            observables: (0..100).map(|index| observable_of(&(name(index) + &long[..1_000]), &name(index))).collect(),
            details: (0..60).map(|index| (name(index), json!([long[..2_000], {"a": long[..100]}]))).collect(),
            ..observation()
        };
        let actions = vec![Action::AddNote(name(0) + &long), Action::SetAssignee(long.clone())];
        incident.apply(&mut guard, next, &origin(200), at(200));
        let problems = vec![long.clone(); 100];
        let done = Triage { problems, ..Triage::waiting("judge", at(150)) };
        incident.triage(&mut guard, actions, done, false, at(210));
    }
    let bytes = json!(incident).to_string().len();
    assert!(bytes <= RECORD_BYTES_MAX, "{bytes} bytes");
    assert!(bytes > RECORD_BYTES_MAX / 2, "{bytes} bytes: other groups must not lose their shares");
    assert!(incident.truncated > 1_000, "{}", incident.truncated);
    assert!(!incident.tags.is_empty() && !incident.observables.is_empty() && !incident.notes.is_empty());
}

#[test]
fn details_keep_their_bounds_and_new_values_of_known_names() {
    let (mut incident, mut guard) = created();
    let mut report = |details: serde_json::Value| {
        let details = details.as_object().unwrap().clone().into();
        incident.apply(&mut guard, Observation { details, ..observation() }, &origin(200), at(200));
        incident.clone()
    };
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let stored = report(json!({"deep": deep, "long": "x".repeat(100_000), "x".repeat(300): 1, "": "\0"}));
    assert_eq!(stored.details["deep"], json!(deep.to_string()));
    assert!(stored.details["long"].as_str().unwrap().ends_with("x…"));
    assert_eq!(stored.details.keys().collect::<Vec<_>>(), ["", "deep", "long"]);
    assert_eq!(stored.truncated, 2);
    let many = (0..600).map(|index| (format!("k{index}"), json!(index))).collect::<serde_json::Map<_, _>>();
    let stored = report(json!(many));
    assert_eq!((stored.details.len(), stored.truncated), (500, 2 + 103));
    let stored = report(json!({"deep": "flat", "long": null, "new": 1}));
    assert_eq!([&stored.details["deep"], &stored.details["long"]], [&json!("flat"), &json!(null)]);
    assert_eq!(stored.details.get("new"), None);
}

#[test]
fn labels_of_one_observable_are_bounded() {
    let (mut incident, mut guard) = created();
    for round in 0..10 {
        let observables = (0..10_000).map(|index| observable_of("192.0.2.1", &format!("{round}-{index}"))).collect();
        incident.apply(&mut guard, Observation { observables, ..observation() }, &origin(200), at(200));
    }
    assert_eq!(incident.observables.len(), 1);
    assert_eq!((incident.observables[0].tags.len(), incident.truncated), (50, 100_000 - 50));
}

#[test]
fn an_earlier_state_is_restored_from_its_difference() {
    fn view<'a>(incident: &'a Incident, event_ids: &'a [Uuid], occurrences: u64) -> ShownIncidentRef<'a> {
        ShownIncidentRef { id: Uuid::nil(), number: "INC-2026-0001".into(), incident, occurrences, event_ids }
    }
    let (mut incident, mut guard) = created();
    let reports =
        [json!({"a": 1, "b\"": {"x": [1, "\u{1}"]}}), json!({"a": null, "c": "new"}), json!({"c": "other", "b\"": 2})];
    let mut ids = vec![Uuid::nil(); 3];
    for (round, details) in reports.into_iter().enumerate() {
        let (before, ids_before) = (incident.clone(), ids.clone());
        ids.remove(0);
        ids.push(Uuid::from_u128(round as u128 + 1));
        let next = Observation {
            title: Some(format!("title {round}")),
            tags: vec![format!("t{round}")],
            observables: vec![observable_of("192.0.2.1", &round.to_string()), observable_of(&round.to_string(), "x")],
            details: details.as_object().unwrap().clone().into(),
            ..observation()
        };
        incident.apply(&mut guard, next, &origin(200), at(200 + round as i64));
        let (was, is) = (view(&before, &ids_before, 7), view(&incident, &ids, 8));
        let (later, expected) = (to_raw_value(&is).unwrap(), to_raw_value(&was).unwrap());
        for difference in [was.difference_from(&is).unwrap(), was.whole().unwrap()] {
            let stored = serde_json::to_string(&difference).unwrap();
            let difference: Difference = serde_json::from_str(&stored).unwrap();
            assert_eq!(difference.restore(&later).unwrap().get(), expected.get(), "{stored}");
        }
    }
    // A difference has only the items that changed.
    let (was, later) = (incident.clone(), Observation { tags: vec!["last".into()], ..observation() });
    incident.apply(&mut guard, later, &origin(300), at(300));
    let difference = view(&was, &ids, 1).difference_from(&view(&incident, &ids, 1)).unwrap();
    let expected =
        json!({"revision": {"was": 4}, "tags": {"was": [], "shared": [3, 0]}, "updated_at": {"was": at(202)}});
    assert_eq!(json!(difference), expected);
}
