//! Google Security Command Center: findings of versions 1 and 2, bare, in a notification, in a list, or in a message that
//! Pub/Sub pushes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_sdk::attack::{tactic_id, technique_id};
use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, State, Text};
use hookmill_sdk::{file_name, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::net::IpAddr;

const EXPECTED: &str = "a finding of Google Security Command Center with `name`, alone, in `finding`, in \
                        `listFindingsResults`, or in a message of Pub/Sub";
/// The fields that Google calls indicators of compromise.
const INDICATORS: [(&str, &[&str]); 3] = [("ip", &["ipAddresses"]), ("domain", &["domains"]), ("url", &["uris"])];
const OBSERVABLES: [(&str, &[&str]); 6] = [
    ("hash", &["files.sha256"]),
    ("cve", &["vulnerability.cve.id"]),
    ("user-account", &["access.principalEmail", "sourceProperties.properties.attempts.username"]),
    ("hostname", &["sourceProperties.properties.attempts.vmName"]),
    ("domain", &["sourceProperties.properties.domains"]),
    ("ip", &["sourceProperties.properties.attempts.sourceIp", "sourceProperties.properties.ips"]),
];
/// Addresses that can be those of the organisation itself: private ones are details.
const ADDRESSES: [&str; 3] = ["access.callerIp", "connections.destinationIp", "connections.sourceIp"];
/// The beginnings of members, and the types of observables.
const MEMBERS: [(&str, &str); 3] = [("user:", "mail"), ("group:", "mail"), ("serviceAccount:", "user-account")];
const INSTANCE: &str = "/instances/";

struct Scc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    finding: Option<&'a RawValue>,
    resource: Option<&'a RawValue>,
    list_findings_results: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    processes: Option<&'a RawValue>,
}

/// A message of Pub/Sub with a notification in Base64.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Text<'a>,
}

impl Mapper for Scc {
    fn describe() -> Description {
        hookmill_sdk::description!("Google Security Command Center", "Findings of Google Security Command Center")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let envelope: Envelope = event.json(EXPECTED)?;
        let Some(message) = envelope.message.filter(|_| envelope.finding.is_none()) else {
            return map_text(event.json::<&RawValue>(EXPECTED)?.get());
        };
        let message: Message = json(message.get()).ok_or_else(unsupported)?;
        let data = message.data.get().ok_or_else(unsupported)?;
        let malformed = |_| MappingError::Malformed("`message.data` is not Base64".into());
        let notification = STANDARD.decode(data).map_err(malformed)?;
        let notification = String::from_utf8_lossy(&notification);
        if !notification.trim_start().starts_with('{') {
            return Err(unsupported());
        }
        map_text(&notification)
    }
}

fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

fn map_text(text: &str) -> Result<Outcome, MappingError> {
    let envelope: Envelope = json(text).ok_or_else(unsupported)?;
    match envelope.list_findings_results {
        Some(list) => map_list(list, EXPECTED, |item: &&RawValue, outcome| {
            outcome.incidents.push(incident(item.get())?);
            Ok(())
        }),
        None => Ok(incident(text)?.into()),
    }
}

/// Maps a finding, alone or with its resource.
fn incident(text: &str) -> Result<Incident, MappingError> {
    let envelope: Envelope = json(text).ok_or_else(unsupported)?;
    let finding_text = envelope.finding.map_or(text, RawValue::get);
    let finding: Fields = json(finding_text).ok_or_else(unsupported)?;
    let resource: Fields = envelope.resource.and_then(|resource| json(resource.get())).unwrap_or_default();
    let first = |name: &str| finding.all(name).next();
    // `organizations/…/findings/ID` in version 1, `organizations/…/locations/global/findings/ID` in version 2.
    let name = finding.first(&["name", "canonicalName"]);
    let id = name.and_then(|name| name.rsplit_once("/findings/")).map(|(_, id)| id).ok_or_else(unsupported)?;
    let mut incident = Incident::new(id);
    incident.set_title(first("category"));
    let description = finding.first(&["description", "sourceProperties.Explanation"]);
    incident.description = description.map(str::to_owned);
    incident.category = first("findingClass").map(str::to_owned);
    let severity = first("severity").filter(|name| *name != "SEVERITY_UNSPECIFIED");
    let older = || finding.first(&["sourceProperties.SeverityLevel", "sourceProperties.detectionPriority"]);
    incident.set_severity(severity.or_else(older));
    incident.state = match (first("state"), first("mute")) {
        (Some("INACTIVE"), _) | (_, Some("MUTED")) => Some(State::Resolved),
        (Some("ACTIVE"), _) => Some(State::Open),
        _ => None,
    };
    // The time of the event moves with each change, the time of creation does not.
    incident.occurred_at = finding.time(&["eventTime", "createTime"]);
    incident.changed_at = finding.time(&["eventTime"]);
    incident.detail_fields(&finding, &["state", "mute"]);
    let link = finding.first(&["externalUri", "sourceProperties.contextUris.cloudLoggingQueryUri.url"]);
    incident.external_link = link.map(str::to_owned);
    incident.tag(first("findingClass").unwrap_or_default());
    observe(&mut incident, &finding, &resource);
    let envelope: Envelope = json(finding_text).ok_or_else(unsupported)?;
    for process in
        &envelope.processes.and_then(|list| json::<hookmill_sdk::List<Fields>>(list.get())).unwrap_or_default()
    {
        // A hash of a part of a file is not the file's.
        let is_whole = process.first(&["binary.partiallyHashed"]) != Some("true");
        incident.observe("hash", process.first(&["binary.sha256"]).filter(|_| is_whole), "processes.binary");
        incident.observe("filename", process.first(&["binary.path"]).map(file_name), "processes.binary");
    }
    classify(&mut incident, &finding);
    incident.detail("name", name);
    incident.keep_unread(&finding, "");
    for (name, value) in resource.iter() {
        incident.detail(&format!("resource.{name}"), Some(value));
    }
    Ok(incident)
}

fn observe(incident: &mut Incident, finding: &Fields, resource: &Fields) {
    for (data_type, _, value) in finding.typed("indicator.", &INDICATORS) {
        incident.observe(data_type, Some(value), "indicator").map(Observable::ioc);
    }
    incident.observe_fields(finding, &OBSERVABLES);
    for (name, value) in ADDRESSES.iter().flat_map(|name| finding.all(name).map(move |value| (name, value))) {
        if is_private(value) {
            incident.detail(name, Some(value));
        } else {
            incident.observe("ip", Some(value), name);
        }
    }
    let instances = [
        finding.first(&["resourceName"]),
        finding.first(&["sourceProperties.properties.instanceDetails"]),
        resource.first(&["name"]),
    ];
    for name in instances.into_iter().flatten().filter_map(|name| name.rsplit_once(INSTANCE)) {
        // The number of an instance says nothing where its name is known.
        let is_number = name.1.bytes().all(|byte| byte.is_ascii_digit());
        let display_name = resource.first(&["displayName"]).filter(|_| is_number);
        incident.observe("hostname", display_name.or(Some(name.1)), "instance");
    }
    for member in finding.all("iamBindings.member") {
        if let Some((prefix, data_type)) = MEMBERS.iter().find(|(prefix, _)| member.starts_with(prefix)) {
            incident.observe(data_type, member.strip_prefix(prefix), "iamBindings.member");
        }
    }
}

fn is_private(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_unique_local(),
        Err(_) => false,
    }
}

/// Adds the techniques and tactics, which are words of an enumeration with keys in two casings.
fn classify(incident: &mut Incident, finding: &Fields) {
    let all = |camel: &'static str, snake: &'static str| {
        let names = [format!("mitreAttack.{camel}"), format!("mitreAttack.{snake}")];
        names.into_iter().flat_map(|name| finding.all(name).map(str::to_owned).collect::<Vec<_>>())
    };
    let tactic = all("primaryTactic", "primary_tactic").next();
    for technique in all("primaryTechniques", "primary_techniques") {
        incident.attack(technique_id(&technique).unwrap_or(&technique), tactic.as_deref());
    }
    for technique in all("additionalTechniques", "additional_techniques") {
        incident.attack(technique_id(&technique).unwrap_or(&technique), None);
    }
    for tactic in tactic.iter().cloned().chain(all("additionalTactics", "additional_tactics")) {
        incident.attack(tactic_id(&tactic).unwrap_or_default(), None);
    }
}

hookmill_sdk::export!(Scc);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Scc>("payloads");
        testing::check_rejects_invalid::<super::Scc>();
    }
}
