//! Orca Security: alerts of its webhook and of its APIs, about clouds, Kubernetes and code.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State};
use hookmill_sdk::{file_name, is_list, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an alert of Orca Security with `state.alert_id`, alone or in `data`";

// The names of fields: first those of the webhook and the API, then those of a query, then those of a flat export.
const ID: [&str; 3] = ["state.alert_id", "data.AlertId.value", "alert_id"];
const TITLE: [&str; 7] =
    ["type_string", "data.AlertType.value", "alert_type", "data.title", "data.Title.value", "description", "type"];
const DESCRIPTION: [&str; 3] = ["details", "data.details", "description"];
const CATEGORY: [&str; 2] = ["category", "data.Category.value"];
const RISK_LEVEL: [&str; 3] = ["state.risk_level", "data.RiskLevel.value", "risk_level"];
const STATUS: [&str; 3] = ["state.status", "data.Status.value", "status"];
const OCCURRED: [&str; 3] = ["state.created_at", "data.CreatedAt.value", "created_at"];
const CHANGED: [&str; 3] = ["state.last_updated", "state.status_time", "data.LastUpdated.value"];
const SEEN: [&str; 3] = ["state.last_seen", "data.LastSeen.value", "last_seen"];
const LABELS: [&str; 2] = ["alert_labels", "data.Labels.value"];
const SOURCE: [&str; 2] = ["source", "data.Source.value"];

/// The scale that alerts had before `risk_level`: words or numbers.
const OLDER_SEVERITY: [(&str, Severity); 7] = [
    ("compromised", Severity::Critical),
    ("1", Severity::Critical),
    ("imminent compromise", Severity::High),
    ("2", Severity::High),
    ("hazardous", Severity::Medium),
    ("3", Severity::Medium),
    ("4", Severity::Low),
];
const OBSERVABLES: [(&str, &[&str]); 4] = [
    ("hostname", &["asset_hostname", "findings.Hostname"]),
    (
        "ip",
        &[
            "asset_first_private_ips",
            "asset_first_public_ips",
            "findings.Private IP Addresses",
            "findings.Public IP Addresses",
        ],
    ),
    ("mac", &["findings.MAC Addresses"]),
    ("cve", &["cve_list"]),
];
const HASHES: [&str; 3] = ["sha256", "sha1", "md5"];
/// The fields that an analyst needs most, of about seventy.
const DETAILS: [&str; 11] = [
    "recommendation",
    "asset_name",
    "asset_type_string",
    "asset_unique_id",
    "account_name",
    "cloud_provider",
    "state.severity",
    "state.score",
    "state.orca_score",
    "configuration.user_score",
    "configuration.user_status",
];

struct Orca;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Mapper for Orca {
    fn describe() -> Description {
        hookmill_sdk::description!("Orca Security", "Alerts of Orca Security")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        // An empty list in `data` can be an answer of any API.
        if let Some(list) = answer.data.filter(|data| is_list(data) && data.get().contains('{')) {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(incident(item)?);
                Ok(())
            });
        }
        let raw: &RawValue = event.json(EXPECTED)?;
        let alert: Fields = event.json(EXPECTED)?;
        // An alert has a member `data` of its own.
        let is_alert = alert.first(&ID).is_some() || alert.first(&["state.status"]).is_some();
        Ok(incident(if is_alert { raw } else { answer.data.unwrap_or(raw) })?.into())
    }
}

fn incident(raw: &RawValue) -> Result<Incident, MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let alert: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let is_alert = alert.first(&["type_string", "type", "rule_id", "alert_type", "data.AlertType.value"]).is_some();
    let has_state = alert.iter().any(|(path, _)| path.starts_with("state.")) || alert.first(&RISK_LEVEL).is_some();
    if !(is_alert && has_state) {
        return Err(unsupported());
    }
    let mut incident = Incident::new(alert.required(&ID)?);
    describe(&mut incident, &alert);
    observe(&mut incident, &alert);
    // `Brute Force (T1110)`
    let tactic = alert.first(&["data.mitre_category"]);
    for technique in ["data.mitre_techniques", "data.mitre_technique"].iter().flat_map(|name| alert.all(name)) {
        incident.attack(technique, tactic);
    }
    incident.detail_fields(&alert, &DETAILS);
    incident.keep_unread(&alert, "");
    Ok(incident)
}

fn describe(incident: &mut Incident, alert: &Fields) {
    incident.set_title(alert.first(&TITLE));
    incident.description = alert.first(&DESCRIPTION).map(str::to_owned);
    incident.category = alert.first(&CATEGORY).map(str::to_owned);
    match alert.first(&RISK_LEVEL) {
        Some(level) => incident.set_severity(Some(level)),
        None => incident.set_severity_word(alert.first(&["state.severity", "state.score"]), &OLDER_SEVERITY),
    }
    let status = alert.first(&STATUS);
    incident.state = match status.map(str::to_ascii_lowercase).as_deref() {
        Some("closed" | "dismissed") => Some(State::Resolved),
        Some("open" | "in_progress" | "snoozed") => Some(State::Open),
        _ => None,
    };
    incident.detail("state.status", status);
    incident.occurred_at = alert.time(&OCCURRED);
    let changed = CHANGED.iter().filter_map(|name| alert.time(&[name])).max();
    incident.changed_at = changed.or_else(|| alert.time(&SEEN));
    LABELS.iter().flat_map(|name| alert.all(name)).for_each(|label| incident.tag(label));
}

fn observe(incident: &mut Incident, alert: &Fields) {
    incident.observe_fields(alert, &OBSERVABLES);
    let asset_type = alert.first(&["asset_type_string", "asset_type"]).unwrap_or_default();
    if asset_type.ends_with("User") {
        incident.observe("user-account", alert.first(&["asset_name"]), "asset_name");
    }
    let source = alert.first(&SOURCE);
    incident.detail("source", source);
    if asset_type == "CodeRepository" {
        // `src/main.rs:55`
        incident.observe("filename", source.map(without_line), "source");
    }
    let is_malware = alert.first(&["type", "category"]).is_some_and(|kind| kind.eq_ignore_ascii_case("malware"));
    for (path, value) in alert.iter().filter(|(path, _)| is_malware && path.starts_with("findings.")) {
        let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
        let observable = match name.as_str() {
            "file" => incident.observe("filename", Some(file_name(value)), path),
            name if HASHES.contains(&name) => incident.observe("hash", Some(value), path),
            _ => None,
        };
        observable.map(Observable::ioc);
    }
}

/// Returns a path without the line and the column after it.
fn without_line(path: &str) -> &str {
    match path.rsplit_once(':') {
        Some((file, line)) if line.bytes().all(|digit| digit.is_ascii_digit()) => without_line(file),
        _ => path,
    }
}

hookmill_sdk::export!(Orca);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Orca>("payloads");
        testing::check_rejects_invalid::<super::Orca>();
    }
}
