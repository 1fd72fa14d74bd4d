//! CrowdStrike Falcon: detections of the Event Streams API and of Falcon Data Replicator (FDR), which has no
//! `metadata`.

use hookmill_sdk::{
    Description, Event, Incident, List, Mapper, MappingError, Observable, Outcome, Severity, State, Text,
};
use serde::Deserialize;

const EXPECTED: &str = "a CrowdStrike event with `metadata.eventType` and `event`, or FDR's `event.ExternalApiType`";

/// The mapper for CrowdStrike Falcon.
pub struct CrowdStrike;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    event: Option<Detection<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    event_type: Text<'a>,
    event_creation_time: Text<'a>,
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
    falcon_host_link: Text<'a>,
    detect_name: Text<'a>,
    name: Text<'a>,
    incident_type: Text<'a>,
    detect_description: Text<'a>,
    description: Text<'a>,
    incident_description: Text<'a>,
    severity_name: Text<'a>,
    severity: Text<'a>,
    state: Text<'a>,

    start_time: Text<'a>,
    incident_start_time: Text<'a>,
    context_time_stamp: Text<'a>,
    #[serde(rename = "UTCTimestamp")]
    utc_timestamp: Text<'a>,

    computer_name: Text<'a>,
    hostname: Text<'a>,
    hostname_field: Text<'a>,
    endpoint_name: Text<'a>,
    source_endpoint_host_name: Text<'a>,
    #[serde(rename = "LocalIP")]
    local_ip: Text<'a>,
    endpoint_ip: Text<'a>,
    source_endpoint_ip_address: Text<'a>,
    #[serde(rename = "MACAddress")]
    mac_address: Text<'a>,
    user_name: Text<'a>,
    source_account_name: Text<'a>,
    target_account_name: Text<'a>,

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
    file_name: Text<'a>,
    network_accesses: List<Activity<'a>>,
    dns_requests: List<Activity<'a>>,
    files_written: List<Activity<'a>>,
    executables_written: List<Activity<'a>>,

    tactic: Text<'a>,
    technique: Text<'a>,
    technique_id: Text<'a>,
    technique_ids: List<Text<'a>>,
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
    file_name: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attack<'a> {
    #[serde(borrow)]
    tactic: Text<'a>,
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
            "Detections of Falcon's event stream and FDR, and changes of their state",
            "crowdstrike"
        )
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        let unsupported = || MappingError::Unsupported(format!("expected {EXPECTED}"));
        let detection = payload.event.as_ref().ok_or_else(unsupported)?;
        let kind = payload.metadata.as_ref().and_then(|metadata| metadata.event_type.get());
        let kind = kind.or(detection.external_api_type.get()).ok_or_else(unsupported)?;
        let kind = kind.strip_prefix("Event_").unwrap_or(kind);
        let sent_at = payload.metadata.as_ref().and_then(|metadata| metadata.event_creation_time.time());
        let sent_at = sent_at.or_else(|| detection.utc_timestamp.time());
        if kind == "UserActivityAuditEvent" {
            return Ok(detection.audit(sent_at));
        }
        match detection.id() {
            Some(id) => Ok(detection.incident(id, kind, sent_at).into()),
            None if kind.contains("Detection") => Err(MappingError::Malformed(format!("{kind} has no id"))),
            None => Ok(Outcome::skip(format!("{kind} is not a detection"))),
        }
    }
}

impl Detection<'_> {
    /// Returns the detection's id. Incident summaries have no id except their link without the query string.
    fn id(&self) -> Option<&str> {
        let ids =
            [&self.composite_id, &self.detect_id, &self.identity_protection_incident_id, &self.mobile_detection_id];
        first(ids).or_else(|| self.falcon_host_link.get()?.split('?').next())
    }

    fn incident(&self, id: &str, kind: &str, sent_at: Option<String>) -> Incident {
        let mut incident = Incident::new(id);
        incident.set_title(first([&self.detect_name, &self.name, &self.incident_type]).or(Some(kind)));
        incident.description =
            first([&self.detect_description, &self.description, &self.incident_description]).map(str::to_owned);
        incident.vendor_severity = first([&self.severity_name, &self.severity]).map(str::to_owned);
        incident.severity = self.read_severity();
        incident.state = self.state.get().and_then(read_state);
        let started_at = [&self.start_time, &self.incident_start_time, &self.context_time_stamp];
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

    /// Reads the name of the severity or, if absent, the number. Its scale is 1 to 5 or 0 to 100, whatever the kind of
    /// event: FDR uses 1 to 5 for kinds for which the stream uses 0 to 100.
    fn read_severity(&self) -> Option<Severity> {
        let named = self.severity_name.get().and_then(Severity::parse);
        named.or_else(|| match self.severity.number()? {
            5.0 | 80.0.. => Some(Severity::Critical),
            4.0 | 60.0.. => Some(Severity::High),
            3.0 | 40.0.. => Some(Severity::Medium),
            2.0 | 20.0.. => Some(Severity::Low),
            _ => Some(Severity::Informational),
        })
    }

    fn observe(&self, incident: &mut Incident) {
        let names = [&self.computer_name, &self.hostname, &self.hostname_field, &self.endpoint_name];
        for name in names.into_iter().chain([&self.source_endpoint_host_name]) {
            incident.observe("hostname", name.get(), "affected host");
        }
        for ip in [&self.local_ip, &self.endpoint_ip, &self.source_endpoint_ip_address] {
            incident.observe("ip", ip.get(), "affected host");
        }
        incident.observe("mac", self.mac_address.get(), "affected host");
        incident.observe("user-account", first([&self.user_name, &self.source_account_name]), "user");
        incident.observe("user-account", self.target_account_name.get(), "target account");
        // Added first, because the first role of an observable is kept.
        let indicator_type = match self.ioc_type.get().unwrap_or_default() {
            "domain" => "domain",
            "ipv4" | "ipv6" => "ip",
            "filename" => "filename",
            "registry_key" => "registry",
            "hash_sha256" | "hash_sha1" | "hash_md5" | "sha256" | "sha1" | "md5" => "hash",
            _ => "other",
        };
        incident.observe(indicator_type, self.ioc_value.get(), "indicator").map(Observable::ioc);
        for hash in [&self.sha256, &self.sha1, &self.md5] {
            incident.observe("hash", hash.get(), "process image");
        }
        incident.observe("filename", self.file_name.get(), "process image");
        let activities = self.network_accesses.iter().chain(&self.dns_requests);
        for activity in activities.chain(&self.files_written).chain(&self.executables_written) {
            incident.observe("ip", activity.remote_address.get(), "contacted");
            incident.observe("domain", activity.domain_name.get(), "looked up");
            incident.observe("filename", activity.file_name.get(), "written");
        }
    }

    /// Adds tactic and technique names as tags, and techniques where ATT&CK ids are present.
    fn classify(&self, incident: &mut Incident) {
        for name in [&self.tactic, &self.technique] {
            incident.tag(name.get().unwrap_or_default());
        }
        for attack in &self.mitre_attack {
            incident.attack(attack.technique_id.get().unwrap_or_default(), attack.tactic.get());
        }
        for id in self.technique_ids.iter().chain([&self.technique_id]) {
            incident.attack(id.get().unwrap_or_default(), self.tactic.get());
        }
    }

    /// Maps an action of an analyst in Falcon's console. Only closing and reopening a detection matter.
    fn audit(&self, sent_at: Option<String>) -> Outcome {
        let value = |name| self.audit_key_values.iter().find(|field| field.key.get() == Some(name))?.value_string.get();
        let id = value("detection_id").or_else(|| value("composite_id"));
        let (Some(id), Some(state)) = (id, value("new_state").and_then(read_state)) else {
            let operation = self.operation_name.get().unwrap_or("an unnamed operation");
            return Outcome::skip(format!("UserActivityAuditEvent: {operation} does not open or close a detection"));
        };
        let mut incident = Incident::new(id);
        incident.state = Some(state);
        incident.changed_at = sent_at;
        incident.detail("new_state", value("new_state"));
        incident.detail("new_state_by", self.user_id.get());
        incident.into()
    }
}

fn read_state(name: &str) -> Option<State> {
    match name.to_ascii_lowercase().as_str() {
        "true_positive" | "ignored" | "dismiss" | "auto_resolved" => Some(State::Resolved),
        name => State::parse(name),
    }
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
