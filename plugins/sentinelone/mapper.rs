//! SentinelOne: alerts of Unified Alert Management (UAM), threats of the API 2.1, and activities.

use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State,
    file_name,
};

const EXPECTED: &str = "an alert of SentinelOne with `detectionSource` or `alertInfo`, a threat with `threatInfo`, or an \
                        activity with `activityType`, alone, in `data`, or in an answer of GraphQL";
const ENVELOPES: Envelopes = Envelopes {
    members: &["alertWithRawIndicators", "alert", "node", "edges", "alerts", "data"],
    answer: &["pagination"],
};

/// The fields with observables of an alert. Its `asset` is as it is now, `detectionTime` is as it was.
const ALERT: [(&str, &[&str]); 5] = [
    ("hash", &["process.file.sha256", "process.file.sha1", "process.file.md5", "fileHash"]),
    ("filename", &["process.file.name", "fileName"]),
    ("hostname", &["asset.name"]),
    ("ip", &["detectionTime.asset.ipV4", "detectionTime.asset.ipV6", "rawData.evidences.src_endpoint.ip"]),
    (
        "user-account",
        &["detectionTime.asset.lastLoggedInUser", "process.username", "rawData.evidences.actor.user.name"],
    ),
];
/// The fields of an alert of a custom rule (STAR) in the API 2.1.
const STAR: [(&str, &[&str]); 5] = [
    ("hostname", &["agentDetectionInfo.name"]),
    ("ip", &["alertInfo.srcIp", "alertInfo.dstIp", "alertInfo.loginsSrcIpAddress"]),
    ("domain", &["alertInfo.dnsRequest"]),
    ("user-account", &["sourceProcessInfo.user", "alertInfo.loginsUserName"]),
    (
        "hash",
        &["sourceProcessInfo.fileHashSha256", "sourceProcessInfo.fileHashSha1", "targetProcessInfo.tgtFileHashSha256"],
    ),
];
const RAW_INDICATOR: [(&str, &[&str]); 4] = [
    ("hash", &["src.process.image.sha256", "src.process.image.sha1", "tgt.file.sha256", "tgt.file.sha1"]),
    ("ip", &["src.ip.address", "dst.ip.address"]),
    ("url", &["url.address"]),
    ("domain", &["event.dns.request"]),
];
const THREAT: [(&str, &[&str]); 2] = [
    ("hostname", &["agentDetectionInfo.agentComputerName", "agentRealtimeInfo.agentComputerName"]),
    ("user-account", &["threatInfo.processUser", "agentDetectionInfo.agentLastLoggedInUserName"]),
];
/// The addresses of a threat's host when it was detected. Those of now are read if there are none.
const THREAT_IPS: [&str; 2] = ["agentDetectionInfo.agentIpV4", "agentDetectionInfo.agentIpV6"];
const THREAT_IPS_NOW: [&str; 2] =
    ["agentRealtimeInfo.networkInterfaces.inet", "agentRealtimeInfo.networkInterfaces.inet6"];

struct SentinelOne;

impl Mapper for SentinelOne {
    fn describe() -> Description {
        hookmill_sdk::description!("SentinelOne", "Alerts, threats and activities of SentinelOne", "sentinelone")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |item, outcome| map_item(item, outcome).transpose())
    }
}

/// Maps an item. Returns none for an envelope.
fn map_item(item: &Fields, outcome: &mut Outcome) -> Result<Option<()>, MappingError> {
    // Some exporters write all names of an activity in lower case.
    let activity = item.iter().find(|(path, _)| path.eq_ignore_ascii_case("activityType")).map(|(_, kind)| kind);
    let mut incident = if item.has("threatInfo") {
        threat(item)?
    } else if item.has("alertInfo.alertId") {
        star_alert(item)?
    } else if let Some(kind) = activity {
        match kind {
            "18" | "19" | "4003" => threat_activity(kind, item)?,
            "3608" | "3784" => star_activity(item)?,
            _ => {
                outcome.skipped.push(format!("activity `{kind}` is not a new threat or alert"));
                return Ok(Some(()));
            }
        }
    } else if item.iter().any(|(path, _)| path.starts_with("detectionSource.")) {
        alert(item)?
    } else if let ([alert], true) = (item.objects("alert").as_slice(), item.has("rawIndicators")) {
        map_item(alert, outcome)?;
        if let Some(incident) = outcome.incidents.last_mut() {
            for indicator in item.objects("rawIndicators") {
                incident.observe_fields(&indicator, &RAW_INDICATOR);
                incident.keep_unread(&indicator, "");
            }
        }
        return Ok(Some(()));
    } else {
        return Ok(None);
    };
    incident.keep_unread(item, "");
    outcome.incidents.push(incident);
    Ok(Some(()))
}

fn alert(fields: &Fields) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(fields.required(&["id"])?);
    incident.set_title(fields.first(&["name"]));
    incident.description = fields.first(&["description"]).map(str::to_owned);
    incident.category = fields.first(&["classification"]).map(str::to_owned);
    incident.set_severity(fields.first(&["severity"]));
    incident.state = fields.first(&["status"]).map(state);
    incident.detail_fields(fields, &["status", "process.file.path"]);
    incident.occurred_at = fields.time(&["detectedAt", "firstSeenAt", "createdAt"]);
    incident.changed_at = fields.time(&["updatedAt"]);
    incident.observe_lists(fields, "", &ALERT);
    incident.observe("filename", fields.first(&["process.file.path"]).map(file_name), "process.file.path");
    for observable in fields.objects("observables") {
        incident.observe_named(observable.first(&["type"]), observable.first(&["value"]), "observables");
    }
    for indicator in fields.objects("indicators") {
        incident.attack_lists(indicator.all("attacks.technique.uid"), indicator.all("attacks.tactic.name"));
    }
    // The finding in OCSF, of identities and of other vendors.
    let attack = |name: &str| fields.all(format!("rawData.finding_info.attacks.{name}"));
    incident.attack_lists(attack("technique.uid"), attack("tactics.name"));
    Ok(incident)
}

fn threat(fields: &Fields) -> Result<Incident, MappingError> {
    let info = |name: &str| fields.all(format!("threatInfo.{name}")).next();
    let mut incident = Incident::new(fields.required(&["threatInfo.threatId", "id"])?);
    incident.set_title(info("threatName"));
    incident.category = info("classification").map(str::to_owned);
    set_confidence(&mut incident, info("confidenceLevel"));
    // The result of the mitigation is not a state.
    incident.state = info("incidentStatus").map(state);
    incident.detail("incidentStatus", info("incidentStatus"));
    incident.occurred_at = fields.time(&["threatInfo.identifiedAt", "threatInfo.createdAt"]);
    incident.changed_at = fields.time(&["threatInfo.updatedAt"]);
    for hash in ["sha256", "sha1", "md5"] {
        observe_file(&mut incident, "hash", info(hash), hash, info("confidenceLevel"));
    }
    observe_file(&mut incident, "filename", info("filePath").map(file_name), "filePath", None);
    incident.observe_lists(fields, "", &THREAT);
    let ips = if fields.first(&THREAT_IPS).is_some() { THREAT_IPS } else { THREAT_IPS_NOW };
    incident.observe_lists(fields, "", &[("ip", &ips)]);
    fields.all("indicators.tactics.techniques.name").for_each(|id| incident.attack(id, None));
    Ok(incident)
}

/// Maps activities 19 and 4003, a new malicious and a new suspicious threat, and 18, a threat that was mitigated at once.
/// None closes the threat.
fn threat_activity(kind: &str, fields: &Fields) -> Result<Incident, MappingError> {
    let data = |name: &str| either(fields, &format!("data.{name}"));
    let id = either(fields, "threatId").or(data("threatId"));
    let mut incident = Incident::new(id.ok_or_else(|| MappingError::Malformed("`threatId` is absent".into()))?);
    incident.set_title(either(fields, "primaryDescription").or(data("fileDisplayName")));
    incident.category = data("threatClassification").map(str::to_owned);
    set_confidence(&mut incident, data("confidenceLevel"));
    if kind == "18" {
        incident.tag("mitigated");
    } else {
        incident.state = Some(State::Open);
    }
    incident.occurred_at = fields.time(&["createdAt", "createdat"]);
    incident.changed_at = fields.time(&["updatedAt", "updatedat"]);
    observe_file(&mut incident, "hash", data("fileContentHash"), "fileContentHash", data("confidenceLevel"));
    observe_file(&mut incident, "filename", data("filePath").map(file_name), "filePath", None);
    incident.observe("hostname", data("computerName"), "computerName");
    incident.observe("user-account", data("userName"), "userName");
    Ok(incident)
}

/// Maps an alert of a custom rule (STAR), which activity 3608 announces.
fn star_alert(fields: &Fields) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(fields.required(&["alertInfo.alertId"])?);
    incident.set_title(fields.first(&["ruleInfo.name"]));
    incident.description = fields.first(&["ruleInfo.description"]).map(str::to_owned);
    incident.set_severity(fields.first(&["ruleInfo.severity"]));
    incident.state = fields.first(&["alertInfo.incidentStatus"]).map(state);
    incident.detail_fields(fields, &["alertInfo.incidentStatus"]);
    incident.occurred_at = fields.time(&["alertInfo.createdAt", "alertInfo.reportedAt"]);
    incident.changed_at = fields.time(&["alertInfo.updatedAt"]);
    incident.observe_fields(fields, &STAR);
    let path = fields.first(&["sourceProcessInfo.filePath", "sourceProcessInfo.name"]);
    incident.observe("filename", path.map(file_name), "sourceProcessInfo");
    Ok(incident)
}

/// Maps activities 3608 and 3784, an alert of a custom rule (STAR) and of a rule of the platform.
fn star_activity(fields: &Fields) -> Result<Incident, MappingError> {
    let data = |name: &str| either(fields, &format!("data.{name}"));
    let id = data("alertId").ok_or_else(|| MappingError::Malformed("`data.alertid` is absent".into()))?;
    let mut incident = Incident::new(id);
    let text = either(fields, "primaryDescription");
    incident.set_title(data("ruleName").or(text));
    incident.description = text.or(data("ruleDescription")).map(str::to_owned);
    incident.set_severity(data("severity").map(|name| name.strip_prefix("E_").unwrap_or(name)));
    incident.vendor_severity = data("severity").map(str::to_owned);
    incident.state = Some(State::Open);
    let occurred = ["data.detectedat", "data.detectedAt", "createdAt", "createdat"];
    incident.occurred_at = fields.time(&occurred);
    incident.changed_at = fields.time(&["updatedAt", "updatedat"]);
    // `…, detected on WS-0417.`
    let host = text.and_then(|text| text.rsplit_once("detected on ")).map(|(_, host)| host.trim_end_matches('.'));
    incident.observe("hostname", data("computerName").or(data("origAgentName")).or(host), "detected on");
    incident.observe("hash", either(fields, "secondaryDescription"), "secondaryDescription");
    for name in ["sourceProcessFileHashSha256", "sourceProcessFileHashSha1"] {
        incident.observe("hash", data(name), name);
    }
    incident.observe("filename", data("sourceProcessFilePath").map(file_name), "sourceProcessFilePath");
    incident.observe("user-account", data("sourceProcessUsername"), "sourceProcessUsername");
    incident.observe_lists(fields, "", &[("ip", &["data.agentipv4", "data.srcip", "data.dstip"])]);
    incident.observe("domain", data("dnsRequest"), "dnsrequest");
    Ok(incident)
}

/// Returns a field of an activity, whose names are in lower case in some exports.
fn either<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.first(&[name, &name.to_ascii_lowercase()])
}

fn state(status: &str) -> State {
    if status.eq_ignore_ascii_case("resolved") { State::Resolved } else { State::Open }
}

/// Sets the severity of a threat, which has none but the confidence in the verdict.
fn set_confidence(incident: &mut Incident, level: Option<&str>) {
    incident.set_severity(level);
    incident.severity = match level.map(str::to_ascii_lowercase).as_deref() {
        Some("malicious") => Some(Severity::High),
        Some("suspicious") => Some(Severity::Medium),
        _ => None,
    };
}

fn observe_file(incident: &mut Incident, data_type: &str, value: Option<&str>, name: &str, confidence: Option<&str>) {
    let observable = incident.observe(data_type, value, name);
    if confidence.is_some_and(|level| level.eq_ignore_ascii_case("malicious")) {
        observable.map(Observable::ioc);
    }
}

hookmill_sdk::export!(SentinelOne);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::SentinelOne>("payloads");
        testing::check_rejects_invalid::<super::SentinelOne>();
    }
}
