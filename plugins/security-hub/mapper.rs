//! AWS Security Hub: findings in ASFF and in OCSF, bare, in an answer of the API, or in an event of EventBridge, which a
//! topic of SNS may carry.

use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Scale, Severity, State,
};

const EXPECTED: &str = "a finding of AWS Security Hub in ASFF with `Id` and `ProductArn`, or in OCSF with \
                        `finding_info.uid`, alone, in `detail.findings`, or in `Findings`";
/// The answer of the API, EventBridge's `detail`, Lambda's `Records`, and SNS's `Message`.
const ENVELOPES: Envelopes = Envelopes {
    members: &["findings", "Findings", "detail", "Records", "Sns", "Message"],
    answer: &["findings", "Findings"],
};

/// The normalized severity of ASFF.
const NORMALIZED: Scale = Scale::Steps([1.0, 40.0, 70.0, 90.0, 100.0]);
/// The fields of ASFF with the addresses and names of the other side. Those of a resource are its own.
const ASFF: [(&str, &[&str]); 8] = [
    (
        "ip",
        &[
            "Action.AwsApiCallAction.RemoteIpDetails.IpAddressV4",
            "Action.NetworkConnectionAction.RemoteIpDetails.IpAddressV4",
            "Action.PortProbeAction.PortProbeDetails.RemoteIpDetails.IpAddressV4",
        ],
    ),
    ("domain", &["Action.DnsRequestAction.Domain", "Network.DestinationDomain"]),
    ("cve", &["Vulnerabilities.Id"]),
    (
        "user-account",
        &[
            "Resources.Details.AwsIamAccessKey.PrincipalName",
            "Resources.Details.AwsIamAccessKey.UserName",
            "Resources.Details.AwsIamAccessKey.SessionContext.SessionIssuer.UserName",
        ],
    ),
    ("filename", &["Malware.Name", "Threats.FilePaths.FileName"]),
    ("hash", &["Threats.FilePaths.Hash"]),
    ("ip", &["Network.SourceIpV4", "Network.DestinationIpV4"]),
    ("domain", &["Network.SourceDomain"]),
];
const OCSF: [(&str, &[&str]); 5] = [
    ("cve", &["vulnerabilities.cve.uid"]),
    ("ip", &["evidences.src_endpoint.ip", "evidences.dst_endpoint.ip"]),
    ("domain", &["evidences.query.hostname"]),
    ("user-account", &["evidences.actor.user.name"]),
    ("hash", &["evidences.process.file.hashes.value", "evidences.file.hashes.value"]),
];
/// The ends of fields that GuardDuty adds to `ProductFields`.
const GUARDDUTY: [(&str, &str); 2] = [("/remoteIpDetails/ipAddressV4", "ip"), ("/dnsRequestAction/domain", "domain")];

struct SecurityHub;

impl Mapper for SecurityHub {
    fn describe() -> Description {
        hookmill_sdk::description!("AWS Security Hub", "Findings of AWS Security Hub in ASFF and OCSF", "aws-sns")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |item, outcome| map_item(item, outcome).transpose())
    }
}

/// Maps a finding. Returns none for an envelope.
fn map_item(item: &Fields, outcome: &mut Outcome) -> Result<Option<()>, MappingError> {
    let is_asff = ["ProductArn", "GeneratorId", "SchemaVersion"].iter().filter(|name| item.has(name));
    if item.has("finding_info") {
        outcome.incidents.push(ocsf(item)?);
        return Ok(Some(()));
    }
    // A finding of GuardDuty itself has `Id` and `SchemaVersion`, but `Arn`.
    if item.first(&["Id"]).is_some() && is_asff.count() > 1 {
        outcome.incidents.push(asff(item)?);
        return Ok(Some(()));
    }
    if item.first(&["source"]).is_some_and(|source| source != "aws.securityhub") {
        return Err(MappingError::expected(EXPECTED));
    }
    let kind = item.first(&["detail-type"]).filter(|kind| !kind.contains("Finding"));
    outcome.skipped.extend(kind.map(|kind| format!("`{kind}` has no findings")));
    Ok(kind.map(|_| ()))
}

fn asff(fields: &Fields) -> Result<Incident, MappingError> {
    let first = |name: &str| fields.all(name).next();
    let mut incident = Incident::new(first("Id").ok_or_else(|| MappingError::Malformed("`Id` is absent".into()))?);
    incident.set_title(first("Title"));
    incident.description = first("Description").map(str::to_owned);
    incident.category = first("Types").and_then(|types| types.split('/').next()).map(str::to_owned);
    let label = fields.first(&["Severity.Label", "FindingProviderFields.Severity.Label"]);
    let normalized = fields.first(&["Severity.Normalized", "FindingProviderFields.Severity.Normalized"]);
    match label {
        Some(label) => incident.set_severity(Some(label)),
        None => incident.set_severity_on(NORMALIZED, normalized),
    }
    let is = |name: &str, words: &[&str]| first(name).is_some_and(|value| words.contains(&value));
    let is_closed = is("Workflow.Status", &["RESOLVED", "SUPPRESSED"])
        || is("RecordState", &["ARCHIVED"])
        || is("Compliance.Status", &["PASSED"])
        || is("ProductFields.aws/inspector/FindingStatus", &["CLOSED"]);
    incident.state = is_closed
        .then_some(State::Resolved)
        .or_else(|| fields.first(&["Workflow.Status", "RecordState"]).map(|_| State::Open));
    incident.detail_fields(fields, &["Workflow.Status", "RecordState", "Compliance.Status"]);
    incident.occurred_at = fields.time(&["FirstObservedAt", "CreatedAt"]);
    incident.changed_at = fields.time(&["UpdatedAt"]);
    incident.external_link = first("SourceUrl").map(str::to_owned);
    for name in fields.all("Types").chain(fields.all("Compliance.SecurityControlId")) {
        incident.tag(name);
        if let Some(tactic) = name.strip_prefix("TTPs/").and_then(|types| types.split('/').next()) {
            incident.attack_named(None, None, Some(tactic));
        }
    }
    if is("Sample", &["true"]) || is("ProductFields.aws/guardduty/service/additionalInfo/sample", &["true"]) {
        incident.tag("sample");
    }
    incident.observe_fields(fields, &ASFF);
    for (name, value) in fields.iter().filter(|(name, _)| name.starts_with("ProductFields.aws/guardduty/")) {
        if let Some((_, data_type)) = GUARDDUTY.iter().find(|(end, _)| name.ends_with(end)) {
            incident.observe(data_type, Some(value), name.rsplit('/').next().unwrap_or(name));
        }
    }
    for resource in fields.objects("Resources") {
        observe_resource(&mut incident, resource.first(&["Id"]), resource.first(&["Type"]));
    }
    for indicator in fields.objects("ThreatIntelIndicators") {
        let observable = incident.observe_named(indicator.first(&["Type"]), indicator.first(&["Value"]), "indicator");
        observable.map(Observable::ioc);
    }
    incident.keep_unread(fields, "");
    Ok(incident)
}

fn ocsf(fields: &Fields) -> Result<Incident, MappingError> {
    let first = |name: &str| fields.all(name).next();
    let id = first("finding_info.uid").ok_or_else(|| MappingError::Malformed("`finding_info.uid` is absent".into()))?;
    let mut incident = Incident::new(id);
    incident.set_title(first("finding_info.title"));
    incident.description = first("finding_info.desc").map(str::to_owned);
    incident.category = first("finding_info.types").map(str::to_owned);
    incident.set_severity(first("severity"));
    incident.severity = incident.severity.or(match first("severity_id") {
        Some("1") => Some(Severity::Informational),
        Some("2") => Some(Severity::Low),
        Some("3") => Some(Severity::Medium),
        Some("4") => Some(Severity::High),
        Some("5" | "6") => Some(Severity::Critical),
        _ => None,
    });
    let is = |name: &str, words: &[&str]| first(name).is_some_and(|value| words.contains(&value));
    let is_closed = is("status_id", &["3", "4", "5"])
        || is("activity_id", &["3"])
        || first("compliance.status").is_some_and(|status| status.to_ascii_lowercase().starts_with("pass"));
    incident.state = is_closed
        .then_some(State::Resolved)
        .or_else(|| fields.first(&["status_id", "status", "activity_id"]).map(|_| State::Open));
    incident.detail_fields(fields, &["status", "compliance.status"]);
    incident.occurred_at = fields.time(&[
        "finding_info.first_seen_time_dt",
        "finding_info.first_seen_time",
        "finding_info.created_time_dt",
        "finding_info.created_time",
    ]);
    incident.changed_at =
        fields.time(&["finding_info.modified_time_dt", "finding_info.modified_time", "time_dt", "time"]);
    incident.external_link = first("finding_info.src_url").map(str::to_owned);
    for name in ["compliance.control", "finding_info.types"] {
        fields.all(name).for_each(|tag| incident.tag(tag));
    }
    for name in ["finding_info.attacks.technique.uid", "finding_info.attacks.tactic.uid"] {
        fields.all(name).for_each(|id| incident.attack(id, None));
    }
    incident.observe_fields(fields, &OCSF);
    for observable in fields.objects("observables") {
        incident.observe_named(observable.first(&["type"]), observable.first(&["value"]), "observables");
    }
    for resource in fields.objects("resources") {
        observe_resource(&mut incident, resource.first(&["uid"]), resource.first(&["type"]));
    }
    incident.keep_unread(fields, "");
    Ok(incident)
}

/// Adds a resource by its ARN. Other ids, such as those of access keys, say nothing alone.
fn observe_resource(incident: &mut Incident, id: Option<&str>, kind: Option<&str>) {
    incident.observe("other", id.filter(|id| id.starts_with("arn:")), kind.unwrap_or("resource"));
}

hookmill_sdk::export!(SecurityHub);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::SecurityHub>("payloads");
        testing::check_rejects_invalid::<super::SecurityHub>();
    }
}
