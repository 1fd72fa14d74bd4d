//! Destinations with `format: ocsf`, against the published schema.

use crate::guest::{guest, project};
use crate::host::{Folder, eventually};
use crate::json_schema::refusals;
use crate::outcome::{incident, returns};
use crate::receiver::Receiver;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn schema() -> Value {
    let file = project("tests/ocsf/detection_finding-1.8.0.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Returns the expected result of each payload of each bundled mapper, with the mapper's name.
fn outcomes() -> Vec<(String, Value)> {
    let mut outcomes = Vec::new();
    for folder in fs::read_dir(project("plugins")).unwrap().map(|folder| folder.unwrap().path()) {
        let Ok(files) = fs::read_dir(folder.join("payloads")) else { continue };
        for file in files.map(|file| file.unwrap().path()) {
            if file.to_str().unwrap().ends_with(".expected.json") {
                let outcome: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
                outcomes.push((folder.file_name().unwrap().to_str().unwrap().to_owned(), outcome));
            }
        }
    }
    outcomes
}

/// Returns an incident of an expected result with the names of wit/plugin.wit, for `guests/returns.wat`.
fn as_returned(incident: &Value) -> Value {
    let members = incident.as_object().unwrap().iter().map(|(name, value)| {
        let value = match name.as_str() {
            "details" => text_members(value),
            "observables" => value.as_array().unwrap().iter().map(with_dashes).collect(),
            _ => value.clone(),
        };
        (name.replace('_', "-"), value)
    });
    Value::Object(members.collect())
}

fn with_dashes(value: &Value) -> Value {
    let members = value.as_object().unwrap().iter();
    Value::Object(members.map(|(name, value)| (name.replace('_', "-"), value.clone())).collect())
}

fn text_members(details: &Value) -> Value {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let members: Map<String, Value> =
        details.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!(text(value)))).collect();
    Value::Object(members)
}

/// Collects the values in a JSON value that have no further parts.
fn leaves(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|value| leaves(value, found)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, found)),
        Value::Null => {}
        Value::String(text) => drop(found.insert(text.to_lowercase())),
        value => drop(found.insert(value.to_string())),
    }
}

/// Returns the values of an incident that a finding does not have. A time may be in milliseconds.
fn dropped(incident: &Value, finding: &Value) -> Vec<String> {
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    leaves(incident, &mut before);
    leaves(finding, &mut after);
    let is_there = |leaf: &String| {
        let milliseconds = leaf.to_uppercase().parse().map(|time: Timestamp| time.as_millisecond().to_string());
        after.contains(leaf) || milliseconds.is_ok_and(|time| after.contains(&time))
    };
    before.into_iter().filter(|leaf| !is_there(leaf)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_every_mappers_incidents_is_a_valid_finding_and_nothing_is_dropped() {
    let outcomes = outcomes();
    let names: BTreeSet<&String> = outcomes.iter().map(|(name, _)| name).collect();
    let sources: String = names.iter().map(|name| format!("  {name}: {{ scheme: none, plugin: {name} }}\n")).collect();
    let mut folder = Folder::new(&format!(
        "sources:\n{sources}
destinations:
  entries: {{ type: file, path: entries.jsonl }}
  findings: {{ type: file, path: findings.jsonl, format: ocsf }}
notifications:
  - {{ name: all, trigger: any, notify: [{{ to: entries }}, {{ to: findings }}] }}
"
    ));
    for name in &names {
        folder = folder.with(name, &guest("returns"));
    }
    let host = folder.start().await;
    for (name, outcome) in &outcomes {
        let Some(incidents) = outcome["incidents"].as_array().filter(|incidents| !incidents.is_empty()) else {
            continue;
        };
        let incidents: Vec<Value> = incidents.iter().map(as_returned).collect();
        let answer = host.post(name, returns(&json!({"incidents": incidents}))).await;
        assert_eq!(answer.status_word(), "accepted", "{name}: {answer:?}");
    }
    let all = host.list("/api/incidents").await;
    assert!(all.len() > 300, "{}", all.len());
    let changes = [
        json!({"status": "triaged", "assignee": "ann", "note": "seen"}),
        json!({"status": "false_positive", "severity": "informational", "tlp": "red"}),
        json!({"status": "in_progress", "description": null, "tags": ["a", "b"]}),
        json!({"status": "resolved", "note": "done"}),
        json!({"status": "escalated"}),
        json!({"status": "closed"}),
    ];
    for incident in all.iter().step_by(20) {
        let path = format!("/api/incidents/{}", incident["number"].as_str().unwrap());
        for change in &changes {
            assert_eq!(host.call(Method::PATCH, &path, change.to_string()).await.status, 200);
        }
        assert_eq!(host.call(Method::DELETE, &path, "").await.status, 204);
    }
    host.settled("/api/deliveries").await;

    let read = |name: &str| -> Vec<Value> {
        let text = fs::read_to_string(folder.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (entries, findings) = (read("entries.jsonl"), read("findings.jsonl"));
    let mut by_change: BTreeMap<String, &Value> = BTreeMap::new();
    for finding in &findings {
        let other = by_change.insert(finding["metadata"]["uid"].as_str().unwrap().to_owned(), finding);
        assert_eq!(other, None, "each change has its own id");
    }
    assert_eq!(entries.len(), findings.len());
    let (schema, mut faults) = (schema(), Vec::new());
    let (mut activities, mut types) = (BTreeSet::new(), BTreeSet::new());
    for entry in &entries {
        let object = &entry["object"];
        let is_deleted = entry["operation"] == "Delete";
        let change = if is_deleted { "Delete".to_owned() } else { object["revision"].to_string() };
        let finding = by_change[&format!("{}.{change}", entry["objectId"].as_str().unwrap())];
        faults.extend(refusals(&schema, finding));
        faults.extend(dropped(object, finding).into_iter().map(|value| format!("{value} is not in {finding}")));
        activities.insert(finding["activity_id"].as_u64().unwrap());
        let observables = finding["observables"].as_array().into_iter().flatten();
        types.extend(observables.map(|observable| observable["type_id"].as_u64().unwrap()));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
    assert_eq!(activities, [1, 2, 3].into());
    assert!(types.len() > 10, "{types:?}");
}

#[tokio::test]
async fn a_finding_says_what_happened_to_an_incident() {
    let (webhook, http) = (Receiver::start([]).await, Receiver::start([]).await);
    let folder = Folder::new(&format!(
        "public_url: https://hookmill.example
sources: {{ edr: {{ scheme: none, plugin: crowdstrike }}, lab: {{ scheme: none, plugin: returns }} }}
webhooks:
  siem: {{ url: \"{}\", format: ocsf, allow_networks: [127.0.0.0/8] }}
destinations:
  lake: {{ type: http, method: PUT, url: \"{}\", format: ocsf, allow_networks: [127.0.0.0/8] }}
notifications:
  - {{ name: all, trigger: any, notify: [{{ to: lake }}, {{ to: lake, body: '{{{{json object.title}}}}' }}] }}
",
        webhook.url, http.url
    ))
    .with("crowdstrike", &guest("returns"))
    .with("returns", &guest("returns"));
    let host = folder.start().await;
    let reported = json!({
        "source-ref": "ldt:1", "title": "Credential theft", "description": "LSASS was read", "category": "Theft",
        "severity": "high", "tlp": "amber", "occurred-at": "2026-01-02T03:04:05.678901Z", "external-link": "https://edr.example/1",
        "tags": ["lsass"],
        "observables": [
            {"data-type": "ip", "value": "192.0.2.7"},
            {"data-type": "sha256", "value": "ab".repeat(32), "message": "the tool", "ioc": true},
            {"data-type": "ticket", "value": "T-1"},
        ],
        "techniques": [{"id": "T1003.001", "tactic": "CredentialAccess"}, {"id": "T1059", "tactic": "TA0002"}, {"id": "TA0001"}],
        "details": {"device": "{\"id\": 7}"},
    });
    let answer = host.post("edr", incident(reported)).await;
    let (id, number) = (&answer.body["incident_id"], answer.body["incident_number"].as_str().unwrap());
    let path = format!("/api/incidents/{number}");
    webhook.wait_for(1).await;
    let change = r#"{"status": "false_positive", "assignee": "ann"}"#;
    let patched = host.call(Method::PATCH, &path, change).await.body;
    webhook.wait_for(2).await;
    host.call(Method::DELETE, &path, "").await;
    let received = webhook.wait_for(3).await;
    let [created, closed, deleted] = [0, 1, 2].map(|index| &received[index].body);

    let schema = schema();
    for finding in [created, closed, deleted] {
        assert_eq!(refusals(&schema, finding), [""; 0]);
        assert_eq!((&finding["class_uid"], &finding["metadata"]["version"]), (&json!(2004), &json!("1.8.0")));
        assert_eq!(&finding["metadata"]["correlation_uid"], id);
        assert_eq!(finding["metadata"]["product"], json!({"name": "CrowdStrike Falcon", "vendor_name": "CrowdStrike"}));
    }
    let damages: [(&str, Value); 6] = [
        ("/time", json!("2026-01-02")),
        ("/severity_id", json!(7)),
        ("/finding_info", json!({"title": "no id"})),
        ("/metadata/product", json!({"vendor_name": "no name"})),
        ("/observables/0", json!({"name": "no type"})),
        ("/finding_info/attacks/0", json!({"technique": {"uid": "T1"}, "more": 1})),
    ];
    for (pointer, value) in damages {
        let mut damaged = created.clone();
        *damaged.pointer_mut(pointer).unwrap() = value;
        assert_eq!(refusals(&schema, &damaged).len(), 1, "{damaged}");
    }
    let milliseconds = |name: &str| patched[name].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond();
    let mut info = created["finding_info"].clone();
    for time in ["created_time", "modified_time", "last_seen_time"] {
        assert!(info[time].as_i64().unwrap().abs_diff(milliseconds("created_at")) < 60_000, "{time}: {info}");
        info.as_object_mut().unwrap().remove(time);
    }
    let expected = json!({
        "uid": "ldt:1", "uid_alt": number, "title": "Credential theft", "desc": "LSASS was read", "types": ["Theft"],
        "src_url": "https://edr.example/1", "first_seen_time": 1_767_323_045_678_i64,
        "attacks": [
            {"technique": {"uid": "T1003"}, "sub_technique": {"uid": "T1003.001"},
                "tactic": {"uid": "TA0006", "name": "Credential Access"}},
            {"technique": {"uid": "T1059"}, "tactic": {"uid": "TA0002", "name": "Execution"}},
            {"tactic": {"uid": "TA0001", "name": "Initial Access"}},
        ],
    });
    assert_eq!(info, expected);
    let expected = json!([
        {"name": "ip", "type": "IP Address", "type_id": 2, "value": "192.0.2.7"},
        {"name": "sha256", "type": "Hash", "type_id": 8, "value": "ab".repeat(32)},
        {"name": "ticket", "type": "ticket", "type_id": 99, "value": "T-1"},
    ]);
    assert_eq!(created["observables"], expected);
    let unmapped = &created["unmapped"];
    assert_eq!(unmapped["details"], json!({"device": {"id": 7}}));
    assert_eq!(unmapped["observables"][0]["message"], "the tool", "what OCSF has no place for");
    assert_eq!(unmapped["observables"].as_array().unwrap().len(), 1);
    assert_eq!(unmapped["occurred_at"], "2026-01-02T03:04:05.678901Z", "microseconds");
    assert_eq!(unmapped["techniques"], json!([{"id": "T1003.001", "tactic": "CredentialAccess"}]), "another spelling");
    assert_eq!((&unmapped["tlp"], &unmapped["status"]), (&json!("amber"), &json!("new")));
    assert_eq!(unmapped["audit"]["requestId"], answer.event_id());
    assert_eq!(created["src_url"], format!("https://hookmill.example/api/incidents/{number}"));

    let state = |finding: &Value| {
        ["activity_name", "type_uid", "status", "severity_id", "is_alert"].map(|name| finding[name].clone())
    };
    assert_eq!(json!(state(created)), json!(["Create", 200_401, "New", 4, true]));
    assert_eq!(json!(state(closed)), json!(["Close", 200_403, "Suppressed", 4, false]));
    assert_eq!(json!(state(deleted)), json!(["Close", 200_403, "Deleted", 4, false]));
    assert_eq!((&closed["verdict"], &closed["assignee"]), (&json!("False Positive"), &json!({"name": "ann"})));
    assert_eq!(closed["unmapped"]["changes"], json!({"status": "false_positive", "assignee": "ann"}));

    // A step's own body replaces the format, and a mapper that is not bundled has its source as product.
    host.post("lab", incident(json!({"source-ref": "b"}))).await;
    let other = &webhook.wait_for(4).await[3].body;
    assert_eq!(other["metadata"]["product"], json!({"name": "lab"}));
    eventually("both steps of both incidents", async || (http.received().len() == 8).then_some(())).await;
    let requests = http.received();
    let bodies: Vec<&Value> = requests.iter().map(|request| &request.body).collect();
    for finding in [created, closed, deleted, other] {
        assert!(bodies.contains(&finding), "{finding}");
    }
    assert_eq!(bodies.iter().filter(|body| body.is_string()).count(), 4);
}
