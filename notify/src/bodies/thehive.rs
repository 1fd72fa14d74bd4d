//! Alerts of TheHive: `InputCreateAlert` and `InputUpdateAlert` of version 5 of its API.

use super::attack::tactic;
use super::data_type::stock_type;
use super::truncate::truncate;
use crate::compare::timestamp_of;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The type of every alert. It never changes, because type, source and source-ref identify an alert.
const TYPE: &str = "hookmill";
const SOURCE_CHARACTERS_MAX: usize = 32;
const SOURCE_REF_CHARACTERS_MAX: usize = 128;
const TITLE_CHARACTERS_MAX: usize = 512;
const DESCRIPTION_CHARACTERS_MAX: usize = 1_048_576;
const TAG_CHARACTERS_MAX: usize = 128;
const LINK_CHARACTERS_MAX: usize = 4_096;
const DATA_TYPE_CHARACTERS_MAX: usize = 64;
const PATTERN_CHARACTERS_MAX: usize = 128;
/// The number of hexadecimal digits of the digest that replaces a cut part.
const DIGEST_CHARACTERS: usize = 16;
/// The type of observables for everything.
const OTHER: &str = "other";
/// Amber: the TLP of incidents without one, and the PAP of all.
const AMBER: u8 = 2;
/// The requests by which an alert follows an update of its incident.
#[derive(Clone, Debug, PartialEq)]
pub struct TheHiveUpdate {
    /// The body of the PATCH: the fields that changed. Empty if no field of the alert changed.
    pub patch: Map<String, Value>,
    /// All observables of the incident, if some were added. They are sent one by one, also those that the alert has.
    pub observables: Vec<Value>,
}

/// The parts of alerts that one TheHive does not know. Alerts are written without them, and nothing of them is lost:
/// observables of these types become `other`, and techniques become tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TheHiveGaps {
    /// The types of observables.
    pub data_types: BTreeSet<String>,
    /// The ids of techniques.
    pub techniques: BTreeSet<String>,
}

/// Returns the alert for a new incident.
pub fn thehive_alert(message: &Value, gaps: &TheHiveGaps) -> Value {
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
        "observables": observables(&object["observables"], tlp(&object["tlp"]), gaps),
    });
    let procedures = date.map_or(Vec::new(), |date| procedures(&object["techniques"], date));
    let is_unknown = |procedure: &Value| gaps.techniques.contains(text(&procedure["patternId"]));
    let (unknown, known): (Vec<_>, Vec<_>) = procedures.into_iter().partition(is_unknown);
    if !unknown.is_empty() {
        let mut all = tags(&object["tags"]);
        add_tags(&mut all, &unknown.into_iter().map(|mut procedure| procedure["patternId"].take()).collect());
        alert["tags"] = json!(all);
    }
    if !known.is_empty() {
        alert["procedures"] = json!(known);
    }
    if let Some(date) = date {
        alert["date"] = json!(date);
    }
    let links = [&object["external_link"], &message["url"]];
    if let Some(link) = links.iter().map(|link| text(link)).find(|link| is_link(link)) {
        alert["externalLink"] = json!(link);
    }
    alert
}

/// Returns the update of an alert for an update of its incident.
pub fn thehive_update(message: &Value, gaps: &TheHiveGaps) -> TheHiveUpdate {
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
    TheHiveUpdate { patch, observables: observables(&changes["observables"], tlp(&object["tlp"]), gaps) }
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
    timestamp_of(value).map(jiff::Timestamp::as_millisecond)
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

/// Shortens a text that is too long; the end is replaced by a digest of the whole, so that different texts stay
/// different and the same text gives the same result.
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

/// Returns the observables, each type and value once: TheHive refuses an alert with repeats. A type that TheHive does
/// not know becomes a tag.
fn observables(list: &Value, tlp: u8, gaps: &TheHiveGaps) -> Vec<Value> {
    struct Merged<'a> {
        data_type: String,
        data: &'a str,
        message: &'a str,
        tags: Vec<String>,
        ioc: bool,
    }
    let mut merged: Vec<Merged> = Vec::new();
    for seen in list.as_array().into_iter().flatten() {
        let mut data_type = truncate(stock_type(text(&seen["data_type"])), DATA_TYPE_CHARACTERS_MAX);
        let (data, message) = (text(&seen["value"]), text(&seen["message"]));
        if data_type.is_empty() || data.is_empty() {
            continue;
        }
        let (ioc, mut tags) = (seen["ioc"].as_bool().unwrap_or_default(), tags(&seen["tags"]));
        if gaps.data_types.contains(&data_type) {
            add_tags(&mut tags, &json!([data_type]));
            data_type = OTHER.to_owned();
        }
        match merged.iter_mut().find(|known| known.data_type == data_type && known.data == data) {
            Some(known) => {
                known.ioc |= ioc;
                known.message = if known.message.is_empty() { message } else { known.message };
                add_tags(&mut known.tags, &json!(tags));
            }
            None => merged.push(Merged { data_type, data, message, tags, ioc }),
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

/// Returns the techniques as procedures. A tactic alone is not a procedure; a tactic without a name in TheHive is left
/// out.
fn procedures(list: &Value, date: i64) -> Vec<Value> {
    let mut procedures: Vec<Value> = Vec::new();
    for technique in list.as_array().into_iter().flatten() {
        let id = text(&technique["id"]);
        let is_known = procedures.iter().any(|known| known["patternId"] == id);
        if id.is_empty() || id.starts_with("TA") || id.chars().count() > PATTERN_CHARACTERS_MAX || is_known {
            continue;
        }
        let mut procedure = json!({"patternId": id, "occurDate": date});
        if let Some((_, name)) = tactic(text(&technique["tactic"])) {
            procedure["tactic"] = json!(name.to_lowercase().replace(' ', "-"));
        }
        procedures.push(procedure);
    }
    procedures
}

#[cfg(test)]
mod tests;
