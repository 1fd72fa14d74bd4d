//! Changes of incidents as Detection Findings (class 2004) of the Open Cybersecurity Schema Framework, with its profile
//! `incident`.
//!
//! Whatever of a change has no attribute of its own in the class is kept in `unmapped`: each attribute is taken out of
//! the incident, and the rest stays.

use super::attack::tactic;
use super::data_type::stock_type;
use crate::compare::timestamp_of;
use hookmill_incident::id::{row_key, row_key_ms};
use hookmill_incident::{Operation, Severity, Status};
use serde_json::{Map, Value, json};

/// The version of the schema.
const VERSION: &str = "1.8.0";
/// The category, Findings, and the class, Detection Finding.
const CATEGORY: (u8, &str) = (2, "Findings");
const CLASS: (u32, &str) = (2004, "Detection Finding");
/// The value of every enumeration for what it does not list.
const OTHER: u8 = 99;
/// The status of a finding that was deleted.
const DELETED: (u8, &str) = (6, "Deleted");
/// The types of observables: our name, and the schema's number and name.
const OBSERVABLES: [(&str, u8, &str); 14] = [
    ("hostname", 1, "Hostname"),
    ("domain", 1, "Hostname"),
    ("fqdn", 1, "Hostname"),
    ("ip", 2, "IP Address"),
    ("mac", 3, "MAC Address"),
    ("user-account", 4, "User Name"),
    ("mail", 5, "Email Address"),
    ("url", 6, "URL String"),
    ("filename", 7, "File Name"),
    ("hash", 8, "Hash"),
    ("user-agent", 16, "HTTP User-Agent"),
    ("cve", 18, "CVE Object: uid"),
    ("mail-subject", 40, "Email Object: subject"),
    ("registry", 46, "Registry Key Path"),
];

/// The product that reported an incident.
#[derive(Clone, Copy, Debug)]
pub struct OcsfProduct<'a> {
    /// The name of the product.
    pub name: &'a str,
    /// Its vendor.
    pub vendor: &'a str,
}

/// What happened to a finding.
#[derive(Clone, Copy, PartialEq)]
enum Activity {
    Create = 1,
    Update = 2,
    Close = 3,
}

impl Activity {
    fn of(operation: Operation, changes: &Value) -> Self {
        let is_closed = word(&changes["status"]).is_some_and(is_closed);
        match operation {
            Operation::Creation => Self::Create,
            Operation::Update if !is_closed => Self::Update,
            Operation::Update | Operation::Delete => Self::Close,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Close => "Close",
        }
    }
}

/// The attributes of an incident that have no place in the finding yet.
struct Rest(Map<String, Value>);

impl Rest {
    /// Takes a text; an empty one is as none.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            Some(other) => {
                self.0.insert(name.to_owned(), other);
                None
            }
            None => None,
        }
    }

    /// Takes a time as milliseconds since the Unix epoch. A more exact one stays as well.
    fn time(&mut self, name: &str) -> Option<i64> {
        let time = timestamp_of(self.0.get(name)?)?;
        if time.subsec_nanosecond() % 1_000_000 == 0 {
            self.0.remove(name);
        }
        Some(time.as_millisecond())
    }

    /// Takes the items of a list, except those of which `convert` says that the finding does not have all of them.
    fn list(&mut self, name: &str, convert: impl Fn(&Value) -> Option<Converted>) -> Vec<Value> {
        let Some(Value::Array(items)) = self.0.remove(name) else { return Vec::new() };
        let (mut shown, mut kept) = (Vec::new(), Vec::new());
        for item in items {
            let converted = convert(&item);
            if converted.as_ref().is_none_or(|converted| !converted.is_whole) {
                kept.push(item);
            }
            shown.extend(converted.map(|converted| converted.value));
        }
        if !kept.is_empty() {
            self.0.insert(name.to_owned(), Value::Array(kept));
        }
        shown
    }
}

/// An item of a list in the form of the schema.
struct Converted {
    value: Value,
    /// Whether the value has everything of the item.
    is_whole: bool,
}

/// Returns the Detection Finding of a change of an incident. `message` is that of
/// [`about_change`](crate::about_change). Without a product, the incident's source stands for one.
pub fn detection_finding(mut message: Value, operation: Operation, product: Option<OcsfProduct>) -> Value {
    let mut rest = Rest(std::mem::take(message["object"].as_object_mut().unwrap_or(&mut Map::new())));
    let activity = Activity::of(operation, &message["details"]);
    let own_status = word(rest.0.get("status").unwrap_or(&Value::Null));
    let status = if operation == Operation::Delete { Some(DELETED) } else { own_status.map(status) };
    let (severity_id, severity) = severity(rest.text("severity").and_then(|text| text.parse().ok()));
    let title = rest.text("title");
    let mut finding = json!({
        "activity_id": activity as u8,
        "activity_name": activity.name(),
        "category_uid": CATEGORY.0,
        "category_name": CATEGORY.1,
        "class_uid": CLASS.0,
        "class_name": CLASS.1,
        "type_uid": CLASS.0 * 100 + activity as u32,
        "type_name": format!("{}: {}", CLASS.1, activity.name()),
        "time": message["audit"]["startDate"],
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status.map(|status| status.0),
        "status": status.map(|status| status.1),
        "message": title,
        "is_alert": activity == Activity::Create && !own_status.is_some_and(is_closed),
        "count": rest.0.remove("occurrences"),
        "src_url": message["url"],
        "assignee": rest.text("assignee").map(|name| json!({"name": name})),
        "observables": rest.list("observables", observable),
        "metadata": metadata(&mut rest, &message["audit"], operation, product),
        "finding_info": finding_info(&mut rest, &message["audit"], title),
    });
    if own_status == Some(Status::FalsePositive) {
        finding["verdict_id"] = json!(1);
        finding["verdict"] = json!("False Positive");
    }
    finding["unmapped"] = unmapped(rest, message, operation);
    without_empty(&mut finding);
    finding
}

fn metadata(rest: &mut Rest, audit: &Value, operation: Operation, product: Option<OcsfProduct>) -> Value {
    let source = rest.text("source");
    let product = match product {
        Some(product) => json!({"name": product.name, "vendor_name": product.vendor}),
        None => json!({"name": source.as_deref().unwrap_or("Hookmill")}),
    };
    let (id, revision) = (audit["objectId"].as_str().unwrap_or_default(), rest.0.remove("revision"));
    // A deletion is not a revision.
    let uid = match (&revision, operation) {
        (Some(revision), Operation::Creation | Operation::Update) => format!("{id}.{revision}"),
        (_, operation) => format!("{id}.{operation}"),
    };
    json!({
        "version": VERSION,
        "profiles": ["incident"],
        "product": product,
        "source": source,
        "uid": uid,
        "sequence": revision,
        "correlation_uid": rest.text("id"),
        "labels": rest.0.remove("tags"),
        "is_truncated": rest.0.get("truncated").is_some_and(|count| *count != json!(0)),
    })
}

fn finding_info(rest: &mut Rest, audit: &Value, title: Option<String>) -> Value {
    let newest_event = rest.0.get("event_ids").and_then(|ids| ids.as_array()?.last()?.as_str()?.parse().ok());
    json!({
        // Of an incident that cannot be read, nothing but the id is known.
        "uid": rest.text("source_ref").map_or(audit["objectId"].clone(), Value::String),
        "uid_alt": rest.text("number"),
        "title": title,
        "desc": rest.text("description"),
        "types": rest.text("category").map(|category| [category]),
        "src_url": rest.text("external_link"),
        "created_time": rest.time("created_at"),
        "modified_time": rest.time("updated_at"),
        "first_seen_time": rest.time("occurred_at"),
        "last_seen_time": newest_event.map(|id| row_key_ms(row_key(id))),
        "attacks": rest.list("techniques", attack),
    })
}

/// Returns what the class has no attributes for: the rest of the incident, and what is known of the change itself. A
/// Creation's changes are the incident.
fn unmapped(rest: Rest, mut message: Value, operation: Operation) -> Value {
    let mut unmapped = rest.0;
    unmapped.retain(|_, value| !value.is_null());
    unmapped.insert("audit".to_owned(), message["audit"].take());
    if operation != Operation::Creation {
        unmapped.insert("changes".to_owned(), message["details"].take());
    }
    Value::Object(unmapped)
}

/// Removes attributes that have no value. The vendor's own, in `unmapped`, stay as they are.
fn without_empty(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.iter_mut().filter(|(name, _)| *name != "unmapped").for_each(|(_, value)| without_empty(value));
            members.retain(|_, value| !value.is_null() && *value != json!([]));
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty),
        _ => {}
    }
}

fn observable(observable: &Value) -> Option<Converted> {
    let (name, value) = (observable["data_type"].as_str()?, observable["value"].as_str()?);
    let known = OBSERVABLES.iter().find(|(known, ..)| *known == stock_type(name));
    let (type_id, kind) = known.map_or((OTHER, name), |(_, id, kind)| (*id, *kind));
    let tags = observable["tags"].as_array().is_none_or(Vec::is_empty);
    let is_whole = observable["message"].is_null() && tags && observable["ioc"] != true;
    Some(Converted { value: json!({"type_id": type_id, "type": kind, "name": name, "value": value}), is_whole })
}

/// Returns a technique with its tactic, or a tactic alone.
fn attack(technique: &Value) -> Option<Converted> {
    let (id, named) = (technique["id"].as_str()?, technique["tactic"].as_str());
    let shown = |text: &str| match tactic(text) {
        Some((uid, name)) => json!({"uid": uid, "name": name}),
        None if is_tactic_id(text) => json!({"uid": text}),
        None => json!({"name": text}),
    };
    let mut attack = json!({"tactic": named.map(shown)});
    match id.split_once('.') {
        _ if is_tactic_id(id) => attack["tactic"] = shown(id),
        Some((technique, _)) => {
            attack["technique"] = json!({"uid": technique});
            attack["sub_technique"] = json!({"uid": id});
        }
        None => attack["technique"] = json!({"uid": id}),
    }
    let is = |name: &str| attack["tactic"][name].as_str() == named;
    Some(Converted { is_whole: named.is_none() || is("uid") || is("name"), value: attack })
}

fn is_tactic_id(text: &str) -> bool {
    text.strip_prefix("TA").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn word<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str().and_then(|text| text.parse().ok())
}

fn is_closed(status: Status) -> bool {
    matches!(status, Status::Resolved | Status::FalsePositive | Status::Closed)
}

fn status(status: Status) -> (u8, &'static str) {
    match status {
        Status::New => (1, "New"),
        Status::Triaged | Status::InProgress | Status::Escalated => (2, "In Progress"),
        Status::FalsePositive => (3, "Suppressed"),
        Status::Resolved | Status::Closed => (4, "Resolved"),
    }
}

fn severity(severity: Option<Severity>) -> (u8, &'static str) {
    match severity {
        None => (0, "Unknown"),
        Some(Severity::Informational) => (1, "Informational"),
        Some(Severity::Low) => (2, "Low"),
        Some(Severity::Medium) => (3, "Medium"),
        Some(Severity::High) => (4, "High"),
        Some(Severity::Critical) => (5, "Critical"),
    }
}
