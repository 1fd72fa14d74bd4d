//! Palo Alto Cortex XDR: incidents, with or without their alerts and artifacts, and single alerts.

use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Observable, Outcome, State, Text, WithRest,
};
use hookmill_sdk::{file_name, is_list, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const EXPECTED: &str = "an incident of Cortex XDR with `incident_id` or an alert with `alert_id`, also in `reply`";

/// The fields of an alert with observables. An answer with several events of an alert has them in `events`.
const ALERT: [(&str, &[&str]); 8] = [
    ("hostname", &["host_name"]),
    ("ip", &["host_ip", "action_local_ip", "action_remote_ip", "action_remote_ip_v6"]),
    ("mac", &["mac"]),
    ("user-account", &["user_name"]),
    ("hash", &["action_file_sha256", "action_file_md5", "action_process_image_sha256", "actor_process_image_sha256"]),
    ("domain", &["action_external_hostname", "dns_query_name"]),
    ("url", &["malicious_urls"]),
    ("registry", &["action_registry_full_key"]),
];
const FILES: [&str; 3] = ["action_file_path", "action_process_image_name", "actor_process_image_name"];
const EVENTS: [&str; 2] = ["", "events."];
/// Words in place of a value, beside those that stand for an absent value everywhere.
const PLACEHOLDERS: [&str; 2] = ["EMPTY", "NO_HOST"];
/// The fields of an alert that an analyst reads in the list of an incident's alerts.
const SUMMARY: [&str; 6] = ["alert_id", "name", "severity", "category", "action_pretty", "resolution_status"];

struct Cortex;

/// An answer of the API.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    reply: Option<&'a RawValue>,
}

/// The lists in an answer, or an incident with its alerts beside it.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    incidents: Option<&'a RawValue>,
    incident: Option<&'a RawValue>,
    alerts: Option<&'a RawValue>,
    file_artifacts: Option<&'a RawValue>,
    network_artifacts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    incident_id: Text<'a>,
    incident_name: Text<'a>,
    description: Text<'a>,
    severity: Text<'a>,
    manual_severity: Text<'a>,
    status: Text<'a>,
    detection_time: Text<'a>,
    creation_time: Text<'a>,
    modification_time: Text<'a>,
    xdr_url: Text<'a>,
    hosts: List<Text<'a>>,
    users: List<Text<'a>>,
    mitre_tactics_ids_and_names: List<Text<'a>>,
    mitre_techniques_ids_and_names: List<Text<'a>>,
    alert_categories: List<Text<'a>>,
    tags: List<Text<'a>>,
    /// The alerts are not incidents of their own: their states are not that of the incident.
    alerts: Option<&'a RawValue>,
    file_artifacts: Option<&'a RawValue>,
    network_artifacts: Option<&'a RawValue>,
}

impl Mapper for Cortex {
    fn describe() -> Description {
        hookmill_sdk::description!("Palo Alto Cortex XDR", "Incidents and alerts of Cortex XDR")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        let Some(reply) = answer.reply else {
            let mut outcome = Outcome::default();
            map_item(event.json(EXPECTED)?, &mut outcome)?;
            return Ok(outcome);
        };
        let lists: Reply = json(reply.get()).ok_or_else(unsupported)?;
        if let Some(incident) = lists.incident {
            let mut incident = incident_of(incident)?;
            add_parts(&mut incident, [lists.alerts, lists.file_artifacts, lists.network_artifacts]);
            return Ok(incident.into());
        }
        let list = lists.incidents.or(lists.alerts).filter(|list| is_list(list)).ok_or_else(unsupported)?;
        map_list(list, EXPECTED, |item: &&RawValue, outcome| map_item(item, outcome))
    }
}

fn unsupported() -> MappingError {
    MappingError::Unsupported(format!("expected {EXPECTED}"))
}

fn map_item(raw: &RawValue, outcome: &mut Outcome) -> Result<(), MappingError> {
    let fields: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let incident = if fields.first(&["incident_id"]).is_none() && fields.first(&["alert_id"]).is_some() {
        alert(&fields)?
    } else {
        incident_of(raw)?
    };
    outcome.incidents.push(incident);
    Ok(())
}

fn incident_of(raw: &RawValue) -> Result<Incident, MappingError> {
    let item: WithRest<Item> = json(raw.get()).ok_or_else(unsupported)?;
    let is_incident = item.creation_time.get().is_some() || item.status.get().is_some();
    let id = item.incident_id.get().filter(|_| is_incident).ok_or_else(unsupported)?;
    let mut incident = Incident::new(id);
    incident.set_title(item.incident_name.get().or(item.description.get()));
    incident.description = item.description.owned();
    incident.category = item.alert_categories.iter().find_map(Text::owned);
    incident.set_severity(item.manual_severity.get().or(item.severity.get()));
    // `resolved_timestamp` remains when an incident is opened again.
    incident.state = item.status.get().map(|status| match status.to_ascii_lowercase().starts_with("resolved") {
        true => State::Resolved,
        false => State::Open,
    });
    incident.occurred_at = item.detection_time.time().or_else(|| item.creation_time.time());
    incident.changed_at = item.modification_time.time();
    incident.external_link = item.xdr_url.owned();
    for tag in item.alert_categories.iter().chain(item.tags.iter()).filter_map(Text::get) {
        incident.tag(tag);
    }
    for host in item.hosts.iter().filter_map(Text::get) {
        // The name is followed by the id of the endpoint.
        observe(&mut incident, "hostname", host.split(':').next().unwrap_or(host), "hosts");
    }
    item.users.iter().filter_map(Text::get).for_each(|user| observe(&mut incident, "user-account", user, "users"));
    for text in item.mitre_techniques_ids_and_names.iter().chain(item.mitre_tactics_ids_and_names.iter()) {
        incident.attack(text.get().unwrap_or_default(), None);
    }
    incident.detail("status", item.status.get());
    if item.manual_severity.get().is_some() {
        incident.detail("severity", item.severity.get());
    }
    add_parts(&mut incident, [item.alerts, item.file_artifacts, item.network_artifacts]);
    incident.keep_rest(&item, |_| false);
    Ok(incident)
}

/// Adds the alerts, files and addresses of an incident.
fn add_parts(incident: &mut Incident, [alerts, files, networks]: [Option<&RawValue>; 3]) {
    let alerts = alerts.map(rows).unwrap_or_default();
    if incident.title.is_none() {
        incident.set_title(alerts.first().and_then(|alert| alert.first(&["name"])));
    }
    for alert in &alerts {
        add_alert(incident, alert);
    }
    let summary = |alert| -> BTreeMap<&str, &str> {
        SUMMARY.iter().filter_map(|name| Some((*name, Fields::first(alert, &[name])?))).collect()
    };
    if !alerts.is_empty() {
        incident.detail_json("alerts", &alerts.iter().map(summary).collect::<Vec<_>>());
        alerts.iter().for_each(|alert| incident.keep_unread(alert, ""));
    }
    for file in &files.map(rows).unwrap_or_default() {
        let is_malicious =
            file.first(&["is_malicious"]) == Some("true") || file.first(&["file_wildfire_verdict"]) == Some("MALWARE");
        let hash = incident.observe("hash", file.first(&["file_sha256"]), "file_artifacts");
        if is_malicious {
            hash.map(Observable::ioc);
        }
        incident.observe("filename", file.first(&["file_name"]), "file_artifacts");
    }
    for network in &networks.map(rows).unwrap_or_default() {
        incident.observe("ip", network.first(&["network_remote_ip"]), "network_artifacts");
        incident.observe("domain", network.first(&["network_domain"]), "network_artifacts");
    }
}

/// Returns the elements of a list, which the API puts into `data`.
fn rows(list: &RawValue) -> List<Fields<'_>> {
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        data: List<Fields<'a>>,
    }
    if list.get().starts_with('{') {
        return json::<Data>(list.get()).map(|list| list.data).unwrap_or_default();
    }
    json(list.get()).unwrap_or_default()
}

/// Maps a single alert. Alerts and incidents have their own numbers.
fn alert(fields: &Fields) -> Result<Incident, MappingError> {
    let is_alert = fields.first(&["detection_timestamp", "event_timestamp", "resolution_status", "case_id"]).is_some();
    let id = fields.first(&["alert_id"]).filter(|_| is_alert).ok_or_else(unsupported)?;
    let mut incident = Incident::new(format!("alert:{id}"));
    incident.set_title(fields.first(&["name"]));
    incident.description = fields.first(&["description"]).map(str::to_owned);
    incident.category = fields.first(&["category"]).map(str::to_owned);
    incident.set_severity(fields.first(&["severity"]));
    incident.state = fields.first(&["resolution_status"]).map(|status| {
        let is_resolved = status.split('_').any(|word| word.eq_ignore_ascii_case("resolved"));
        if is_resolved { State::Resolved } else { State::Open }
    });
    incident.occurred_at = fields.time(&["detection_timestamp", "event_timestamp", "events.event_timestamp"]);
    incident.changed_at = fields.time(&["last_modified_ts", "local_insert_ts"]);
    for tag in fields.all("tags").flat_map(|tags| tags.split(',')) {
        incident.tag(tag);
    }
    add_alert(&mut incident, fields);
    for name in ["case_id", "resolution_status"] {
        incident.detail(name, fields.first(&[name]));
    }
    incident.keep_unread(fields, "");
    Ok(incident)
}

/// Adds the techniques and observables of an alert.
fn add_alert(incident: &mut Incident, alert: &Fields) {
    let tactic = alert.first(&["mitre_tactic_id_and_name"]);
    let tactic_id = tactic.and_then(|tactic| tactic.split(' ').next());
    alert.all("mitre_technique_id_and_name").for_each(|text| incident.attack(text, tactic_id));
    alert.all("mitre_tactic_id_and_name").for_each(|text| incident.attack(text, None));
    for prefix in EVENTS {
        for (data_type, name) in
            ALERT.iter().flat_map(|(data_type, names)| names.iter().map(move |name| (data_type, name)))
        {
            for value in alert.all(format!("{prefix}{name}")).flat_map(|text| text.split(',')) {
                observe(incident, data_type, value, name);
            }
        }
        for name in FILES {
            alert.all(format!("{prefix}{name}")).for_each(|path| observe(incident, "filename", file_name(path), name));
        }
    }
}

fn observe(incident: &mut Incident, data_type: &str, value: &str, message: &str) {
    if !PLACEHOLDERS.contains(&value.trim()) {
        incident.observe(data_type, Some(value), message);
    }
}

hookmill_sdk::export!(Cortex);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Cortex>("payloads");
        testing::check_rejects_invalid::<super::Cortex>();
    }
}
