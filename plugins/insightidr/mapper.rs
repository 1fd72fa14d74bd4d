//! Rapid7 InsightIDR: investigations of the API versions 1 and 2, and alerts.

use hookmill_sdk::attack::tactic_id;
use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, State, Text, file_name, has_objects,
    json, map_list,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an investigation of InsightIDR with `rrn` or `id`, or an alert with `alerted_at`, alone or in \
                        `data` or `alerts`";

/// The keys of an alert with observables, by the last part of their name. Detection rules name theirs after the event,
/// such as `process.exe_file.hashes.sha256`.
const KEYS: [(&str, &[&str]); 6] = [
    ("ip", &["source_ip", "destination_ip", "source_address", "destination_address", "ip", "asset_ip"]),
    ("hostname", &["hostname", "r7_hostname", "asset", "source_asset", "destination_asset", "asset_name"]),
    ("hash", &["md5", "sha1", "sha256", "hash"]),
    ("domain", &["domain_name", "top_private_domain", "dns_query"]),
    ("url", &["url"]),
    ("user-agent", &["user_agent"]),
];
const USERS: [&str; 8] = [
    "account",
    "user",
    "username",
    "source_account",
    "source_user",
    "destination_account",
    "destination_user",
    "target_account",
];
/// The lists of what an alert was about.
const KEY_LISTS: [&str; 2] = ["rule_keys_of_interest", "rule_matching_keys"];
const FILES: [&str; 4] = ["exe_path", "file_name", "file_path", "image_path"];

/// The fields of an investigation's alert that an analyst reads.
const ALERT: [&str; 6] =
    ["title", "alert_type", "alert_source", "detection_rule_rrn.rule_name", "first_event_time", "id"];

struct InsightIdr;

/// The alerts of an investigation.
#[derive(Deserialize)]
struct Alerts<'a> {
    #[serde(borrow)]
    alerts: List<Keys<'a>>,
}

/// What an alert was about: keys with their values.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, rename = "rule_keys_of_interest")]
    interesting: List<Key<'a>>,
    #[serde(rename = "rule_matching_keys")]
    matching: List<Key<'a>>,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    values: List<Text<'a>>,
}

/// An answer of the API or one item.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    alerts: Option<&'a RawValue>,
    /// Only an item has an id. Its `alerts` belong to it.
    rrn: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
}

impl Mapper for InsightIdr {
    fn describe() -> Description {
        hookmill_sdk::description!("Rapid7 InsightIDR", "Investigations and alerts of InsightIDR")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        let is_item = answer.rrn.is_some() || answer.id.is_some();
        let lists = [answer.data, answer.alerts].into_iter().flatten().filter(|_| !is_item);
        if let Some(list) = lists.into_iter().find(|list| has_objects(list)) {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(incident(item)?);
                Ok(())
            });
        }
        Ok(incident(event.json(EXPECTED)?)?.into())
    }
}

fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

fn incident(raw: &RawValue) -> Result<Incident, MappingError> {
    let item: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let is_alert = item.has_any(&["alerted_at", "rule_keys_of_interest.key"])
        || (item.has("alert_type") && item.has_any(&["alert_type_description", "first_event_time"]));
    // Comments and attachments have an `rrn` and a time too.
    let is_investigation = (item.has("rrn")
        && item.has_any(&["title", "status", "priority"])
        && item.has_any(&["first_alert_time", "organization_id", "created_time"]))
        || (item.has("created_time")
            && item.has_any(&["source", "alerts.type"])
            && item.has_any(&["assignee.email", "alerts.type"]));
    let mut incident = match (is_alert, is_investigation) {
        (true, _) => alert(&item, raw)?,
        (_, true) => investigation(&item, raw)?,
        _ => return Err(unsupported()),
    };
    incident.set_title(item.first(&["title", "alert_type"]));
    let priority = item.first(&["priority"]).filter(|priority| !priority.eq_ignore_ascii_case("unspecified"));
    incident.set_severity(priority);
    incident.state = match item.first(&["status"]).map(str::to_ascii_uppercase).as_deref() {
        Some("CLOSED") => Some(State::Resolved),
        Some("OPEN" | "INVESTIGATING" | "WAITING") => Some(State::Open),
        _ => None,
    };
    incident.detail("status", item.first(&["status"]));
    item.all("tags").chain(item.all("tags.name")).for_each(|tag| incident.tag(tag));
    // A look at an investigation is not a change.
    item.first(&["last_accessed"]);
    incident.keep_unread(&item, "");
    Ok(incident)
}

fn investigation(item: &Fields, raw: &RawValue) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(id(item)?);
    let types = item.first(&["alerts.type_description", "alerts.alert_type_description"]);
    incident.description = types.map(str::to_owned);
    incident.category = item.first(&["alerts.type", "alerts.alert_type"]).map(str::to_owned);
    let first_event = item.all("alerts.first_event_time").min().and_then(hookmill_sdk::timestamp);
    incident.occurred_at = item.time(&["first_alert_time"]).or(first_event).or_else(|| item.time(&["created_time"]));
    incident.changed_at = item.time(&["latest_alert_time"]);
    observe_asset(&mut incident, item);
    add_alerts(&mut incident, item, raw);
    Ok(incident)
}

/// Adds the asset of a title: `Process reported as malicious ran on asset srv-1.example.com`. No other field has it.
fn observe_asset(incident: &mut Incident, item: &Fields) {
    let asset = item.all("title").next().and_then(|title| title.split_once("on asset ")).map(|(_, asset)| asset);
    incident.observe_host(asset, "title");
}

/// Adds the alerts of an investigation, as the host requests them: what each one says in one detail, their techniques and
/// what they were about.
fn add_alerts(incident: &mut Incident, item: &Fields, raw: &RawValue) {
    let alerts = item.objects("alerts");
    for alert in &alerts {
        observe_asset(incident, alert);
        add_attack(incident, alert);
    }
    if let Some(of_alerts) = json::<Alerts>(raw.get()).filter(|_| !alerts.is_empty()) {
        of_alerts.alerts.iter().for_each(|keys| observe_keys(incident, keys));
    }
    // Alerts of version 1 have a type only.
    if item.has("alerts.id") {
        incident.detail_objects(item, "alerts", &ALERT);
        item.all("alerts.rule.mitre_tcodes").for_each(drop);
        drop_keys(item, "alerts.");
    }
}

/// Maps an alert, which has an id of its own beside that of its investigation.
fn alert(item: &Fields, raw: &RawValue) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(id(item)?);
    incident.description = item.first(&["alert_type_description", "description"]).map(str::to_owned);
    incident.category = item.first(&["type", "alert_type"]).map(str::to_owned);
    incident.occurred_at = item.time(&["alerted_at", "first_event_time", "created_at", "created_time"]);
    incident.changed_at = item.time(&["updated_at", "latest_event_time"]);
    add_attack(&mut incident, item);
    if let Some(keys) = json(raw.get()) {
        observe_keys(&mut incident, &keys);
    }
    drop_keys(item, "");
    Ok(incident)
}

fn add_attack(incident: &mut Incident, alert: &Fields) {
    // Names of tactics and ids of techniques are in one list.
    let codes: Vec<&str> = alert.all("rule.mitre_tcodes").collect();
    let tactic = codes.iter().copied().find(|code| tactic_id(code).is_some());
    for code in codes.iter().filter(|code| tactic_id(code).is_none()) {
        incident.attack_named(Some(code), Some(code), tactic);
    }
    if incident.techniques.is_empty() {
        incident.attack(tactic.and_then(tactic_id).unwrap_or_default(), None);
    }
}

/// Adds what an alert was about: keys with their values.
fn observe_keys(incident: &mut Incident, keys: &Keys) {
    let lists = keys.interesting.iter().chain(&*keys.matching);
    let values =
        Fields::from_pairs(lists.flat_map(|key| key.values.iter().filter_map(|value| key.key.get().zip(value.get()))));
    for (name, value) in values.iter() {
        observe(incident, name, value);
    }
    incident.keep_unread(&values, "");
}

/// Marks the keys of alerts as read, which are kept with their values.
fn drop_keys(item: &Fields, prefix: &str) {
    for list in KEY_LISTS {
        let (keys, values) = (format!("{prefix}{list}.key"), format!("{prefix}{list}.values"));
        item.all(keys).chain(item.all(values)).for_each(drop);
    }
}

fn observe(incident: &mut Incident, name: &str, value: &str) {
    let last = name.rsplit('.').next().unwrap_or(name);
    if USERS.contains(&last) {
        incident.observe_user(Some(value), name);
    } else if FILES.contains(&last) {
        incident.observe("filename", Some(file_name(value)), name);
    } else {
        incident.observe_field(&KEYS, last, Some(value), name);
    }
}

/// Returns the id, which is a text, or an object of its parts.
fn id(item: &Fields) -> Result<String, MappingError> {
    if let Some(id) = item.first(&["rrn", "id"]) {
        return Ok(id.to_owned());
    }
    let parts = ["service", "regionCode", "organizationId", "resourceTypes", "resource"];
    let parts: Option<Vec<&str>> = parts.into_iter().map(|part| item.all(format!("rrn.{part}")).next()).collect();
    let parts = parts.ok_or_else(|| MappingError::Malformed("`rrn` and `id` are absent".into()))?;
    Ok(format!("rrn:{}", parts.join(":")))
}

hookmill_sdk::export!(InsightIdr);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::InsightIdr>("payloads");
        testing::check_rejects_invalid::<super::InsightIdr>();
    }
}
