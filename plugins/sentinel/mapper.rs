//! Microsoft Sentinel: incidents and alerts of its API, the body of a Logic App with an incident or alert trigger, and rows
//! of the tables SecurityIncident and SecurityAlert.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Part, State, Text, WithRest};
use hookmill_sdk::{is_list, json, json_list, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an incident of Microsoft Sentinel with `properties` (or several in `value`, or one in `object`), \
                        an alert with `properties.systemAlertId`, or a row of SecurityIncident or SecurityAlert";

// The first names are those of the API, the last ones those of the tables.
const TITLE: [&str; 6] = ["title", "alertDisplayName", "Title", "DisplayName", "AlertDisplayName", "AlertName"];
const SEVERITY: [&str; 3] = ["severity", "Severity", "AlertSeverity"];
const OCCURRED: [&str; 7] = [
    "firstActivityTimeUtc",
    "startTimeUtc",
    "createdTimeUtc",
    "FirstActivityTime",
    "StartTime",
    "StartTimeUtc",
    "CreatedTime",
];
const CHANGED: [&str; 4] = ["lastModifiedTimeUtc", "timeGenerated", "LastModifiedTime", "TimeGenerated"];
const LINK: [&str; 4] = ["incidentUrl", "alertLink", "IncidentUrl", "AlertLink"];
const TACTICS: [&str; 4] = ["additionalData.tactics", "tactics", "AdditionalData.tactics", "Tactics"];
const TECHNIQUES: [&str; 6] = [
    "additionalData.techniques",
    "techniques",
    "subTechniques",
    "AdditionalData.techniques",
    "Techniques",
    "SubTechniques",
];
/// The fields of an incident's alert that an analyst reads. The incident itself has no product of each alert.
const ALERT: [&str; 11] = [
    "properties.alertDisplayName",
    "properties.severity",
    "properties.status",
    "properties.vendorName",
    "properties.productName",
    "properties.productComponentName",
    "properties.compromisedEntity",
    "properties.startTimeUtc",
    "properties.endTimeUtc",
    "properties.alertLink",
    "properties.systemAlertId",
];
/// A rule that lists more tactics than these says nothing with them.
const TACTICS_MAX: usize = 6;

/// The fields of an entity of the API with observables.
const ENTITY: [(&str, &[&str]); 8] = [
    ("ip", &["address", "senderIP"]),
    ("hostname", &["hostName"]),
    ("user-account", &["accountName"]),
    ("url", &["url", "urls"]),
    ("hash", &["hashValue"]),
    ("filename", &["fileName"]),
    ("domain", &["domainName"]),
    ("mail", &["mailboxPrimaryAddress", "recipient", "p1Sender", "p2Sender"]),
];
/// The types of entities in a row, each with the type of observable and the field of the value.
const ROW_ENTITY: [(&str, &str, &str); 11] = [
    ("ip", "ip", "Address"),
    ("host", "hostname", "HostName"),
    ("account", "user-account", "Name"),
    ("url", "url", "Url"),
    ("filehash", "hash", "Value"),
    ("file", "filename", "Name"),
    ("dns", "domain", "DomainName"),
    ("mailbox", "mail", "MailboxPrimaryAddress"),
    ("mailMessage", "mail", "P1Sender"),
    ("mailMessage", "mail", "Recipient"),
    ("mailMessage", "ip", "SenderIP"),
];

struct Sentinel;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    /// In the body of a Logic App.
    object: Option<&'a RawValue>,
}

/// An incident or an alert of the API.
#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    name: Text<'a>,
    r#type: Text<'a>,
    kind: Text<'a>,
    properties: Part<Fields<'a>>,
}

impl Mapper for Sentinel {
    fn describe() -> Description {
        hookmill_sdk::description!("Microsoft Sentinel", "Incidents and alerts of Microsoft Sentinel")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        // Many APIs answer with an empty `value`.
        let is_empty = |list: &RawValue| list.get()[1..].trim_start() == "]";
        if let Some(list) = payload.value.filter(|value| is_list(value) && !is_empty(value)) {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| map_item(item, outcome));
        }
        let mut outcome = Outcome::default();
        match payload.object {
            Some(object) => map_item(object, &mut outcome)?,
            None => map_item(event.json(EXPECTED)?, &mut outcome)?,
        }
        Ok(outcome)
    }
}

fn map_item(item: &RawValue, outcome: &mut Outcome) -> Result<(), MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let resource: WithRest<Resource> = json(item.get()).ok_or_else(unsupported)?;
    let Some(properties) = resource.properties.get() else {
        outcome.incidents.push(row_incident(&json(item.get()).ok_or_else(unsupported)?)?);
        return Ok(());
    };
    let kind = resource.r#type.get().and_then(|name| name.strip_prefix("Microsoft.SecurityInsights/"));
    let is_incident = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("incidents"));
    let id = if properties.first(&["incidentNumber"]).is_some() || is_incident {
        resource.name.get().or_else(|| resource.id.get()?.rsplit('/').next())
    } else if resource.kind.get() == Some("SecurityAlert") || properties.first(&["systemAlertId"]).is_some() {
        properties.first(&["systemAlertId"]).or(resource.name.get())
    } else {
        let kind = resource.kind.get().or(kind).ok_or_else(unsupported)?;
        outcome.skipped.push(format!("`{kind}` is not an incident or alert of Microsoft Sentinel"));
        return Ok(());
    };
    let mut incident = incident(id.ok_or_else(|| MappingError::Malformed("`name` is absent".into()))?, properties);
    add_alerts(&mut incident, properties);
    for (data_type, name, value) in properties.typed("relatedEntities.properties.", &ENTITY) {
        incident.observe(data_type, Some(value), name);
    }
    incident.keep_unread(properties, "");
    incident.keep_rest(&resource, |name| name == "etag");
    outcome.incidents.push(incident);
    Ok(())
}

/// Adds the alerts of an incident, in the body of a Logic App or as the host requests them: what each one says in one detail,
/// and their tactics and techniques.
fn add_alerts(incident: &mut Incident, properties: &Fields) {
    for alert in properties.objects("alerts") {
        let tactics: Vec<&str> = alert.all("properties.tactics").collect();
        let tactics = if tactics.len() > TACTICS_MAX { Vec::new() } else { tactics };
        let techniques = ["properties.techniques", "properties.subTechniques"];
        add_attack(incident, tactics, techniques.iter().flat_map(|path| alert.all(path)));
    }
    incident.detail_objects(properties, "alerts", &ALERT);
    for name in
        ["id", "name", "type", "kind", "properties.tactics", "properties.techniques", "properties.subTechniques"]
    {
        properties.all(format!("alerts.{name}")).for_each(drop);
    }
}

/// Maps a row of SecurityIncident or SecurityAlert, or the alert of a Logic App with an alert trigger. Lists and objects may
/// be JSON in texts.
fn row_incident(row: &Fields) -> Result<Incident, MappingError> {
    let incident_id = row.first(&["IncidentName"]).filter(|_| row.first(&["IncidentNumber", "Title"]).is_some());
    let alert_id = || {
        row.first(&["SystemAlertId"]).filter(|_| row.first(&["AlertName", "DisplayName", "AlertDisplayName"]).is_some())
    };
    let id = incident_id.or_else(alert_id).ok_or_else(|| MappingError::expected(EXPECTED))?;
    let mut incident = incident(id, row);
    for label in row.first(&["Labels"]).map(json_list::<Fields>).unwrap_or_default() {
        label.all("labelName").for_each(|name| incident.tag(name));
    }
    if let Some(more) = row.first(&["AdditionalData"]).and_then(json::<Fields>) {
        add_attack(&mut incident, more.all("tactics").collect(), more.all("techniques"));
        incident.keep_unread(&more, "");
    }
    for entity in row.first(&["Entities"]).map(json_list::<Fields>).unwrap_or_default() {
        let kind = entity.first(&["Type"]).unwrap_or_default().to_owned();
        for (_, data_type, name) in ROW_ENTITY.iter().filter(|(known, ..)| kind.eq_ignore_ascii_case(known)) {
            incident.observe(data_type, entity.first(&[name]), &kind);
        }
        incident.keep_unread(&entity, "");
    }
    incident.keep_unread(row, "");
    Ok(incident)
}

/// Maps the fields that the API and the tables have.
fn incident(id: &str, fields: &Fields) -> Incident {
    let mut incident = Incident::new(id);
    incident.set_title(fields.first(&TITLE));
    incident.description = fields.first(&["description", "Description"]).map(str::to_owned);
    incident.set_severity(fields.first(&SEVERITY));
    incident.state = fields.first(&["status", "Status"]).map(|status| {
        let is_closed = ["closed", "resolved", "dismissed"].iter().any(|closed| status.eq_ignore_ascii_case(closed));
        if is_closed { State::Resolved } else { State::Open }
    });
    incident.occurred_at = fields.time(&OCCURRED);
    incident.changed_at = fields.time(&CHANGED);
    incident.external_link = fields.first(&LINK).map(str::to_owned);
    incident.detail("status", fields.first(&["status", "Status"]));
    // Unique in a workspace only.
    incident.detail("incidentNumber", fields.first(&["incidentNumber", "IncidentNumber"]));
    fields.all("labels.labelName").for_each(|name| incident.tag(name));
    let is_separator = |sign: char| matches!(sign, ',' | '[' | ']' | '"');
    let tactics = TACTICS.iter().flat_map(|name| fields.all(name)).flat_map(|text| text.split(is_separator));
    let techniques = TECHNIQUES.iter().flat_map(|name| fields.all(name));
    add_attack(&mut incident, tactics.map(str::trim).filter(|tactic| !tactic.is_empty()).collect(), techniques);
    incident
}

/// Adds techniques and the tactics. The tactic of a technique is known only if there is one tactic.
fn add_attack<'t>(incident: &mut Incident, tactics: Vec<&str>, techniques: impl Iterator<Item = &'t str>) {
    let only = if tactics.len() == 1 { tactics.first().copied() } else { None };
    techniques.for_each(|id| incident.attack(id, only));
    if tactics.len() > TACTICS_MAX {
        incident.detail_json("tactics", &tactics);
    } else {
        tactics.iter().for_each(|tactic| incident.attack_named(None, None, Some(tactic)));
    }
}

hookmill_sdk::export!(Sentinel);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Sentinel>("payloads");
        testing::check_rejects_invalid::<super::Sentinel>();
    }
}
