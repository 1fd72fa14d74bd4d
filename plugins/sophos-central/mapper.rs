//! Sophos Central: alerts of the alert API, and alerts and events of the SIEM API, also as its forwarder renames their
//! fields.

use hookmill_sdk::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, Severity, State};
use hookmill_sdk::{file_name, has_objects, is_list, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str =
    "an alert or event of Sophos Central with a `type` such as `Event::Endpoint::…`, alone or in `items`";
/// The ends of the types of events that are routine. Alerts are not.
const ROUTINE: [&str; 12] = [
    "::UpdateSuccess",
    "::UpdateRebootRequired",
    "::Registered",
    "::ReRegistered",
    "::UserAutoCreated",
    "::SavScanComplete",
    "::SavEnabled",
    "::Enc::DiskEncryptionInformation",
    "::Enc::Recovery::KeyReceived",
    "::Denc::OutlookPluginEnabledEvent",
    "::Compliant",
    "::ServiceRestored",
];
const OBSERVABLES: [(&str, &[&str]); 5] = [
    ("url", &["url"]),
    ("hash", &["appSha256"]),
    ("hostname", &["location", "dhost", "managedAgent.name"]),
    ("ip", &["source_info.ip", "data.source_info.ip", "ips_threat_data.remoteIp", "data.ips_threat.remote_ip"]),
    ("user-account", &["source", "suser", "person.name"]),
];
/// The fields with the path of a program or a file.
const PATHS: [&str; 6] = [
    "filePath",
    "file_path",
    "ips_threat_data.executablePath",
    "data.ips_threat.executable_path",
    "amsi_threat_data.processPath",
    "data.hmpa_exploit.process_path",
];

struct SophosCentral;

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    items: Option<&'a RawValue>,
    /// In an answer of the alert API.
    pages: Option<&'a RawValue>,
    /// In an answer of the SIEM API.
    has_more: Option<&'a RawValue>,
    /// Raw, because `none` is a severity.
    severity: Option<&'a RawValue>,
    core_remedy_items: Part<Remedies<'a>>,
    data: Part<Data<'a>>,
}

/// More of an alert of the SIEM API.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    core_remedy_items: Part<Remedies<'a>>,
}

/// The files, processes and registry keys of a threat.
#[derive(Deserialize)]
struct Remedies<'a> {
    #[serde(borrow)]
    items: List<Fields<'a>>,
}

impl Mapper for SophosCentral {
    fn describe() -> Description {
        hookmill_sdk::description!("Sophos Central", "Alerts and events of Sophos Central")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let item: Item = event.json(EXPECTED)?;
        let is_answer =
            |items: &&RawValue| has_objects(items) || (item.pages.or(item.has_more).is_some() && is_list(items));
        if let Some(list) = item.items.filter(is_answer) {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| map_item(item, outcome));
        }
        let mut outcome = Outcome::default();
        map_item(event.json(EXPECTED)?, &mut outcome)?;
        Ok(outcome)
    }
}

fn map_item(raw: &RawValue, outcome: &mut Outcome) -> Result<(), MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let item: Item = json(raw.get()).ok_or_else(unsupported)?;
    let fields: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let kind = fields.first(&["type"]).unwrap_or_default();
    if !kind.starts_with("Event::") && fields.first(&["raisedAt"]).is_none() {
        return Err(unsupported());
    }
    let is_more = fields.first(&["description", "threat", "appSha256"]).is_some();
    if ROUTINE.iter().any(|end| kind.ends_with(end)) && !is_more {
        outcome.skipped.push(format!("`{kind}` is routine"));
        return Ok(());
    }
    let mut incident = Incident::new(fields.required(&["id", "event_service_event_id"])?);
    // Only an event has a name. The group of an alert is shared by several alerts.
    let (name, description) = (fields.first(&["name"]), fields.first(&["description"]));
    let text = name.or(description);
    incident.set_title(text.or(fields.first(&["threat", "type"])));
    incident.description = description.map(str::to_owned);
    incident.category = fields.first(&["category", "group"]).map(str::to_owned);
    incident.tag(fields.first(&["category", "group"]).unwrap_or_default());
    incident.set_severity(fields.first(&["severity"]));
    if item.severity.is_some_and(|severity| severity.get().eq_ignore_ascii_case("\"none\"")) {
        incident.severity = Some(Severity::Informational);
        incident.vendor_severity = Some("none".into());
    }
    // An alert has no state: one that is acknowledged disappears from the list.
    incident.state = Some(State::Open);
    incident.detail("type", fields.first(&["type"]));
    incident.occurred_at = fields.time(&["raisedAt", "when", "end", "created_at", "rt"]);
    incident.changed_at = fields.time(&["created_at", "rt"]);
    observe(&mut incident, &item, &fields, text.unwrap_or_default());
    incident.keep_unread(&fields, "");
    outcome.incidents.push(incident);
    Ok(())
}

fn observe(incident: &mut Incident, item: &Item, fields: &Fields, text: &str) {
    incident.observe("filename", path_in(text).map(file_name), "text");
    for quoted in text.split(['\'', '"']).skip(1).step_by(2) {
        incident.observe("url", Some(quoted).filter(|quoted| quoted.contains("://")), "text");
    }
    if let Some(site) = site_in(text).filter(|site| !site.contains("://")) {
        incident.observe(if site.contains('/') { "url" } else { "domain" }, Some(site), "text");
    }
    incident.observe_fields(fields, &OBSERVABLES);
    for name in PATHS {
        incident.observe("filename", fields.first(&[name]).map(file_name), name);
    }
    let data = item.data.get().and_then(|data| data.core_remedy_items.get());
    for remedy in [item.core_remedy_items.get(), data].into_iter().flatten().flat_map(|remedies| &remedies.items) {
        let descriptor = remedy.first(&["descriptor"]);
        match remedy.first(&["type"]) {
            Some("file" | "process") => incident.observe("filename", descriptor.map(file_name), "core_remedy_items"),
            Some("regkey") => incident.observe("registry", descriptor, "core_remedy_items"),
            _ => None,
        };
    }
    for name in ["ips_threat_data.rawData", "data.ips_threat.raw_data"] {
        let report = fields.first(&[name]).unwrap_or_default();
        incident.observe_cves(report, name);
        // `SHA-256:      9CED…`
        let hash = report.split_once("SHA-256:").and_then(|(_, rest)| rest.split_whitespace().next());
        incident.observe("hash", hash, name);
        incident.detail(name, fields.first(&[name]));
    }
}

/// Returns the path in `Malware detected: 'Name' at 'C:\Users\a\b.exe'` and in `Threat 'Name' in 'b.exe'`.
fn path_in(text: &str) -> Option<&str> {
    let (_, path) = text.rsplit_once("' at '").or_else(|| text.rsplit_once("' in '"))?;
    path.split_once('\'').map(|(path, _)| path)
}

/// Returns the site in `Access was blocked to "www.example.com" because of "a rule".`
fn site_in(text: &str) -> Option<&str> {
    let (start, rest) = text.split_once(" to \"")?;
    start.starts_with("Access was ").then(|| rest.split_once('"').map(|(site, _)| site))?
}

hookmill_sdk::export!(SophosCentral);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::SophosCentral>("payloads");
        testing::check_rejects_invalid::<super::SophosCentral>();
    }
}
