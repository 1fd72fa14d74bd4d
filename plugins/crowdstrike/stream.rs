//! Detections and actions of the Event Streams API and of Falcon Data Replicator: names in camel case, another set of them
//! for each kind of event.

use super::{Roles, indicator_type, observe, state, unsupported};
use hookmill_sdk::{Fields, Incident, MappingError, Observable, Outcome, Scale, Severity};

/// Parts of the names of kinds that report an attack.
const ALERTS: [&str; 4] = ["Detection", "Lead", "IncidentSummary", "IdentityProtection"];
// The kinds of events use different names for the same values.
const IDS: [&str; 7] = [
    "CompositeId",
    "DetectId",
    "IdentityProtectionIncidentId",
    "MobileDetectionId",
    "LeadId",
    "NotificationId",
    "IncidentID",
];
const TITLES: [&str; 5] = ["DetectName", "Name", "IncidentType", "PolicyStatement", "RuleName"];
const DESCRIPTIONS: [&str; 3] = ["DetectDescription", "Description", "IncidentDescription"];
const SEVERITIES: [&str; 3] = ["SeverityName", "Severity", "RulePriority"];
const TIMES: [&str; 5] =
    ["StartTime", "StartTimeEpoch", "IncidentStartTime", "ContextTimeStamp", "SignalStartTimestamp"];
const LINK: &str = "FalconHostLink";

const HOSTS: &Roles = &[
    ("hostname", "affected host", &["ComputerName", "Hostname", "HostnameField", "EndpointName"]),
    ("hostname", "affected host", &["SourceEndpointHostName", "ThreatgraphIndicators.Hostname"]),
    ("hostname", "target", &["TargetEndpointHostName"]),
    ("ip", "affected host", &["LocalIP", "LocalIPv6", "EndpointIp", "SourceEndpointIpAddress"]),
    ("mac", "affected host", &["MACAddress"]),
    ("ip", "caller", &["EventSourceIp", "OriginSourceIpAddress"]),
];
const FILES: &Roles = &[
    ("hash", "process image", &["SHA256String", "SHA1String", "MD5String"]),
    ("filename", "process image", &["FileName"]),
];
/// Lists, each written as one text.
const LISTS: &Roles = &[
    ("hostname", "involved", &["HostNames"]),
    ("ip", "involved", &["IPv4Addresses", "IPV4Addresses", "IPv6Addresses", "IPV6Addresses"]),
    ("user-account", "involved", &["Users"]),
    ("mail", "involved", &["EmailAddresses"]),
    ("hash", "involved", &["SHA256Hashes", "MD5Hashes"]),
    ("domain", "involved", &["DomainNames"]),
];
const ACTIVITIES: &Roles = &[
    ("ip", "contacted", &["NetworkAccesses.RemoteAddress", "MobileNetworkConnections.RemoteAddress"]),
    ("url", "contacted", &["MobileNetworkConnections.Url"]),
    ("domain", "looked up", &["DnsRequests.DomainName", "MobileDnsRequests.DomainName"]),
    ("filename", "written", &["FilesWritten.FileName", "ExecutablesWritten.FileName"]),
];
/// Details in front of those that no field of an incident has.
const DETAILS: [&str; 7] = [
    "Objective",
    "PatternDispositionDescription",
    "CommandLine",
    "FilePath",
    "ParentImageFileName",
    "ParentCommandLine",
    "GrandParentCommandLine",
];

/// Maps an event of the stream or of FDR.
pub(crate) fn outcome(metadata: Option<&Fields>, event: &Fields) -> Result<Outcome, MappingError> {
    let kind = metadata.and_then(|metadata| metadata.first(&["eventType"]));
    let kind = kind.or(event.same(&["ExternalApiType"])).ok_or_else(unsupported)?;
    let kind = kind.strip_prefix("Event_").unwrap_or(kind);
    let sent_at = metadata.and_then(|metadata| metadata.time(&["eventCreationTime"]));
    let sent_at = sent_at.or(event.time(&["UTCTimestamp"]));
    if kind == "UserActivityAuditEvent" {
        return Ok(audit(event, sent_at));
    }
    let own_id = event.same(&IDS).or_else(|| event.first(&[LINK])?.split('?').next());
    // Kinds that are not known are alerts if they have a severity.
    let is_alert = ALERTS.iter().any(|part| kind.contains(part));
    if !is_alert && own_id.is_none() && severity(event).is_none() {
        return Ok(Outcome::skip(format!("{kind} is not a detection")));
    }
    let id = own_id.map(str::to_owned).or_else(|| place(metadata?));
    let id = id.ok_or_else(|| MappingError::Malformed(format!("{kind} has no id and no offset")))?;
    let mut incident = incident(id, kind, event, sent_at);
    classify(&mut incident, event);
    DETAILS.iter().for_each(|name| incident.detail(name, event.first(&[name])));
    incident.detail("AgentId", event.same(&["AgentId", "AgentIdString", "SensorId"]));
    incident.keep_members(event, |_| false);
    Ok(incident.into())
}

/// Returns the place of the event in the customer's stream, which identifies events without an id.
fn place(metadata: &Fields) -> Option<String> {
    let customer = metadata.first(&["customerIDString"]).unwrap_or_default();
    Some(format!("{customer}:{}", metadata.first(&["offset"])?))
}

fn incident(id: String, kind: &str, detection: &Fields, sent_at: Option<String>) -> Incident {
    let mut incident = Incident::new(id);
    // The type of an incident can be a number.
    let title = detection.same(&TITLES).filter(|title| title.parse::<u64>().is_err());
    incident.set_title(title.or(Some(kind)));
    let found: Vec<&str> = detection.all("ThreatgraphIndicators.Description").collect();
    let found = (!found.is_empty()).then(|| found.join("\n"));
    incident.description = detection.same(&DESCRIPTIONS).map(str::to_owned).or(found);
    incident.vendor_severity = detection.same(&SEVERITIES).map(str::to_owned);
    incident.severity = severity(detection);
    incident.state = detection.same(&["State"]).and_then(state);
    detection.same(&TIMES);
    incident.occurred_at = detection.time(&TIMES).or_else(|| sent_at.clone());
    incident.changed_at = sent_at;
    incident.external_link = detection.first(&[LINK]).map(str::to_owned);
    observe(&mut incident, detection, HOSTS, &[]);
    incident.observe_user(detection.same(&["UserName", "SourceAccountName"]), "user");
    incident.observe_user(detection.same(&["TargetAccountName"]), "target account");
    // Before the others, because the first role of an observable is kept.
    let indicator_type = indicator_type(detection.same(&["IOCType"]).unwrap_or_default());
    incident.observe(indicator_type, detection.same(&["IOCValue"]), "indicator").map(Observable::ioc);
    observe(&mut incident, detection, FILES, &[]);
    observe(&mut incident, detection, LISTS, &[',']);
    observe(&mut incident, detection, ACTIVITIES, &[]);
    incident
}

/// Reads the name of the severity or, if absent, the number. A lead has the severity of its worst detection.
fn severity(detection: &Fields) -> Option<Severity> {
    let named = ["SeverityName", "RulePriority"].iter().find_map(|name| Severity::parse(detection.first(&[name])?));
    let own = named.or_else(|| severity_of(detection.first(&["Severity"])?));
    own.or_else(|| detection.all("ThreatgraphIndicators.Severity").filter_map(severity_of).max())
}

/// Converts a number on a scale of 1 to 5 or 0 to 100, whatever the kind of event: FDR uses 1 to 5 for kinds for which
/// the stream uses 0 to 100. Some kinds have a name in this field.
fn severity_of(text: &str) -> Option<Severity> {
    match text.parse() {
        Ok(number @ 1.0..=5.0) => Severity::on_scale(Scale::Five, number),
        Ok(number) => Severity::on_scale(Scale::Hundred, number),
        Err(_) => Severity::parse(text),
    }
}

/// Adds tactic and technique names as tags, and the techniques of ATT&CK.
fn classify(incident: &mut Incident, detection: &Fields) {
    let [tactic, technique, id] = ["Tactic", "Technique", "TechniqueId"].map(|name| detection.same(&[name]));
    let listed = |name| detection.all(name).flat_map(|text| text.split(','));
    let names = [tactic, technique].into_iter().flatten();
    names.chain(listed("Tactics")).chain(listed("Techniques")).for_each(|name| incident.tag(name));
    for attack in detection.objects("MitreAttack") {
        let [id, name, tactic] = ["TechniqueID", "Technique", "Tactic"].map(|name| attack.first(&[name]));
        incident.attack_named(id, name, tactic);
    }
    detection.all("TechniqueIds").for_each(|id| incident.attack(id, tactic));
    if incident.techniques.is_empty() {
        incident.attack_named(id, technique, tactic);
    }
    listed("Techniques").for_each(|name| incident.attack_named(None, Some(name.trim()), None));
    detection.all("ThreatgraphIndicators.DisplayName").for_each(|name| incident.tag(name));
}

/// Maps an action of an analyst in Falcon's console. Only closing and opening a detection matter.
fn audit(action: &Fields, sent_at: Option<String>) -> Outcome {
    let values = action.objects("AuditKeyValues");
    let pairs = values.iter().filter_map(|pair| Some((pair.first(&["Key"])?, pair.first(&["ValueString"])?)));
    let values = Fields::from_pairs(pairs);
    let new_state = values.first(&["new_state"]);
    let (Some(id), Some(state)) = (values.first(&["detection_id", "composite_id"]), new_state.and_then(state)) else {
        let operation = action.first(&["OperationName"]).unwrap_or("an unnamed operation");
        let state = new_state.map(|state| format!(" ({state})")).unwrap_or_default();
        let reason = format!("UserActivityAuditEvent: {operation}{state} does not open or close a detection");
        return Outcome::skip(reason);
    };
    let mut incident = Incident::new(id);
    incident.state = Some(state);
    incident.changed_at = sent_at;
    incident.detail("new_state", new_state);
    incident.detail("new_state_by", action.first(&["UserId"]));
    incident.into()
}
