//! Palo Alto Cortex XDR: incidents, with or without their alerts and artifacts, and single alerts.

use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, State, file_name,
};
use std::collections::BTreeMap;

const EXPECTED: &str = "an incident of Cortex XDR with `incident_id` or an alert with `alert_id`, also in `reply`";

const ENVELOPES: Envelopes =
    Envelopes { members: &["reply", "incidents", "alerts"], answer: &["total_count", "result_count"] };

/// The fields of an alert with observables. An answer with several events of an alert has them in `events`.
const ALERT: [(&str, &[&str]); 11] = [
    ("hostname", &["host_name", "agent_fqdn"]),
    ("ip", &["host_ip", "action_local_ip", "action_remote_ip", "action_remote_ip_v6"]),
    ("mac", &["mac"]),
    ("user-account", &["user_name"]),
    ("hash", &["action_file_sha256", "action_file_md5", "action_process_image_sha256"]),
    ("hash", &["actor_process_image_sha256", "actor_process_image_md5"]),
    ("domain", &["action_external_hostname", "dst_action_external_hostname", "dns_query_name", "fw_url_domain"]),
    ("url", &["malicious_urls"]),
    ("mail", &["fw_email_sender"]),
    ("mail-subject", &["fw_email_subject"]),
    ("registry", &["action_registry_full_key"]),
];
const FILES: [&str; 4] =
    ["action_file_path", "action_file_name", "action_process_image_name", "actor_process_image_name"];
const EVENTS: [&str; 2] = ["", "events."];
/// Words in place of a value, beside those that stand for an absent value everywhere.
const PLACEHOLDERS: [&str; 2] = ["EMPTY", "NO_HOST"];
/// The fields of an alert that an analyst reads in the list of an incident's alerts.
const SUMMARY: [&str; 6] = ["alert_id", "name", "severity", "category", "action_pretty", "resolution_status"];

struct Cortex;

impl Mapper for Cortex {
    fn describe() -> Description {
        hookmill_sdk::description!("Palo Alto Cortex XDR", "Incidents and alerts of Cortex XDR")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |item, outcome| {
            let mut incident = incident(item)?;
            incident.observables.retain(|observable| !PLACEHOLDERS.contains(&observable.value.as_str()));
            outcome.incidents.push(incident);
            Some(Ok(()))
        })
    }
}

/// Maps an incident, with its alerts in it or beside it, or an alert. Returns none for an envelope.
fn incident(item: &Fields) -> Option<Incident> {
    if item.has("incident.incident_id") {
        let mut incident = incident_of(&item.object("incident")?)?;
        add_parts(&mut incident, item);
        return Some(incident);
    }
    if item.has("alert_id") && !item.has("incident_id") { alert(item) } else { incident_of(item) }
}

fn incident_of(item: &Fields) -> Option<Incident> {
    let is_incident = item.same(&["creation_time", "status"]).is_some();
    let id = item.first(&["incident_id"]).filter(|_| is_incident)?;
    let mut incident = Incident::new(id);
    incident.set_title(item.same(&["incident_name", "description"]));
    incident.description = item.first(&["description"]).map(str::to_owned);
    incident.category = item.first(&["alert_categories"]).map(str::to_owned);
    // With a severity that an analyst set, the first one is a detail.
    incident.set_severity(item.first(&["manual_severity", "severity"]));
    // `resolved_timestamp` remains when an incident is opened again.
    incident.state = item.first(&["status"]).map(|status| match status.to_ascii_lowercase().starts_with("resolved") {
        true => State::Resolved,
        false => State::Open,
    });
    incident.occurred_at = item.time(&["detection_time", "creation_time"]);
    incident.changed_at = item.time(&["modification_time"]);
    incident.external_link = item.first(&["xdr_url"]).map(str::to_owned);
    for tag in ["alert_categories", "tags"].iter().flat_map(|name| item.all(name)) {
        incident.tag(tag);
    }
    for host in item.all("hosts") {
        // The name is followed by the id of the endpoint.
        incident.observe("hostname", host.split(':').next(), "hosts");
    }
    incident.observe_fields(item, &[("user-account", &["users"])]);
    for name in ["mitre_techniques_ids_and_names", "mitre_tactics_ids_and_names"] {
        item.all(name).for_each(|text| incident.attack(text, None));
    }
    incident.detail("status", item.first(&["status"]));
    add_parts(&mut incident, item);
    incident.keep_members(item, |_| false);
    Some(incident)
}

/// Adds the alerts, files and addresses of an incident.
fn add_parts(incident: &mut Incident, item: &Fields) {
    let alerts = rows(item, "alerts");
    if incident.title.is_none() {
        incident.set_title(alerts.first().and_then(|alert| alert.first(&["name"])));
    }
    for alert in &alerts {
        add_alert(incident, alert);
    }
    let summary = |alert| -> BTreeMap<&str, &str> {
        SUMMARY.iter().filter_map(|name| Some((*name, Fields::first(alert, &[name])?))).collect()
    };
    incident.detail_list("alerts", &alerts.iter().map(summary).collect::<Vec<_>>());
    alerts.iter().for_each(|alert| incident.keep_unread(alert, ""));
    for file in rows(item, "file_artifacts") {
        let is_malicious =
            file.first(&["is_malicious"]) == Some("true") || file.first(&["file_wildfire_verdict"]) == Some("MALWARE");
        let hash = incident.observe("hash", file.first(&["file_sha256"]), "file_artifacts");
        if is_malicious {
            hash.map(Observable::ioc);
        }
        incident.observe("filename", file.first(&["file_name"]), "file_artifacts");
    }
    for network in rows(item, "network_artifacts") {
        incident.observe("ip", network.first(&["network_remote_ip"]), "network_artifacts");
        incident.observe("domain", network.first(&["network_domain"]), "network_artifacts");
    }
}

/// Returns the elements of a list, which the API puts into `data`.
fn rows<'a>(item: &Fields<'a>, name: &str) -> Vec<Fields<'a>> {
    let (list, data) = (item.objects(name), item.objects(&format!("{name}.data")));
    let is_row = |row: &Fields| !row.has("data");
    if data.is_empty() { list.into_iter().filter(is_row).collect() } else { data }
}

/// Maps a single alert. Alerts and incidents have their own numbers.
fn alert(fields: &Fields) -> Option<Incident> {
    let is_alert = fields.first(&["detection_timestamp", "event_timestamp", "resolution_status", "case_id"]).is_some();
    let id = fields.first(&["alert_id"]).filter(|_| is_alert)?;
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
    incident.detail_fields(fields, &["case_id", "resolution_status"]);
    incident.keep_unread(fields, "");
    Some(incident)
}

/// Adds the techniques and observables of an alert.
fn add_alert(incident: &mut Incident, alert: &Fields) {
    let tactic = alert.first(&["mitre_tactic_id_and_name"]);
    let tactic_id = tactic.and_then(|tactic| tactic.split(' ').next());
    alert.all("mitre_technique_id_and_name").for_each(|text| incident.attack(text, tactic_id));
    alert.all("mitre_tactic_id_and_name").for_each(|text| incident.attack(text, None));
    for prefix in EVENTS {
        incident.observe_lists(alert, prefix, &ALERT);
        for (name, path) in
            FILES.iter().flat_map(|name| alert.all(format!("{prefix}{name}")).map(move |path| (name, path)))
        {
            incident.observe("filename", Some(file_name(path)), name);
        }
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
