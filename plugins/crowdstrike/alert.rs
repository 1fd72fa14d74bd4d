//! Alerts of Falcon's Alerts API, version 2: names in snake case, one shape for all products.

use super::{indicator_type, read_state};
use hookmill_sdk::{Fields, Incident, Observable, Scale, Severity, State, timestamp};

/// The fields with observables, and their roles. The first role of an observable is kept.
const OBSERVABLES: [(&str, &str, &[&str]); 15] = [
    ("hostname", "affected host", &["device.hostname", "hostname", "host_name", "source_endpoint_host_name"]),
    ("hostname", "target", &["target_endpoint_host_name"]),
    ("ip", "affected host", &["device.local_ip", "device.external_ip", "local_ip", "source_endpoint_address_ip4"]),
    ("mac", "affected host", &["device.mac_address", "mac_address"]),
    ("ip", "caller", &["source_ip_address"]),
    ("user-account", "target account", &["target_account_name"]),
    ("mail", "user", &["source_account_upn", "user_principal", "user_email"]),
    ("hash", "process image", &["sha256", "sha1", "md5"]),
    ("filename", "process image", &["filename"]),
    ("ip", "contacted", &["network_accesses.remote_address", "dst_ip"]),
    ("domain", "looked up", &["dns_requests.domain_name"]),
    ("filename", "written", &["files_written.filename", "executables_written.filename", "quarantined_files.filename"]),
    ("hash", "quarantined", &["quarantined_files.sha256"]),
    ("other", "affected resource", &["resource_id"]),
    ("ip", "involved", &["source_ips", "destination_ips", "ipv4_addresses", "ipv6_addresses"]),
];
const INVOLVED: [(&str, &[&str]); 6] = [
    ("hostname", &["host_names", "source_hosts", "destination_hosts"]),
    ("user-account", &["user_names", "users"]),
    ("mail", &["email_addresses"]),
    ("hash", &["sha256_hashes", "md5_hashes"]),
    ("domain", &["domain_names", "domains"]),
    ("url", &["url", "urls"]),
];
/// When it happened. `timestamp` is when Falcon saw it.
const TIMES: [&str; 5] = ["first_timestamp", "start_time", "context_timestamp", "timestamp", "created_timestamp"];
/// Details in front of those that no field of an incident has.
const DETAILS: [&str; 13] = [
    "status",
    "objective",
    "scenario",
    "pattern_disposition_description",
    "cmdline",
    "filepath",
    "parent_details.cmdline",
    "parent_details.filepath",
    "grandparent_details.cmdline",
    "device.device_id",
    "agent_id",
    "event_name",
    "cid",
];

/// Returns the id of an alert: `composite_id`, which is the customer's id and `id`.
pub(crate) fn id(alert: &Fields) -> Option<String> {
    let made = || Some(format!("{}:{}", alert.first(&["cid"])?, alert.first(&["id"])?));
    alert.first(&["composite_id"]).map(str::to_owned).or_else(|| made().filter(|_| is_alert(alert)))
}

/// Returns whether an object without `composite_id` is an alert.
pub(crate) fn is_alert(alert: &Fields) -> bool {
    let is_there = |name: &str| alert.first(&[name]).is_some();
    is_there("composite_id") || (is_there("falcon_host_link") && is_there("created_timestamp"))
}

pub(crate) fn incident(id: String, alert: &Fields) -> Incident {
    let mut incident = Incident::new(id);
    let name = alert.first(&["display_name", "name", "rule_name"]);
    let account =
        alert.first(&["source_account_name", "user_name"]).filter(|_| alert.first(&["product"]) == Some("idp"));
    let title = name.zip(account).map(|(name, account)| format!("{name}: {account}"));
    incident.set_title(title.as_deref().or(name));
    incident.description = alert.first(&["description"]).map(str::to_owned);
    incident.category = alert.first(&["product"]).map(str::to_owned);
    incident.vendor_severity = alert.first(&["severity_name", "severity"]).map(str::to_owned);
    incident.severity = alert.first(&["severity_name"]).and_then(Severity::parse).or_else(|| {
        let severity = alert.first(&["severity"])?;
        let number = severity.parse().ok().and_then(|number| Severity::on_scale(Scale::Hundred, number));
        number.or_else(|| Severity::parse(severity))
    });
    incident.state = alert.first(&["status"]).and_then(state);
    incident.occurred_at = TIMES.iter().find_map(|name| timestamp(alert.first(&[name])?));
    incident.changed_at = alert.first(&["updated_timestamp", "timestamp"]).and_then(timestamp);
    incident.external_link = alert.first(&["falcon_host_link"]).map(str::to_owned);
    for name in ["product", "type", "tactic", "technique", "tags"] {
        alert.all(name).for_each(|tag| incident.tag(tag));
    }
    observe(&mut incident, alert);
    classify(&mut incident, alert);
    DETAILS.iter().for_each(|name| incident.detail(name, alert.first(&[name])));
    incident.keep_unread(alert, "");
    incident
}

/// Work on a closed alert opens it again.
fn state(name: &str) -> Option<State> {
    if name.eq_ignore_ascii_case("in_progress") { Some(State::Open) } else { read_state(name) }
}

fn observe(incident: &mut Incident, alert: &Fields) {
    // Added first, because the first role of an observable is kept.
    let indicators = alert.all("ioc_type").zip(alert.all("ioc_value"));
    for (name, value) in indicators {
        incident.observe(indicator_type(name), Some(value), "indicator").map(Observable::ioc);
    }
    // A cloud alert has the name of the cloud's account beside that of the user.
    incident.observe("user-account", alert.first(&["user_name", "source_account_name"]), "user");
    let involved = INVOLVED.iter().map(|(data_type, names)| (*data_type, "involved", *names));
    for (data_type, role, names) in OBSERVABLES.into_iter().chain(involved) {
        for value in names.iter().flat_map(|name| alert.all(name)) {
            if data_type != "mail" || value.contains('@') {
                incident.observe(data_type, Some(value), role);
            }
        }
    }
}

fn classify(incident: &mut Incident, alert: &Fields) {
    let [id, name] = ["technique_id", "technique"].map(|name| alert.first(&[name]));
    incident.attack_named(id, name, alert.first(&["tactic"]));
    // Values that one object lacks are absent in all of them, or their places are not known.
    let [ids, tactics] = ["mitre_attack.technique_id", "mitre_attack.tactic"].map(|name| alert.all(name).collect());
    let (ids, tactics): (Vec<&str>, Vec<&str>) = (ids, tactics);
    for (at, id) in ids.iter().enumerate() {
        incident.attack(id, tactics.get(at).copied().filter(|_| ids.len() == tactics.len()));
    }
}
