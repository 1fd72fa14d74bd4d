use super::{TheHiveGaps, TheHiveUpdate};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn thehive_alert(message: &Value) -> Value {
    super::thehive_alert(message, &TheHiveGaps::default())
}

fn thehive_update(message: &Value) -> TheHiveUpdate {
    super::thehive_update(message, &TheHiveGaps::default())
}

#[test]
fn an_incident_becomes_an_alert() {
    let message = json!({"object": {
        "source": "edr", "source_ref": "r1", "title": "T", "description": null, "severity": "informational",
        "tlp": "amber-strict", "occurred_at": null, "created_at": "2026-01-31T08:00:00Z", "tags": ["a", "a", "", "b"],
        "external_link": null, "techniques": [{"id": "T1059.001", "tactic": "TA0002"}, {"id": "TA0001"},
            {"id": "T1059.001"}, {"id": "T1003", "tactic": "Credential Access"}, {"id": "T1", "tactic": "made up"}],
        "observables": [
            {"data_type": "ip", "value": "192.0.2.1", "message": null, "tags": ["x"], "ioc": false},
            {"data_type": "ip", "value": "192.0.2.1", "message": "m", "tags": ["x", "y"], "ioc": true},
            {"data_type": "domain", "value": "192.0.2.1", "tags": [], "ioc": false},
        ],
    }, "url": "https://soc.example/1"});
    let date = 1_769_846_400_000_i64;
    let expected = json!({
        "type": "hookmill", "source": "edr", "sourceRef": "r1", "title": "T", "description": "T", "severity": 1,
        "date": date, "tags": ["a", "b"], "tlp": 3, "pap": 2, "externalLink": "https://soc.example/1",
        "observables": [
            {"dataType": "ip", "data": "192.0.2.1", "message": "m", "tags": ["x", "y"], "ioc": true, "tlp": 3},
            {"dataType": "domain", "data": "192.0.2.1", "tags": [], "ioc": false, "tlp": 3},
        ],
        "procedures": [
            {"patternId": "T1059.001", "occurDate": date, "tactic": "execution"},
            {"patternId": "T1003", "occurDate": date, "tactic": "credential-access"},
            {"patternId": "T1", "occurDate": date},
        ],
    });
    assert_eq!(thehive_alert(&message), expected);
}

#[test]
fn words_become_numbers() {
    let severities = [("informational", 1), ("low", 1), ("medium", 2), ("high", 3), ("critical", 4)];
    for (word, number) in severities {
        assert_eq!(thehive_alert(&json!({"object": {"severity": word}}))["severity"], number, "{word}");
    }
    let tlps = [("clear", 0), ("green", 1), ("amber", 2), ("amber-strict", 3), ("red", 4)];
    for (word, number) in tlps {
        assert_eq!(thehive_alert(&json!({"object": {"tlp": word}}))["tlp"], number, "{word}");
    }
}

#[test]
fn texts_are_cut_to_the_limits_of_thehive() {
    let count = |value: &Value| value.as_str().unwrap().chars().count();
    let references: Vec<String> = (0..50).map(|end| format!("{}{end}", "ä".repeat(200))).collect();
    let mut seen = BTreeSet::new();
    for reference in &references {
        let object = json!({
            "source": reference, "source_ref": reference, "title": reference.repeat(3), "tags": [reference],
            "external_link": format!("https://{}", "a".repeat(4_096)),
            "observables": [{"data_type": reference, "value": "v"}],
        });
        let alert = thehive_alert(&json!({"object": object}));
        assert_eq!((count(&alert["source"]), count(&alert["sourceRef"]), count(&alert["title"])), (32, 128, 512));
        assert_eq!((count(&alert["tags"][0]), count(&alert["observables"][0]["dataType"])), (128, 64));
        assert_eq!(alert.get("externalLink"), None);
        assert_eq!(alert, thehive_alert(&json!({"object": object})));
        seen.insert((alert["source"].to_string(), alert["sourceRef"].to_string()));
    }
    assert_eq!(seen.len(), references.len());
    let empty = thehive_alert(&json!({"object": {}}));
    assert_eq!((&empty["source"], &empty["sourceRef"], &empty["title"]), (&json!("-"), &json!("-"), &json!("-")));
}

#[test]
fn only_what_changed_is_updated() {
    let update = thehive_update(&json!({
        "object": {"title": "T", "tlp": "red", "severity": "high"},
        "details": {"severity": "high", "tags": ["a"], "assignee": "ann", "notes": [], "occurred_at": null,
            "observables": [{"data_type": "ip", "value": "192.0.2.1", "ioc": true}]},
    }));
    assert_eq!(json!(update.patch), json!({"severity": 3, "tags": ["a"]}));
    let observable = json!({"dataType": "ip", "data": "192.0.2.1", "tags": [], "ioc": true, "tlp": 4});
    assert_eq!(update.observables, [observable]);
    let nothing = thehive_update(&json!({"object": {}, "details": {"assignee": "ann"}}));
    assert!(nothing.patch.is_empty() && nothing.observables.is_empty());
}

#[test]
fn types_of_others_become_those_of_thehive() {
    let cases = [("ipv4", "ip"), ("email", "mail"), ("sha256", "hash"), ("user-account", "user-account"), ("ip", "ip")];
    for (data_type, expected) in cases {
        let object = json!({"observables": [{"data_type": data_type, "value": "v"}]});
        assert_eq!(thehive_alert(&json!({"object": object}))["observables"][0]["dataType"], expected, "{data_type}");
    }
}

#[test]
fn parts_that_thehive_does_not_know_are_kept_in_another_form() {
    let observables = json!([
        {"data_type": "ip", "value": "192.0.2.1"},
        {"data_type": "user-account", "value": "CORP\\ann", "tags": ["x"], "ioc": true},
        {"data_type": "other", "value": "CORP\\ann", "message": "m"},
    ]);
    let message = json!({"object": {"created_at": "2026-01-31T08:00:00Z", "tags": ["a"], "observables": observables,
        "techniques": [{"id": "T1059.001"}, {"id": "T1003"}]}, "details": {"observables": observables}});
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let gaps = TheHiveGaps { data_types: names(&["user-account"]), techniques: names(&["T1059.001"]) };
    let alert = super::thehive_alert(&message, &gaps);
    let expected = json!([
        {"dataType": "ip", "data": "192.0.2.1", "tags": [], "ioc": false, "tlp": 2},
        {"dataType": "other", "data": "CORP\\ann", "message": "m", "tags": ["x", "user-account"], "ioc": true, "tlp": 2},
    ]);
    assert_eq!((&alert["observables"], &alert["tags"]), (&expected, &json!(["a", "T1059.001"])));
    assert_eq!(alert["procedures"], json!([{"patternId": "T1003", "occurDate": 1_769_846_400_000_i64}]));
    assert_eq!(json!(super::thehive_update(&message, &gaps).observables), expected);
    let gaps = TheHiveGaps { techniques: names(&["T1059.001", "T1003"]), ..gaps };
    let alert = super::thehive_alert(&message, &gaps);
    assert_eq!((alert.get("procedures"), &alert["tags"]), (None, &json!(["a", "T1059.001", "T1003"])));
}
