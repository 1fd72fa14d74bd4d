//! Alerts of Falcon's Alerts API, version 2: names in snake case, one shape for all products.

use super::{Roles, indicator_type, observe, state};
use hookmill_sdk::{Fields, Incident, Observable, Scale, Severity};

const OBSERVABLES: &Roles = &[
    ("hostname", "affected host", &["device.hostname", "hostname", "host_name", "source_endpoint_host_name"]),
    ("hostname", "target", &["target_endpoint_host_name"]),
    ("ip", "affected host", &["device.local_ip", "device.external_ip", "local_ip", "source_endpoint_address_ip4"]),
    ("hostname", "affected host", &["computer_name"]),
    ("ip", "affected host", &["source_endpoint_ip_address"]),
    ("mac", "affected host", &["device.mac_address", "mac_address"]),
    ("ip", "caller", &["source_ip_address"]),
    ("user-account", "target account", &["target_account_name"]),
    ("mail", "user", &["source_account_upn", "user_principal", "user_email"]),
    ("hash", "process image", &["sha256", "sha1", "md5"]),
    ("filename", "process image", &["filename"]),
    ("ip", "contacted", &["network_accesses.remote_address", "mobile_network_connections.remote_address", "dst_ip"]),
    ("url", "contacted", &["mobile_network_connections.url"]),
    ("domain", "looked up", &["dns_requests.domain_name", "mobile_dns_requests.domain_name"]),
    ("filename", "written", &["files_written.filename", "executables_written.filename", "quarantined_files.filename"]),
    ("hash", "quarantined", &["quarantined_files.sha256"]),
    ("other", "affected resource", &["resource_id"]),
    ("ip", "involved", &["source_ips", "destination_ips", "ipv4_addresses", "ipv6_addresses"]),
    ("hostname", "involved", &["host_names", "source_hosts", "destination_hosts"]),
    ("user-account", "involved", &["user_names", "users"]),
    ("mail", "involved", &["email_addresses"]),
    ("hash", "involved", &["sha256_hashes", "md5_hashes"]),
    ("domain", "involved", &["domain_names", "domains"]),
    ("url", "involved", &["url", "urls"]),
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
    incident.occurred_at = alert.time(&TIMES);
    incident.changed_at = alert.time(&["updated_timestamp", "timestamp"]);
    incident.external_link = alert.first(&["falcon_host_link"]).map(str::to_owned);
    for name in ["product", "type", "tactic", "technique", "tactics", "techniques", "tags"] {
        alert.all(name).for_each(|tag| incident.tag(tag));
    }
    observe_indicators(&mut incident, alert);
    // A cloud alert has the name of the cloud's account beside that of the user.
    incident.observe_user(alert.first(&["user_name", "source_account_name"]), "user");
    observe(&mut incident, alert, OBSERVABLES, &[]);
    classify(&mut incident, alert);
    DETAILS.iter().for_each(|name| incident.detail(name, alert.first(&[name])));
    incident.keep_unread(alert, "");
    incident
}

/// Adds the indicators first, because the first role of an observable is kept.
fn observe_indicators(incident: &mut Incident, alert: &Fields) {
    for (kinds, values) in [("ioc_type", "ioc_value"), ("ioc_context.ioc_type", "ioc_context.ioc_value")] {
        let (kinds, values): (Vec<&str>, Vec<&str>) = (alert.all(kinds).collect(), alert.all(values).collect());
        for (kind, value) in kinds.iter().zip(&values).filter(|_| kinds.len() == values.len()) {
            incident.observe(indicator_type(kind), Some(value), "indicator").map(Observable::ioc);
        }
    }
}

fn classify(incident: &mut Incident, alert: &Fields) {
    let [id, name] = ["technique_id", "technique"].map(|name| alert.first(&[name]));
    incident.attack_named(id, name, alert.first(&["tactic"]));
    // Values that one object lacks are absent in all of them, or their places are not known.
    incident.attack_lists(alert.all("mitre_attack.technique_id"), alert.all("mitre_attack.tactic"));
    alert.all("technique_ids").for_each(|id| incident.attack(id, None));
    alert.all("techniques").for_each(|name| incident.attack_named(None, Some(name), None));
}
