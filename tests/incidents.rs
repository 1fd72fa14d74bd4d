//! The rules by which payloads and people change incidents: one row per rule.

use crate::guest::guest;
use crate::host::{Folder, Host};
use crate::outcome::{incident, returns};
use reqwest::Method;
use serde_json::{Value, json};

/// One change of the incident under test.
enum Step {
    /// A payload with one incident.
    Payload(Value),
    /// A payload with several incidents of the same source-ref, in this order.
    Payloads(Vec<Value>),
    /// A PATCH.
    Patch(Value),
}
use Step::{Patch, Payload, Payloads};

/// Returns a time in a fixed minute, as vendors write it.
fn at(second: u32) -> String {
    format!("2026-01-01T00:00:{second:02}Z")
}

fn folder(config: &str) -> Folder {
    Folder::new(&format!(
        "{config}
sources:
  lab: {{ scheme: none, plugin: returns, auto_triage: true, playbook: triage,
         severity_mapping: {{ Urgent: critical, low: high }} }}"
    ))
    .with("returns", &guest("returns"))
}

/// Applies the steps to an incident whose source-ref is the rule's name. Then compares the members in `expected` and
/// the operations in the audit trail.
async fn check(host: &Host<'_>, rule: &str, steps: Vec<Step>, expected: Value, operations: &[&str]) {
    let mut id = String::new();
    for step in steps {
        let mut incidents = match step {
            Payload(incident) => vec![incident],
            Payloads(incidents) => incidents,
            Patch(patch) => {
                let answer = host.call(Method::PATCH, &format!("/api/incidents/{id}"), patch.to_string()).await;
                assert_eq!(answer.status, 200, "{rule}: {answer:?}");
                continue;
            }
        };
        incidents.iter_mut().for_each(|incident| incident["source-ref"] = json!(rule));
        let answer = host.post("lab", returns(&json!({"incidents": incidents}))).await;
        assert_eq!(answer.status_word(), "accepted", "{rule}: {answer:?}");
        answer.body["incident_id"].as_str().unwrap().clone_into(&mut id);
    }
    let incident = host.get(&format!("/api/incidents/{id}")).await;
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&incident[name], value, "{rule}: `{name}` of {incident:#}");
    }
    let entries = host.list(&format!("/api/incidents/{id}/audit")).await;
    let found: Vec<&str> = entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(found, operations, "{rule}: {entries:#?}");
    assert_eq!(incident["revision"], operations.len(), "{rule}: an entry for each revision");
    assert_eq!(entries.last().unwrap()["object"]["title"], incident["title"], "{rule}");
}

#[tokio::test]
async fn creation_and_update_follow_the_rules() {
    let folder = folder("");
    let host = folder.start().await;
    let seen = |kind: &str, value: &str| json!({"data-type": kind, "value": value});
    let shown = |kind: &str, value: &str, tags: Value, ioc: bool| json!({"data_type": kind, "value": value, "tags": tags, "ioc": ioc});
    let rules: Vec<(&str, Vec<Step>, Value, &[&str])> = vec![
        (
            "missing fields have defaults",
            vec![Payload(json!({}))],
            json!({"title": "missing fields have defaults", "severity": "medium", "status": "new", "occurrences": 1,
                "description": null, "tlp": null, "assignee": null, "occurred_at": null, "tags": [], "observables": [],
                "notes": [], "truncated": 0, "source": "lab", "playbook": "triage"}),
            &["Creation"],
        ),
        (
            "resolved from the start",
            vec![Payload(json!({"state": "resolved"}))],
            json!({"status": "resolved"}),
            &["Creation"],
        ),
        (
            "every field is stored",
            vec![Payload(json!({
                "title": "T", "description": "D", "category": "C", "severity": "high", "tlp": "amber-strict",
                "occurred-at": "1705320000123", "external-link": "https://edr.example/1", "tags": ["a", "b", "a"],
                "observables": [{"data-type": "ip", "value": "10.0.0.1", "message": "m", "tags": ["t"], "ioc": true}],
                "techniques": [{"id": "T1059.001", "tactic": "TA0002"}, {"id": "T1003"}],
                "details": {"number": "5", "text": "five", "object": "{\"a\": [1]}"},
            }))],
            json!({"title": "T", "description": "D", "category": "C", "severity": "high", "tlp": "amber-strict",
                "occurred_at": "2024-01-15T12:00:00.123Z", "external_link": "https://edr.example/1", "tags": ["a", "b"],
                "observables": [{"data_type": "ip", "value": "10.0.0.1", "message": "m", "tags": ["t"], "ioc": true}],
                "techniques": [{"id": "T1059.001", "tactic": "TA0002"}, {"id": "T1003"}],
                "details": {"number": 5, "text": "five", "object": {"a": [1]}}}),
            &["Creation"],
        ),
        (
            "the newest value wins, key by key",
            vec![
                Payload(
                    json!({"changed-at": at(1), "title": "A", "description": "A", "severity": "high", "category": "A",
                    "external-link": "A", "details": {"x": "1", "y": "1"}}),
                ),
                Payload(json!({"changed-at": at(2), "title": "B", "description": "B", "severity": "informational",
                    "category": "B", "external-link": "B", "details": {"y": "2", "z": "2"}})),
            ],
            json!({"title": "B", "description": "B", "severity": "informational", "category": "B", "external_link": "B",
                "details": {"x": 1, "y": 2, "z": 2}, "occurrences": 2}),
            &["Creation", "Update"],
        ),
        (
            "missing fields must not change",
            vec![
                Payload(
                    json!({"changed-at": at(1), "title": "A", "description": "A", "severity": "high", "tlp": "red"}),
                ),
                Payload(json!({"changed-at": at(2), "category": "B"})),
            ],
            json!({"title": "A", "description": "A", "severity": "high", "tlp": "red", "category": "B"}),
            &["Creation", "Update"],
        ),
        (
            "an older payload only adds",
            vec![
                Payload(json!({"changed-at": at(5), "title": "new", "severity": "high", "tags": ["a"],
                    "observables": [seen("ip", "10.0.0.1")], "techniques": [{"id": "T1"}], "occurred-at": at(3)})),
                Payload(
                    json!({"changed-at": at(4), "title": "old", "severity": "critical", "state": "resolved", "tlp": "red",
                    "category": "old", "details": {"old": "1"}, "occurred-at": at(2), "tags": ["b"],
                    "observables": [seen("ip", "10.0.0.2")], "techniques": [{"id": "T2"}]}),
                ),
            ],
            json!({"title": "new", "severity": "high", "status": "new", "tlp": null, "category": null, "details": {},
                "occurred_at": at(3), "tags": ["a", "b"], "occurrences": 2, "techniques": [{"id": "T1"}, {"id": "T2"}],
                "observables": [shown("ip", "10.0.0.1", json!([]), false), shown("ip", "10.0.0.2", json!([]), false)]}),
            &["Creation", "Update"],
        ),
        (
            "with equal times the later to arrive wins",
            vec![
                Payload(json!({"changed-at": at(1), "title": "A"})),
                Payload(json!({"changed-at": at(1), "title": "B"})),
            ],
            json!({"title": "B"}),
            &["Creation", "Update"],
        ),
        (
            "without changed-at the time of receipt counts",
            vec![
                Payload(json!({"changed-at": at(1), "title": "A"})),
                Payload(json!({"title": "B"})),
                Payload(json!({"changed-at": at(2), "title": "C"})),
            ],
            json!({"title": "B", "occurrences": 3}),
            &["Creation", "Update"],
        ),
        (
            "TLP only rises",
            vec![
                Payload(json!({"tlp": "amber"})),
                Payload(json!({"tlp": "green"})),
                Payload(json!({"tlp": "amber-strict"})),
                Payload(json!({})),
            ],
            json!({"tlp": "amber-strict", "occurrences": 4}),
            &["Creation", "Update"],
        ),
        (
            "occurred-at keeps the earliest time",
            vec![
                Payload(json!({"occurred-at": at(5)})),
                Payload(json!({"occurred-at": at(3)})),
                Payload(json!({"occurred-at": at(9)})),
            ],
            json!({"occurred_at": at(3)}),
            &["Creation", "Update"],
        ),
        (
            "observables are united by type and value",
            vec![
                Payload(
                    json!({"observables": [{"data-type": "ip", "value": "10.0.0.1", "tags": ["a"]}, seen("fqdn", "a.example")],
                    "techniques": [{"id": "T1"}]}),
                ),
                Payload(
                    json!({"observables": [{"data-type": "ip", "value": "10.0.0.1", "tags": ["a", "b"], "ioc": true},
                    seen("domain", "a.example")], "techniques": [{"id": "T1", "tactic": "TA1"}]}),
                ),
            ],
            json!({"observables": [shown("ip", "10.0.0.1", json!(["a", "b"]), true), shown("fqdn", "a.example", json!([]), false),
                shown("domain", "a.example", json!([]), false)], "techniques": [{"id": "T1", "tactic": "TA1"}]}),
            &["Creation", "Update"],
        ),
        (
            "a payload without changes is only counted",
            vec![
                Payload(json!({"title": "A", "tags": ["a"]})),
                Payload(json!({"title": "A", "tags": ["a"]})),
                Payload(json!({})),
            ],
            json!({"occurrences": 3}),
            &["Creation"],
        ),
        (
            "resolved",
            vec![Payload(json!({})), Payload(json!({"state": "resolved"}))],
            json!({"status": "resolved"}),
            &["Creation", "Update"],
        ),
        (
            "resolved and reopened",
            vec![Payload(json!({"state": "resolved"})), Payload(json!({})), Payload(json!({"state": "open"}))],
            json!({"status": "new", "occurrences": 3}),
            &["Creation", "Update"],
        ),
        (
            "open keeps a status set by PATCH",
            vec![Payload(json!({})), Patch(json!({"status": "in_progress"})), Payload(json!({"state": "open"}))],
            json!({"status": "in_progress"}),
            &["Creation", "Update"],
        ),
        (
            "resolved replaces a status set by PATCH",
            vec![Payload(json!({})), Patch(json!({"status": "escalated"})), Payload(json!({"state": "resolved"}))],
            json!({"status": "resolved"}),
            &["Creation", "Update", "Update"],
        ),
        (
            "false positives must not be reopened",
            vec![
                Payload(json!({})),
                Patch(json!({"status": "false_positive"})),
                Payload(json!({"state": "resolved"})),
                Payload(json!({"state": "open"})),
            ],
            json!({"status": "false_positive", "occurrences": 3}),
            &["Creation", "Update"],
        ),
        (
            "closed is not resolved",
            vec![Payload(json!({})), Patch(json!({"status": "closed"})), Payload(json!({"state": "resolved"}))],
            json!({"status": "closed"}),
            &["Creation", "Update"],
        ),
        (
            "closed and reopened",
            vec![Payload(json!({})), Patch(json!({"status": "closed"})), Payload(json!({"state": "open"}))],
            json!({"status": "new"}),
            &["Creation", "Update", "Update"],
        ),
        (
            "payloads keep fields set by PATCH",
            vec![
                Payload(
                    json!({"title": "A", "description": "A", "category": "A", "severity": "low", "tlp": "green", "tags": ["a"]}),
                ),
                Patch(json!({"title": "P", "description": null, "category": "P", "severity": "medium", "tlp": "clear",
                    "tags": ["p"], "assignee": "ann"})),
                Payload(
                    json!({"title": "B", "description": "B", "category": "B", "severity": "critical", "tlp": "red",
                    "tags": ["b"], "external-link": "B"}),
                ),
            ],
            json!({"title": "P", "description": null, "category": "P", "severity": "medium", "tlp": "clear", "tags": ["p"],
                "assignee": "ann", "external_link": "B"}),
            &["Creation", "Update", "Update"],
        ),
        (
            "twice in one payload",
            vec![Payloads(vec![
                json!({"title": "A", "description": "A", "tags": ["a"], "tlp": "red", "occurred-at": at(2), "details": {"x": "1"}}),
                json!({"title": "B", "tags": ["b"], "tlp": "green", "occurred-at": at(3), "details": {"x": "2"}}),
            ])],
            json!({"title": "B", "description": "A", "tags": ["a", "b"], "tlp": "red", "occurred_at": at(2),
                "details": {"x": 2}, "occurrences": 1}),
            &["Creation"],
        ),
        (
            "the vendor severity is mapped",
            vec![Payload(json!({"vendor-severity": "URGENT"}))],
            json!({"severity": "critical"}),
            &["Creation"],
        ),
        ("else the mapper's", vec![Payload(json!({"severity": "low"}))], json!({"severity": "high"}), &["Creation"]),
        (
            "an unmapped vendor severity changes nothing",
            vec![Payload(json!({"vendor-severity": "sev-9", "severity": "low"}))],
            json!({"severity": "low"}),
            &["Creation"],
        ),
        (
            "lists are limited",
            vec![Payload(json!({"tags": (0..205).map(|tag| tag.to_string()).collect::<Vec<_>>(),
                "techniques": (0..103).map(|id| json!({"id": id.to_string()})).collect::<Vec<_>>()}))],
            json!({"truncated": 8, "tags": (0..200).map(|tag| tag.to_string()).collect::<Vec<_>>()}),
            &["Creation"],
        ),
    ];
    for (rule, steps, expected, operations) in rules {
        check(&host, rule, steps, expected, operations).await;
    }
}

#[tokio::test]
async fn reopening_after_the_limit_makes_a_new_incident() {
    let folder = folder("reopen_within: 1ms");
    let host = folder.start().await;
    let post = async |value: Value| host.post("lab", incident(value)).await.body["incidents"][0].clone();
    let first = post(json!({"source-ref": "a", "state": "resolved", "title": "first"})).await;
    let later = crate::host::eventually("it is too late", async || {
        // Within the same millisecond it is reopened.
        let answer = post(json!({"source-ref": "a", "state": "open", "title": "second"})).await;
        if answer["created"] == false {
            post(json!({"source-ref": "a", "state": "resolved"})).await;
        }
        (answer["created"] == true).then_some(answer)
    })
    .await;
    assert_ne!(first["id"], later["id"]);
    let of_first = host.get(&format!("/api/incidents/{}", first["number"].as_str().unwrap())).await;
    assert_eq!(of_first["status"], "resolved");
    // After that, payloads update the new incident, independent of their state.
    assert_eq!(post(json!({"source-ref": "a", "tags": ["x"]})).await["id"], later["id"]);
    assert_eq!(host.list("/api/incidents?source_ref=a").await.len(), 2);
}

/// A replay counts no event twice, also not one that is no longer among the newest events of the incident.
#[tokio::test]
async fn a_replayed_event_is_counted_once() {
    const EVENTS: usize = 105;
    let folder = folder("");
    let host = folder.start().await;
    let mut answers = Vec::new();
    for _ in 0..EVENTS {
        answers.push(host.post("lab", incident(json!({"source-ref": "counted"}))).await);
    }
    let path = format!("/api/incidents/{}", answers[0].body["incident_id"].as_str().unwrap());
    for event in [&answers[0], &answers[EVENTS - 1]] {
        let replayed = host.call(Method::POST, &format!("/api/events/{}/replay", event.event_id()), "").await;
        assert_eq!((replayed.status, replayed.status_word()), (200, "mapped"), "{replayed:?}");
        let shown = host.get(&path).await;
        assert_eq!(shown["occurrences"], EVENTS, "{shown:#}");
        assert_eq!(shown["event_ids"].as_array().unwrap().last().unwrap(), answers[EVENTS - 1].event_id());
    }
}

/// The trail can be read from its end, and shows what one payload changed.
#[tokio::test]
async fn a_trail_is_read_backwards_and_by_its_causes() {
    let folder = folder("");
    let host = folder.start().await;
    let post = async |severity: &str| {
        let said = json!({"source-ref": "often", "severity": severity});
        host.post("lab", returns(&json!({"incidents": [said]}))).await.event_id().to_owned()
    };
    let first = post("low").await;
    let incident = host.get("/api/incidents?source_ref=often").await["data"][0].clone();
    let path = format!("/api/incidents/{}/audit", incident["id"].as_str().unwrap());
    let mut last = String::new();
    for number in 0..40 {
        last = post(["medium", "high"][number % 2]).await;
    }
    let forwards = host.list(&path).await;
    assert_eq!(forwards.len(), 41);
    for limit in [1, 7, 41, 1000] {
        let mut backwards = host.list(&format!("{path}?newest_first=true&limit={limit}")).await;
        backwards.reverse();
        assert!(backwards == forwards, "{limit}");
    }
    assert!(host.list(&format!("{path}?newest_first=false")).await == forwards);
    let both = json!({"ids": [incident["id"]], "numbers": [incident["number"]], "change": {"note": "twice"}});
    let twice = host.call(Method::PATCH, "/api/incidents", both.to_string()).await.request_id;
    let forwards = host.list(&path).await;
    assert_eq!(forwards.len(), 43);
    let caused = async |id: &str| {
        let path = format!("{path}?newest_first=true&caused_by={id}");
        let found = host.list(&path).await;
        for limit in 1..=4 {
            assert!(host.list(&format!("{path}&limit={limit}")).await == found, "{limit}");
        }
        found
    };
    assert!(caused(&last).await == [forwards[40].clone(), forwards[39].clone()]);
    assert!(caused(&first).await == [forwards[0].clone()]);
    assert!(caused(&twice).await == [42, 41, 40].map(|index: usize| forwards[index].clone()));
    assert!(caused("somebody else").await.is_empty());
    for query in ["?caused_by=x", "?newest_first=perhaps"] {
        let refused = host.call(Method::GET, &format!("{path}{query}"), "").await;
        assert_eq!((refused.status, refused.error_code()), (400, "invalid_request"), "{query}");
    }
}
