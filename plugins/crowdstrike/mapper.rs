//! CrowdStrike Falcon: detections of the Event Streams API and of Falcon Data Replicator (FDR), which has no
//! `metadata`, and alerts of the Alerts API.

mod alert;

use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Observable, Outcome, Part, Scale, Severity,
    State, Text, WithRest,
};
use serde::Deserialize;

const EXPECTED: &str = "a CrowdStrike event with `metadata.eventType` and `event`, FDR's `event.ExternalApiType`, or an \
                        alert with `composite_id`, also in `resources`";

/// The mapper for CrowdStrike Falcon.
pub struct CrowdStrike;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    metadata: Part<Metadata<'a>>,
    event: Part<WithRest<'a, Detection<'a>>>,
    /// In an answer of the Alerts API.
    resources: List<Fields<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    event_type: Text<'a>,
    event_creation_time: Text<'a>,
    #[serde(rename = "customerIDString")]
    customer_id: Text<'a>,
    offset: Text<'a>,
}

/// The fields used from all kinds of events. The kinds use different names for the same values.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detection<'a> {
    #[serde(borrow)]
    external_api_type: Text<'a>,
    composite_id: Text<'a>,
    detect_id: Text<'a>,
    identity_protection_incident_id: Text<'a>,
    mobile_detection_id: Text<'a>,
    lead_id: Text<'a>,
    notification_id: Text<'a>,
    falcon_host_link: Text<'a>,
    detect_name: Text<'a>,
    name: Text<'a>,
    incident_type: Text<'a>,
    policy_statement: Text<'a>,
    rule_name: Text<'a>,
    detect_description: Text<'a>,
    description: Text<'a>,
    incident_description: Text<'a>,
    severity_name: Text<'a>,
    severity: Text<'a>,
    rule_priority: Text<'a>,
    state: Text<'a>,
    threatgraph_indicators: List<Indicator<'a>>,

    start_time: Text<'a>,
    incident_start_time: Text<'a>,
    context_time_stamp: Text<'a>,
    signal_start_timestamp: Text<'a>,
    #[serde(rename = "UTCTimestamp")]
    utc_timestamp: Text<'a>,

    computer_name: Text<'a>,
    hostname: Text<'a>,
    hostname_field: Text<'a>,
    endpoint_name: Text<'a>,
    source_endpoint_host_name: Text<'a>,
    target_endpoint_host_name: Text<'a>,
    host_names: Text<'a>,
    #[serde(rename = "LocalIP")]
    local_ip: Text<'a>,
    #[serde(rename = "LocalIPv6")]
    local_ipv6: Text<'a>,
    endpoint_ip: Text<'a>,
    source_endpoint_ip_address: Text<'a>,
    #[serde(rename = "IPv4Addresses", alias = "IPV4Addresses")]
    ipv4_addresses: Text<'a>,
    #[serde(rename = "IPv6Addresses", alias = "IPV6Addresses")]
    ipv6_addresses: Text<'a>,
    #[serde(rename = "MACAddress")]
    mac_address: Text<'a>,
    event_source_ip: Text<'a>,
    user_name: Text<'a>,
    source_account_name: Text<'a>,
    target_account_name: Text<'a>,
    users: Text<'a>,
    email_addresses: Text<'a>,

    #[serde(rename = "IOCType")]
    ioc_type: Text<'a>,
    #[serde(rename = "IOCValue")]
    ioc_value: Text<'a>,
    #[serde(rename = "SHA256String")]
    sha256: Text<'a>,
    #[serde(rename = "SHA1String")]
    sha1: Text<'a>,
    #[serde(rename = "MD5String")]
    md5: Text<'a>,
    #[serde(rename = "SHA256Hashes")]
    sha256_hashes: Text<'a>,
    #[serde(rename = "MD5Hashes")]
    md5_hashes: Text<'a>,
    domain_names: Text<'a>,
    file_name: Text<'a>,
    network_accesses: List<Activity<'a>>,
    dns_requests: List<Activity<'a>>,
    files_written: List<Activity<'a>>,
    executables_written: List<Activity<'a>>,
    mobile_network_connections: List<Activity<'a>>,
    mobile_dns_requests: List<Activity<'a>>,

    tactic: Text<'a>,
    technique: Text<'a>,
    technique_id: Text<'a>,
    technique_ids: List<Text<'a>>,
    tactics: Text<'a>,
    techniques: Text<'a>,
    mitre_attack: List<Attack<'a>>,

    objective: Text<'a>,
    pattern_disposition_description: Text<'a>,
    command_line: Text<'a>,
    file_path: Text<'a>,
    parent_image_file_name: Text<'a>,
    parent_command_line: Text<'a>,
    grand_parent_command_line: Text<'a>,
    agent_id: Text<'a>,
    agent_id_string: Text<'a>,
    sensor_id: Text<'a>,

    operation_name: Text<'a>,
    user_id: Text<'a>,
    audit_key_values: List<AuditField<'a>>,
}

/// An activity of the process; the field that is present gives its kind.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Activity<'a> {
    #[serde(borrow)]
    remote_address: Text<'a>,
    domain_name: Text<'a>,
    url: Text<'a>,
    file_name: Text<'a>,
}

/// A detection that a lead consists of.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Indicator<'a> {
    #[serde(borrow)]
    severity: Text<'a>,
    hostname: Text<'a>,
    display_name: Text<'a>,
    description: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attack<'a> {
    #[serde(borrow)]
    tactic: Text<'a>,
    technique: Text<'a>,
    #[serde(rename = "TechniqueID")]
    technique_id: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AuditField<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    value_string: Text<'a>,
}

impl Mapper for CrowdStrike {
    fn describe() -> Description {
        hookmill_sdk::description!(
            "CrowdStrike Falcon",
            "Detections of Falcon's event stream, FDR and Alerts API, and changes of their state",
            "crowdstrike"
        )
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        let Some(detection) = payload.event.get() else { return alerts(event, &payload.resources) };
        let metadata = payload.metadata.get();
        let kind = metadata.and_then(|metadata| metadata.event_type.get());
        let kind = kind.or(detection.external_api_type.get()).ok_or_else(unsupported)?;
        let kind = kind.strip_prefix("Event_").unwrap_or(kind);
        let sent_at = metadata.and_then(|metadata| metadata.event_creation_time.time());
        let sent_at = sent_at.or_else(|| detection.utc_timestamp.time());
        if kind == "UserActivityAuditEvent" {
            return Ok(detection.audit(sent_at));
        }
        if !detection.is_alert(kind) {
            return Ok(Outcome::skip(format!("{kind} is not a detection")));
        }
        let id = detection.id().map(str::to_owned).or_else(|| metadata?.id());
        let id = id.ok_or_else(|| MappingError::Malformed(format!("{kind} has no id and no offset")))?;
        let mut incident = detection.incident(&id, kind, sent_at);
        incident.keep_rest(detection, |_| false);
        Ok(incident.into())
    }
}

fn unsupported() -> MappingError {
    MappingError::Unsupported(format!("expected {EXPECTED}"))
}

/// Maps alerts of the Alerts API, those of `resources` or the body itself.
fn alerts(event: &Event, resources: &[Fields]) -> Result<Outcome, MappingError> {
    let body: Fields = event.json(EXPECTED)?;
    let list = if resources.is_empty() { std::slice::from_ref(&body) } else { resources };
    if !list.iter().any(alert::is_alert) {
        return Err(unsupported());
    }
    let mut outcome = Outcome::default();
    for (number, found) in (1..).zip(list) {
        match alert::id(found) {
            Some(id) => outcome.incidents.push(alert::incident(id, found)),
            None => outcome.problems.push(format!("alert {number} has no `composite_id`")),
        }
    }
    if outcome.incidents.is_empty() {
        return Err(MappingError::Malformed(outcome.problems.join("; ")));
    }
    Ok(outcome)
}

impl Metadata<'_> {
    /// Returns the place of the event in the customer's stream, which identifies events without an id.
    fn id(&self) -> Option<String> {
        Some(format!("{}:{}", self.customer_id.get().unwrap_or_default(), self.offset.get()?))
    }
}

impl Detection<'_> {
    /// Returns the detection's id. Incident summaries have no id except their link without the query string.
    fn id(&self) -> Option<&str> {
        let ids = [
            &self.composite_id,
            &self.detect_id,
            &self.identity_protection_incident_id,
            &self.mobile_detection_id,
            &self.lead_id,
            &self.notification_id,
        ];
        first(ids).or_else(|| self.falcon_host_link.get()?.split('?').next())
    }

    /// Returns whether an event of this kind reports an attack. Kinds that are not known do if they have a severity.
    fn is_alert(&self, kind: &str) -> bool {
        let known = ["Detection", "Lead", "IncidentSummary", "IdentityProtection"];
        known.iter().any(|part| kind.contains(part)) || self.id().is_some() || self.read_severity().is_some()
    }

    fn incident(&self, id: &str, kind: &str, sent_at: Option<String>) -> Incident {
        let mut incident = Incident::new(id);
        let names = [&self.detect_name, &self.name, &self.incident_type, &self.policy_statement, &self.rule_name];
        incident.set_title(first(names).or(Some(kind)));
        let description = first([&self.detect_description, &self.description, &self.incident_description]);
        let found: Vec<&str> = self.threatgraph_indicators.iter().filter_map(|found| found.description.get()).collect();
        incident.description = description.map(str::to_owned).or((!found.is_empty()).then(|| found.join("\n")));
        incident.vendor_severity = first([&self.severity_name, &self.severity, &self.rule_priority]).map(str::to_owned);
        incident.severity = self.read_severity();
        incident.state = self.state.get().and_then(read_state);
        let started_at =
            [&self.start_time, &self.incident_start_time, &self.context_time_stamp, &self.signal_start_timestamp];
        incident.occurred_at = started_at.into_iter().find_map(Text::time).or_else(|| sent_at.clone());
        incident.changed_at = sent_at;
        incident.external_link = self.falcon_host_link.owned();
        self.observe(&mut incident);
        self.classify(&mut incident);
        let details = [
            ("Objective", self.objective.get()),
            ("PatternDispositionDescription", self.pattern_disposition_description.get()),
            ("CommandLine", self.command_line.get()),
            ("FilePath", self.file_path.get()),
            ("ParentImageFileName", self.parent_image_file_name.get()),
            ("ParentCommandLine", self.parent_command_line.get()),
            ("GrandParentCommandLine", self.grand_parent_command_line.get()),
            ("AgentId", first([&self.agent_id, &self.agent_id_string, &self.sensor_id])),
        ];
        details.into_iter().for_each(|(name, value)| incident.detail(name, value));
        incident
    }

    /// Reads the name of the severity or, if absent, the number. A lead has the severity of its worst detection.
    fn read_severity(&self) -> Option<Severity> {
        let named =
            [&self.severity_name, &self.rule_priority].into_iter().find_map(|name| Severity::parse(name.get()?));
        let own = named.or_else(|| severity_of(&self.severity));
        own.or_else(|| self.threatgraph_indicators.iter().filter_map(|found| severity_of(&found.severity)).max())
    }

    fn observe(&self, incident: &mut Incident) {
        let names = [&self.computer_name, &self.hostname, &self.hostname_field, &self.endpoint_name];
        let names = names.into_iter().chain([&self.source_endpoint_host_name]);
        for name in names.chain(self.threatgraph_indicators.iter().map(|found| &found.hostname)) {
            incident.observe("hostname", name.get(), "affected host");
        }
        incident.observe("hostname", self.target_endpoint_host_name.get(), "target");
        for ip in [&self.local_ip, &self.local_ipv6, &self.endpoint_ip, &self.source_endpoint_ip_address] {
            incident.observe("ip", ip.get(), "affected host");
        }
        incident.observe("mac", self.mac_address.get(), "affected host");
        incident.observe("ip", self.event_source_ip.get(), "caller");
        incident.observe("user-account", first([&self.user_name, &self.source_account_name]), "user");
        incident.observe("user-account", self.target_account_name.get(), "target account");
        // Added first, because the first role of an observable is kept.
        let indicator_type = indicator_type(self.ioc_type.get().unwrap_or_default());
        incident.observe(indicator_type, self.ioc_value.get(), "indicator").map(Observable::ioc);
        for hash in [&self.sha256, &self.sha1, &self.md5] {
            incident.observe("hash", hash.get(), "process image");
        }
        incident.observe("filename", self.file_name.get(), "process image");
        let lists = [
            ("hostname", &self.host_names),
            ("ip", &self.ipv4_addresses),
            ("ip", &self.ipv6_addresses),
            ("user-account", &self.users),
            ("mail", &self.email_addresses),
            ("hash", &self.sha256_hashes),
            ("hash", &self.md5_hashes),
            ("domain", &self.domain_names),
        ];
        for (data_type, value) in
            lists.into_iter().flat_map(|(data_type, list)| listed(list).map(move |v| (data_type, v)))
        {
            incident.observe(data_type, Some(value), "involved");
        }
        let activities = self.network_accesses.iter().chain(&self.dns_requests);
        let activities = activities.chain(&self.mobile_network_connections).chain(&self.mobile_dns_requests);
        for activity in activities.chain(&self.files_written).chain(&self.executables_written) {
            incident.observe("ip", activity.remote_address.get(), "contacted");
            incident.observe("domain", activity.domain_name.get(), "looked up");
            incident.observe("url", activity.url.get(), "contacted");
            incident.observe("filename", activity.file_name.get(), "written");
        }
    }

    /// Adds tactic and technique names as tags, and the techniques of ATT&CK.
    fn classify(&self, incident: &mut Incident) {
        let names = [&self.tactic, &self.technique].into_iter().filter_map(Text::get);
        for name in names.chain(listed(&self.tactics)).chain(listed(&self.techniques)) {
            incident.tag(name);
        }
        for attack in &self.mitre_attack {
            incident.attack_named(attack.technique_id.get(), attack.technique.get(), attack.tactic.get());
        }
        for id in self.technique_ids.iter().filter_map(Text::get) {
            incident.attack(id, self.tactic.get());
        }
        if incident.techniques.is_empty() {
            incident.attack_named(self.technique_id.get(), self.technique.get(), self.tactic.get());
        }
        for name in listed(&self.techniques) {
            incident.attack_named(None, Some(name), None);
        }
        for found in &self.threatgraph_indicators {
            incident.tag(found.display_name.get().unwrap_or_default());
        }
    }

    /// Maps an action of an analyst in Falcon's console. Only closing and reopening a detection matter.
    fn audit(&self, sent_at: Option<String>) -> Outcome {
        let value = |name| self.audit_key_values.iter().find(|field| field.key.get() == Some(name))?.value_string.get();
        let id = value("detection_id").or_else(|| value("composite_id"));
        let (Some(id), Some(state)) = (id, value("new_state").and_then(read_state)) else {
            let operation = self.operation_name.get().unwrap_or("an unnamed operation");
            let state = value("new_state").map(|state| format!(" ({state})")).unwrap_or_default();
            let reason = format!("UserActivityAuditEvent: {operation}{state} does not open or close a detection");
            return Outcome::skip(reason);
        };
        let mut incident = Incident::new(id);
        incident.state = Some(state);
        incident.changed_at = sent_at;
        incident.detail("new_state", value("new_state"));
        incident.detail("new_state_by", self.user_id.get());
        incident.into()
    }
}

/// Returns the type of observable of an indicator.
fn indicator_type(name: &str) -> &'static str {
    match name {
        "domain" => "domain",
        "ipv4" | "ipv6" => "ip",
        "filename" => "filename",
        "registry_key" => "registry",
        "hash_sha256" | "hash_sha1" | "hash_md5" | "sha256" | "sha1" | "md5" => "hash",
        _ => "other",
    }
}

fn read_state(name: &str) -> Option<State> {
    match name.to_ascii_lowercase().as_str() {
        "true_positive" | "ignored" | "dismiss" | "auto_resolved" => Some(State::Resolved),
        name => State::parse(name),
    }
}

/// Converts a number on a scale of 1 to 5 or 0 to 100, whatever the kind of event: FDR uses 1 to 5 for kinds for which
/// the stream uses 0 to 100. Some kinds have a name in this field.
fn severity_of(text: &Text) -> Option<Severity> {
    match text.number() {
        Some(number @ 1.0..=5.0) => Severity::on_scale(Scale::Five, number),
        Some(number) => Severity::on_scale(Scale::Hundred, number),
        None => Severity::parse(text.get()?),
    }
}

/// Returns the values of a list that is written as one text.
fn listed<'t>(text: &'t Text) -> impl Iterator<Item = &'t str> {
    text.get().unwrap_or_default().split(',').map(str::trim).filter(|value| !value.is_empty())
}

fn first<'t, const N: usize>(texts: [&'t Text<'_>; N]) -> Option<&'t str> {
    texts.into_iter().find_map(Text::get)
}

hookmill_sdk::export!(CrowdStrike);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::CrowdStrike>("payloads");
        testing::check_rejects_invalid::<super::CrowdStrike>();
    }
}
