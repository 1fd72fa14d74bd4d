//! Trend Vision One: alerts of the Workbench and observed attack techniques (OAT), alone, in a list, or in an answer of the
//! API.

use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State,
    file_name, timestamp,
};

const EXPECTED: &str = "an alert of the Workbench of Trend Vision One with `workbenchLink`, or an observed attack technique \
                        with `filters`, alone, in `items`, or in `alert`";
const ENVELOPES: Envelopes = Envelopes { members: &["items", "alert", "data"], answer: &["totalCount"] };
/// The levels of risk of a filter, in their order. A level that is not defined is the least.
const RISKS: [&str; 5] = ["info", "low", "medium", "high", "critical"];
const RISK: [&str; 2] = ["riskLevel", "level"];
const CLOSED: [&str; 4] = ["closed", "true positive", "false positive", "benign true positive"];
const OPEN: [&str; 5] = ["open", "new", "in progress", "0", "1"];
/// The fields of an observed attack technique: the endpoint, the object of the action and the process.
const TECHNIQUE: [(&str, &[&str]); 9] = [
    ("hostname", &["endpoint.endpointName", "endpoint.name", "detail.endpointHostName"]),
    ("ip", &["endpoint.ips", "detail.dst", "detail.objectIps", "detail.objectIp"]),
    ("mac", &["detail.endpointMacAddress"]),
    ("user-account", &["detail.logonUser", "detail.processUser", "detail.objectUser"]),
    ("url", &["detail.request", "detail.highlightedRequest"]),
    ("registry", &["detail.objectRegistryKeyHandle"]),
    ("mail", &["detail.suser"]),
    ("mail-subject", &["detail.mailMsgSubject"]),
    ("filename", &["detail.fileName"]),
];
/// The hashes of one file each, the best first.
const HASHES: [[&str; 3]; 2] = [
    ["detail.processFileHashSha256", "detail.processFileHashSha1", "detail.processFileHashMd5"],
    ["detail.objectFileHashSha256", "detail.objectFileHashSha1", "detail.objectFileHashMd5"],
];

struct VisionOne;

impl Mapper for VisionOne {
    fn describe() -> Description {
        hookmill_sdk::description!(
            "Trend Vision One",
            "Workbench alerts and observed attack techniques of Trend Vision One"
        )
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |item, outcome| {
            let incident = incident(item)?;
            Some(incident.map(|incident| outcome.incidents.push(incident)))
        })
    }
}

/// Maps an item. Returns none for an envelope.
fn incident(fields: &Fields) -> Option<Result<Incident, MappingError>> {
    let has = |names: &[&str]| fields.first(names).is_some();
    let incident = if has(&["filters.name", "filters.id"]) || has(&["detectedDateTime"]) {
        technique(fields)
    } else if has(&["workbenchLink", "workbenchId"]) || (has(&["id"]) && has(&["model", "alertProvider"])) {
        alert(fields)
    } else {
        return None;
    };
    Some(incident.map(|mut incident| {
        incident.keep_unread(fields, "");
        incident
    }))
}

fn alert(fields: &Fields) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(fields.required(&["id", "workbenchId"])?);
    incident.set_title(fields.first(&["model", "workbenchName"]));
    incident.description = fields.first(&["description", "detail.description"]).map(str::to_owned);
    incident.set_severity(fields.first(&["severity"]));
    incident.state = fields.first(&["status", "investigationStatus"]).and_then(state);
    incident.detail_fields(fields, &["status", "investigationStatus"]);
    incident.occurred_at = first_matched(fields).or_else(|| fields.time(&["createdDateTime", "createdTime"]));
    incident.changed_at = fields.time(&["updatedDateTime", "updatedTime"]);
    incident.external_link = fields.first(&["workbenchLink"]).map(str::to_owned);
    for entity in ["impactScope.entities", "detail.impactScope"].iter().flat_map(|path| fields.objects(path)) {
        observe_entity(&mut incident, &entity);
    }
    let indicators = [fields.objects("indicators"), fields.objects("detail.indicators")].concat();
    indicators.iter().for_each(|indicator| observe_indicator(&mut incident, indicator));
    let is_command = |indicator: &&Fields| indicator.first(&["type", "objectType"]) == Some("command_line");
    let commands: Vec<&str> =
        indicators.iter().filter(is_command).filter_map(|command| command.first(&["value", "objectValue"])).collect();
    incident.detail_list("command_line", &commands);
    for name in ["", "detail."] {
        for ids in ["mitreTechniqueIds", "mitreTechniques"] {
            let ids = fields.all(format!("{name}matchedRules.matchedFilters.{ids}"));
            ids.for_each(|id| incident.attack(attack_id(id), None));
        }
    }
    Ok(incident)
}

fn state(status: &str) -> Option<State> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(status));
    if is_one_of(&CLOSED) { Some(State::Resolved) } else { is_one_of(&OPEN).then_some(State::Open) }
}

/// Returns the time of the first event that matched a filter, or at which an indicator was seen.
fn first_matched(fields: &Fields) -> Option<String> {
    let paths = [
        "matchedRules.matchedFilters.matchedDateTime",
        "detail.matchedRules.matchedFilters.timestamp",
        "indicators.firstSeenDateTimes",
    ];
    paths.iter().find_map(|path| fields.all(path).filter_map(timestamp).min())
}

fn observe_entity(incident: &mut Incident, entity: &Fields) {
    let value = entity.first(&["entityValue", "entityValue.name"]);
    match entity.first(&["entityType"]).unwrap_or_default() {
        // `CORP\WS-12`
        "host" => incident.observe("hostname", value.map(file_name), "impactScope"),
        "account" | "cloudIdentity" => incident.observe_user(value, "impactScope"),
        "emailAddress" => incident.observe("mail", value, "impactScope"),
        _ => incident.observe("other", value, "impactScope"),
    };
    for address in entity.all("entityValue.ips") {
        incident.observe("ip", Some(address), "impactScope");
    }
}

/// Adds an indicator of an alert or a highlighted object. Those of other types, such as text and command lines, are no
/// observables.
fn observe_indicator(incident: &mut Incident, indicator: &Fields) {
    let field = indicator.first(&["field"]).unwrap_or_default().to_owned();
    // An indicator of a sweep matched a report of threat intelligence.
    let is_known = indicator.first(&["matchedIndicatorPatternIds"]).is_some();
    let kind = indicator.first(&["type", "objectType"]).unwrap_or_default();
    for value in ["value", "objectValue", "value.name"].iter().flat_map(|name| indicator.all(name)) {
        let observable = match kind {
            // Also a path, in a sweep.
            "filename" => incident.observe("filename", Some(file_name(value)), &field),
            // The path of the parent is that of a shell.
            "fullpath" if field.starts_with("parent") => None,
            "fullpath" => incident.observe("filename", Some(file_name(value)), &field),
            "registry_key" => incident.observe("registry", Some(value), &field),
            "email_subject" => incident.observe("mail-subject", Some(value), &field),
            "email_message_id" => None,
            kind => incident.observe_named(Some(kind), Some(value), &field),
        };
        if is_known {
            observable.map(Observable::ioc);
        }
    }
    for address in indicator.all("value.ips") {
        incident.observe("ip", Some(address), &field);
    }
}

/// Returns the ATT&CK id in `V9.T1003.002`.
fn attack_id(id: &str) -> &str {
    id.find(".T").map_or(id, |dot| &id[dot + 1..])
}

fn technique(fields: &Fields) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(fields.required(&["uuid", "detail.uuid"])?);
    let filters = fields.objects("filters");
    if let Some(filter) = filters.iter().rev().max_by_key(|filter| rank(filter)) {
        incident.set_title(filter.first(&["name"]));
        incident.description = filter.first(&["description"]).map(str::to_owned);
        incident.set_severity(filter.first(&RISK));
    }
    incident.severity = incident.severity.or(Some(Severity::Informational));
    incident.state = Some(State::Open);
    incident.occurred_at = fields.time(&["detectedDateTime", "detectionTime", "detail.eventTime"]);
    incident.changed_at = fields.time(&["ingestedDateTime"]);
    incident.observe_fields(fields, &TECHNIQUE);
    for hashes in HASHES {
        incident.observe("hash", fields.first(&hashes), "detail");
    }
    incident.observe("hash", fields.first(&["detail.fileHash"]), "detail.fileHash");
    incident.observe("filename", fields.first(&["detail.objectFilePath"]).map(file_name), "detail.objectFilePath");
    for filter in &filters {
        let tactics: Vec<&str> = filter.all("mitreTacticIds").collect();
        let tactic = tactics.first().filter(|_| tactics.len() == 1);
        filter.all("mitreTechniqueIds").for_each(|id| incident.attack(attack_id(id), tactic.copied()));
        filter.objects("highlightedObjects").iter().for_each(|object| observe_indicator(&mut incident, object));
    }
    for tactic in filters.iter().flat_map(|filter| filter.all("mitreTacticIds")) {
        incident.attack(tactic, None);
    }
    Ok(incident)
}

/// Returns the place of a filter's risk in [`RISKS`].
fn rank(filter: &Fields) -> Option<usize> {
    RISKS.iter().position(|known| filter.first(&RISK).is_some_and(|risk| known.eq_ignore_ascii_case(risk)))
}

hookmill_sdk::export!(VisionOne);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::VisionOne>("payloads");
        testing::check_rejects_invalid::<super::VisionOne>();
    }
}
