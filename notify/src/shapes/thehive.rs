//! TheHive's alerts (`InputCreateAlert` of its API, version 5).

use super::truncate;
use crate::filter::instant;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Of every alert: with source and source-ref it makes an alert the same one, so that it never changes.
const TYPE: &str = "hookmill";
const SOURCE_CHARACTERS_MAX: usize = 32;
const SOURCE_REF_CHARACTERS_MAX: usize = 128;
const TITLE_CHARACTERS_MAX: usize = 512;
const DESCRIPTION_CHARACTERS_MAX: usize = 1_048_576;
const TAG_CHARACTERS_MAX: usize = 128;
const LINK_CHARACTERS_MAX: usize = 4_096;
const DATA_TYPE_CHARACTERS_MAX: usize = 64;
const PATTERN_CHARACTERS_MAX: usize = 128;
/// Hexadecimal digits of a digest that stands for what was cut.
const DIGEST_CHARACTERS: usize = 16;
/// Amber, for TLP when nothing is said, and for PAP.
const AMBER: u8 = 2;
/// The tactics of MITRE ATT&CK, by the names that TheHive has for them.
const TACTICS: [(&str, &str); 14] = [
    ("TA0043", "reconnaissance"),
    ("TA0042", "resource-development"),
    ("TA0001", "initial-access"),
    ("TA0002", "execution"),
    ("TA0003", "persistence"),
    ("TA0004", "privilege-escalation"),
    ("TA0005", "defense-evasion"),
    ("TA0006", "credential-access"),
    ("TA0007", "discovery"),
    ("TA0008", "lateral-movement"),
    ("TA0009", "collection"),
    ("TA0011", "command-and-control"),
    ("TA0010", "exfiltration"),
    ("TA0040", "impact"),
];

/// What an update of an incident asks of the alert that stands for it.
#[derive(Clone, Debug, PartialEq)]
pub struct TheHiveUpdate {
    /// The body of the PATCH: only what changed. Empty when nothing did that an alert has.
    pub patch: Map<String, Value>,
    /// The observables of the incident when some were added; to be sent on their own, those that the alert has too.
    pub observables: Vec<Value>,
}

/// The alert that an incident makes.
pub fn thehive_alert(message: &Value) -> Value {
    let object = &message["object"];
    let date = ["occurred_at", "created_at"].iter().find_map(|name| milliseconds(&object[*name]));
    let title = text(&object["title"]);
    let description = Some(text(&object["description"])).filter(|text| !text.is_empty()).unwrap_or(title);
    let mut alert = json!({
        "type": TYPE,
        "source": fit(text(&object["source"]), SOURCE_CHARACTERS_MAX),
        "sourceRef": fit(text(&object["source_ref"]), SOURCE_REF_CHARACTERS_MAX),
        "title": or_dash(&truncate(title, TITLE_CHARACTERS_MAX)),
        "description": truncate(description, DESCRIPTION_CHARACTERS_MAX),
        "severity": severity(&object["severity"]),
        "tags": tags(&object["tags"]),
        "tlp": tlp(&object["tlp"]),
        "pap": AMBER,
        "observables": observables(&object["observables"], tlp(&object["tlp"])),
        "procedures": date.map_or(Vec::new(), |date| procedures(&object["techniques"], date)),
    });
    if let Some(date) = date {
        alert["date"] = json!(date);
    }
    let links = [&object["external_link"], &message["url"]];
    if let Some(link) = links.iter().map(|link| text(link)).find(|link| is_link(link)) {
        alert["externalLink"] = json!(link);
    }
    alert
}

/// What changed of an alert when its incident did.
pub fn thehive_update(message: &Value) -> TheHiveUpdate {
    let (object, changes) = (&message["object"], &message["details"]);
    let mut patch = Map::new();
    for (name, value) in changes.as_object().into_iter().flatten() {
        let (name, value) = match name.as_str() {
            "title" => ("title", json!(or_dash(&truncate(text(value), TITLE_CHARACTERS_MAX)))),
            "description" => ("description", json!(truncate(text(value), DESCRIPTION_CHARACTERS_MAX))),
            "severity" => ("severity", json!(severity(value))),
            "tlp" => ("tlp", json!(tlp(value))),
            "tags" => ("tags", json!(tags(value))),
            "external_link" if is_link(text(value)) => ("externalLink", value.clone()),
            "occurred_at" => match milliseconds(value) {
                Some(date) => ("date", json!(date)),
                None => continue,
            },
            _ => continue,
        };
        patch.insert(name.to_owned(), value);
    }
    TheHiveUpdate { patch, observables: observables(&changes["observables"], tlp(&object["tlp"])) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn is_link(link: &str) -> bool {
    (1..=LINK_CHARACTERS_MAX).contains(&link.chars().count())
}

fn milliseconds(value: &Value) -> Option<i64> {
    instant(value).map(jiff::Timestamp::as_millisecond)
}

fn severity(word: &Value) -> u8 {
    match text(word) {
        "informational" | "low" => 1,
        "high" => 3,
        "critical" => 4,
        _ => 2,
    }
}

fn tlp(word: &Value) -> u8 {
    match text(word) {
        "clear" => 0,
        "green" => 1,
        "amber-strict" => 3,
        "red" => 4,
        _ => AMBER,
    }
}

/// What is too long ends in a digest of the whole, so that different ones stay different and one stays the same.
fn fit(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return or_dash(text).to_owned();
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let kept = text.chars().take(max - DIGEST_CHARACTERS - 1);
    kept.chain(['-']).chain(digest.chars().take(DIGEST_CHARACTERS)).collect()
}

fn tags(list: &Value) -> Vec<String> {
    let mut tags = Vec::new();
    add_tags(&mut tags, list);
    tags
}

fn add_tags(tags: &mut Vec<String>, list: &Value) {
    for tag in list.as_array().into_iter().flatten() {
        let tag = truncate(text(tag), TAG_CHARACTERS_MAX);
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
}

/// Each value of a type once: TheHive refuses an alert that has one twice.
fn observables(list: &Value, tlp: u8) -> Vec<Value> {
    struct Merged<'a> {
        data_type: String,
        data: &'a str,
        message: &'a str,
        tags: Vec<String>,
        ioc: bool,
    }
    let mut merged: Vec<Merged> = Vec::new();
    for seen in list.as_array().into_iter().flatten() {
        let data_type = truncate(text(&seen["data_type"]), DATA_TYPE_CHARACTERS_MAX);
        let (data, message) = (text(&seen["value"]), text(&seen["message"]));
        if data_type.is_empty() || data.is_empty() {
            continue;
        }
        let ioc = seen["ioc"].as_bool().unwrap_or_default();
        match merged.iter_mut().find(|known| known.data_type == data_type && known.data == data) {
            Some(known) => {
                known.ioc |= ioc;
                known.message = if known.message.is_empty() { message } else { known.message };
                add_tags(&mut known.tags, &seen["tags"]);
            }
            None => merged.push(Merged { data_type, data, message, tags: tags(&seen["tags"]), ioc }),
        }
    }
    let shown = merged.into_iter().map(|observable| {
        let Merged { data_type, data, message, tags, ioc } = observable;
        let mut shown = json!({"dataType": data_type, "data": data, "tags": tags, "ioc": ioc, "tlp": tlp});
        if !message.is_empty() {
            shown["message"] = json!(message);
        }
        shown
    });
    shown.collect()
}

/// Techniques; a tactic alone is no procedure, and one that TheHive has no name for is left out.
fn procedures(list: &Value, date: i64) -> Vec<Value> {
    let mut procedures: Vec<Value> = Vec::new();
    for technique in list.as_array().into_iter().flatten() {
        let id = text(&technique["id"]);
        let is_known = procedures.iter().any(|known| known["patternId"] == id);
        if id.is_empty() || id.starts_with("TA") || id.chars().count() > PATTERN_CHARACTERS_MAX || is_known {
            continue;
        }
        let mut procedure = json!({"patternId": id, "occurDate": date});
        let tactic = text(&technique["tactic"]);
        let name = tactic.to_lowercase().replace([' ', '_'], "-");
        if let Some((_, name)) = TACTICS.iter().find(|(id, known)| *id == tactic || *known == name) {
            procedure["tactic"] = json!(name);
        }
        procedures.push(procedure);
    }
    procedures
}

#[cfg(test)]
mod tests {
    use super::{thehive_alert, thehive_update};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    #[test]
    fn an_incident_as_an_alert() {
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
    fn words_as_numbers() {
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
    fn lengths_are_those_that_are_taken() {
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
}
