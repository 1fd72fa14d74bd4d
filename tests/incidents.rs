//! How payloads and people change incidents: a row for each rule.

use crate::guest::guest;
use crate::host::{Folder, Host};
use crate::outcome::{incident, returns};
use reqwest::Method;
use serde_json::{Value, json};

/// One change of the incident under test.
enum Step {
    /// A payload says this of it.
    Says(Value),
    /// One payload says these of it, in this order.
    SaysAll(Vec<Value>),
    /// Somebody changes it.
    Patch(Value),
}
use Step::{Patch, Says, SaysAll};

/// Second `n` of a day, as vendors write it.
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

/// Takes the steps on an incident whose source-ref is the rule's name, and compares what is there afterwards: the
/// members that `expected` has, and the operations in the audit trail.
async fn check(host: &Host<'_>, rule: &str, steps: Vec<Step>, expected: Value, operations: &[&str]) {
    let mut id = String::new();
    for step in steps {
        let mut said = match step {
            Says(said) => vec![said],
            SaysAll(said) => said,
            Patch(patch) => {
                let answer = host.call(Method::PATCH, &format!("/api/incidents/{id}"), patch.to_string()).await;
                assert_eq!(answer.status, 200, "{rule}: {answer:?}");
                continue;
            }
        };
        said.iter_mut().for_each(|said| said["source-ref"] = json!(rule));
        let answer = host.post("lab", returns(&json!({"incidents": said}))).await;
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
async fn rules_of_creation_and_update() {
    let folder = folder("");
    let host = folder.start().await;
    let seen = |kind: &str, value: &str| json!({"data-type": kind, "value": value});
    let shown = |kind: &str, value: &str, tags: Value, ioc: bool| json!({"data_type": kind, "value": value, "tags": tags, "ioc": ioc});
    let rules: Vec<(&str, Vec<Step>, Value, &[&str])> = vec![
        (
            "what is not said has a default",
            vec![Says(json!({}))],
            json!({"title": "what is not said has a default", "severity": "medium", "status": "new", "occurrences": 1,
                "description": null, "tlp": null, "assignee": null, "occurred_at": null, "tags": [], "observables": [],
                "notes": [], "truncated": 0, "source": "lab", "playbook": "triage"}),
            &["Creation"],
        ),
        (
            "resolved from the start",
            vec![Says(json!({"state": "resolved"}))],
            json!({"status": "resolved"}),
            &["Creation"],
        ),
        (
            "everything that is said is kept",
            vec![Says(json!({
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
            "the newest word wins, key by key",
            vec![
                Says(
                    json!({"changed-at": at(1), "title": "A", "description": "A", "severity": "high", "category": "A",
                    "external-link": "A", "details": {"x": "1", "y": "1"}}),
                ),
                Says(json!({"changed-at": at(2), "title": "B", "description": "B", "severity": "informational",
                    "category": "B", "external-link": "B", "details": {"y": "2", "z": "2"}})),
            ],
            json!({"title": "B", "description": "B", "severity": "informational", "category": "B", "external_link": "B",
                "details": {"x": 1, "y": 2, "z": 2}, "occurrences": 2}),
            &["Creation", "Update"],
        ),
        (
            "what is not said stays",
            vec![
                Says(json!({"changed-at": at(1), "title": "A", "description": "A", "severity": "high", "tlp": "red"})),
                Says(json!({"changed-at": at(2), "category": "B"})),
            ],
            json!({"title": "A", "description": "A", "severity": "high", "tlp": "red", "category": "B"}),
            &["Creation", "Update"],
        ),
        (
            "an older word only adds",
            vec![
                Says(json!({"changed-at": at(5), "title": "new", "severity": "high", "tags": ["a"],
                    "observables": [seen("ip", "10.0.0.1")], "techniques": [{"id": "T1"}], "occurred-at": at(3)})),
                Says(
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
            "at the same time the later to come wins",
            vec![Says(json!({"changed-at": at(1), "title": "A"})), Says(json!({"changed-at": at(1), "title": "B"}))],
            json!({"title": "B"}),
            &["Creation", "Update"],
        ),
        (
            "without a time of its own a word is as old as its receipt",
            vec![
                Says(json!({"changed-at": at(1), "title": "A"})),
                Says(json!({"title": "B"})),
                Says(json!({"changed-at": at(2), "title": "C"})),
            ],
            json!({"title": "B", "occurrences": 3}),
            &["Creation", "Update"],
        ),
        (
            "TLP only rises",
            vec![
                Says(json!({"tlp": "amber"})),
                Says(json!({"tlp": "green"})),
                Says(json!({"tlp": "amber-strict"})),
                Says(json!({})),
            ],
            json!({"tlp": "amber-strict", "occurrences": 4}),
            &["Creation", "Update"],
        ),
        (
            "it happened when it first happened",
            vec![
                Says(json!({"occurred-at": at(5)})),
                Says(json!({"occurred-at": at(3)})),
                Says(json!({"occurred-at": at(9)})),
            ],
            json!({"occurred_at": at(3)}),
            &["Creation", "Update"],
        ),
        (
            "what is seen again is united by type and value",
            vec![
                Says(
                    json!({"observables": [{"data-type": "ip", "value": "10.0.0.1", "tags": ["a"]}, seen("fqdn", "a.example")],
                    "techniques": [{"id": "T1"}]}),
                ),
                Says(json!({"observables": [{"data-type": "ip", "value": "10.0.0.1", "tags": ["a", "b"], "ioc": true},
                    seen("domain", "a.example")], "techniques": [{"id": "T1", "tactic": "TA1"}]})),
            ],
            json!({"observables": [shown("ip", "10.0.0.1", json!(["a", "b"]), true), shown("fqdn", "a.example", json!([]), false),
                shown("domain", "a.example", json!([]), false)], "techniques": [{"id": "T1", "tactic": "TA1"}]}),
            &["Creation", "Update"],
        ),
        (
            "a word that changes nothing is only counted",
            vec![
                Says(json!({"title": "A", "tags": ["a"]})),
                Says(json!({"title": "A", "tags": ["a"]})),
                Says(json!({})),
            ],
            json!({"occurrences": 3}),
            &["Creation"],
        ),
        (
            "resolved",
            vec![Says(json!({})), Says(json!({"state": "resolved"}))],
            json!({"status": "resolved"}),
            &["Creation", "Update"],
        ),
        (
            "resolved and open again",
            vec![Says(json!({"state": "resolved"})), Says(json!({})), Says(json!({"state": "open"}))],
            json!({"status": "new", "occurrences": 3}),
            &["Creation", "Update"],
        ),
        (
            "open does not undo somebody's work",
            vec![Says(json!({})), Patch(json!({"status": "in_progress"})), Says(json!({"state": "open"}))],
            json!({"status": "in_progress"}),
            &["Creation", "Update"],
        ),
        (
            "resolved ends somebody's work",
            vec![Says(json!({})), Patch(json!({"status": "escalated"})), Says(json!({"state": "resolved"}))],
            json!({"status": "resolved"}),
            &["Creation", "Update", "Update"],
        ),
        (
            "false positives stay",
            vec![
                Says(json!({})),
                Patch(json!({"status": "false_positive"})),
                Says(json!({"state": "resolved"})),
                Says(json!({"state": "open"})),
            ],
            json!({"status": "false_positive", "occurrences": 3}),
            &["Creation", "Update"],
        ),
        (
            "closed is not resolved",
            vec![Says(json!({})), Patch(json!({"status": "closed"})), Says(json!({"state": "resolved"}))],
            json!({"status": "closed"}),
            &["Creation", "Update"],
        ),
        (
            "closed and open again",
            vec![Says(json!({})), Patch(json!({"status": "closed"})), Says(json!({"state": "open"}))],
            json!({"status": "new"}),
            &["Creation", "Update", "Update"],
        ),
        (
            "what somebody set is theirs",
            vec![
                Says(
                    json!({"title": "A", "description": "A", "category": "A", "severity": "low", "tlp": "green", "tags": ["a"]}),
                ),
                Patch(json!({"title": "P", "description": null, "category": "P", "severity": "medium", "tlp": "clear",
                    "tags": ["p"], "assignee": "ann"})),
                Says(json!({"title": "B", "description": "B", "category": "B", "severity": "critical", "tlp": "red",
                    "tags": ["b"], "external-link": "B"})),
            ],
            json!({"title": "P", "description": null, "category": "P", "severity": "medium", "tlp": "clear", "tags": ["p"],
                "assignee": "ann", "external_link": "B"}),
            &["Creation", "Update", "Update"],
        ),
        (
            "said twice in one payload",
            vec![SaysAll(vec![
                json!({"title": "A", "description": "A", "tags": ["a"], "tlp": "red", "occurred-at": at(2), "details": {"x": "1"}}),
                json!({"title": "B", "tags": ["b"], "tlp": "green", "occurred-at": at(3), "details": {"x": "2"}}),
            ])],
            json!({"title": "B", "description": "A", "tags": ["a", "b"], "tlp": "red", "occurred_at": at(2),
                "details": {"x": 2}, "occurrences": 1}),
            &["Creation"],
        ),
        (
            "the vendor's word is mapped",
            vec![Says(json!({"vendor-severity": "URGENT"}))],
            json!({"severity": "critical"}),
            &["Creation"],
        ),
        ("else the mapper's", vec![Says(json!({"severity": "low"}))], json!({"severity": "high"}), &["Creation"]),
        (
            "a word that is not mapped changes nothing",
            vec![Says(json!({"vendor-severity": "sev-9", "severity": "low"}))],
            json!({"severity": "low"}),
            &["Creation"],
        ),
        (
            "lists have an end",
            vec![Says(json!({"tags": (0..205).map(|tag| tag.to_string()).collect::<Vec<_>>(),
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
async fn what_is_open_again_too_late_is_another_incident() {
    let folder = folder("reopen_within: 1ms");
    let host = folder.start().await;
    let say = async |said: Value| host.post("lab", incident(said)).await.body["incidents"][0].clone();
    let first = say(json!({"source-ref": "a", "state": "resolved", "title": "first"})).await;
    let later = crate::host::eventually("it is too late", async || {
        // Within the same millisecond it is not.
        let answer = say(json!({"source-ref": "a", "state": "open", "title": "second"})).await;
        if answer["created"] == false {
            say(json!({"source-ref": "a", "state": "resolved"})).await;
        }
        (answer["created"] == true).then_some(answer)
    })
    .await;
    assert_ne!(first["id"], later["id"]);
    let of_first = host.get(&format!("/api/incidents/{}", first["number"].as_str().unwrap())).await;
    assert_eq!(of_first["status"], "resolved");
    // From then on the payloads speak of the new one, whatever they say of its state.
    assert_eq!(say(json!({"source-ref": "a", "tags": ["x"]})).await["id"], later["id"]);
    assert_eq!(host.list("/api/incidents?source_ref=a").await.len(), 2);
}
