//! Wiz: issues and threats as webhooks send them and as the API shows them, and detections of Wiz Defend.

use hookmill_sdk::attack::{tactic_id, technique_id};
use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, State, file_name,
};

const EXPECTED: &str = "an issue of Wiz with `control` or `sourceRule`, a `threat`, or a detection with `threatId`, alone, \
                        in a list, or in an answer of the API";
const ENVELOPES: Envelopes = Envelopes {
    members: &["data", "issue", "issues", "issuesV2", "issuesGroupedByValue", "detections", "edges", "nodes", "node"],
    answer: &[],
};

const TITLE: [&str; 7] = [
    "threat.title",
    "title",
    "control.name",
    "sourceRule.name",
    "sourceRules.name",
    "ruleMatch.rule.name",
    "threatDetectionDetails.mainDetection.ruleMatch.rule.name",
];
const DESCRIPTION: [&str; 11] = [
    "threat.description",
    "description",
    "control.description",
    "sourceRule.controlDescription",
    "sourceRule.cloudEventRuleDescription",
    "sourceRule.cloudConfigurationRuleDescription",
    "sourceRule.description",
    "sourceRules.controlDescription",
    "sourceRules.cloudEventRuleDescription",
    "sourceRules.cloudConfigurationRuleDescription",
    "sourceRules.description",
];
/// The severity of an issue goes before that of the control that found it.
const SEVERITY: [&str; 4] = ["threat.severity", "issue.severity", "severity", "control.severity"];
const STATUS: [&str; 3] = ["threat.status", "issue.status", "status"];
const OCCURRED_AT: [&str; 9] = [
    "timeframe.start",
    "startedAt",
    "firstEventAt",
    "triggeringEvents.eventTime",
    "triggeringEvents.nodes.timestamp",
    "issue.created",
    "issue.createdAt",
    "threat.created",
    "createdAt",
];
const CHANGED_AT: [&str; 5] =
    ["threat.updatedAt", "issue.updatedAt", "updatedAt", "statusChangedAt", "threat.resolvedAt"];
const LINK: [&str; 4] = ["threat.threatURL", "threatURL", "issue.url", "url"];
/// The rules with categories of frameworks, one of which is ATT&CK.
const RULES: [&str; 3] = ["sourceRule", "sourceRules", "ruleMatch.rule"];
/// The resource of an issue in the API and in a webhook, and that of a detection.
const RESOURCE: [&str; 3] = ["entitySnapshot", "resource", "primaryResource"];
/// The resources and the actors of a detection and of a threat.
const RESOURCES: [&str; 3] = ["resources", "threat.resources", "threatDetectionDetails.resources"];
const ACTORS: [&str; 4] = ["primaryActor", "actors", "threat.actors", "threatDetectionDetails.actors"];
/// The events of a detection.
const EVENTS: [&str; 3] = ["triggeringEvents", "triggeringEvents.nodes", "triggeringEvent"];
const EVENT: [(&str, &[&str]); 3] = [
    ("hash", &["runtimeDetails.processTree.hash", "processTree.exeSha1"]),
    ("filename", &["runtimeDetails.processTree.path", "processTree.exePath", "runtimeProgram.name"]),
    ("ip", &["actorIP", "actorIp"]),
];

struct Wiz;

/// The kind of an item, with the paths of its id.
#[derive(Clone, Copy)]
enum Kind {
    Detection,
    Threat,
    WebhookIssue,
    Issue,
}

impl Kind {
    /// Returns the kind, or none for an envelope.
    fn of(fields: &Fields) -> Option<Self> {
        let has = |prefix: &str| fields.iter().any(|(path, _)| path.starts_with(prefix));
        if ["tdrId", "tdrSource", "triggeringEvent", "ruleMatch."].into_iter().any(has) {
            return Some(Self::Detection);
        }
        // The fields `threat.indicator` and so on of other vendors are no threat of Wiz.
        if has("threat.") && ["threat.id", "trigger."].into_iter().any(has) {
            return Some(Self::Threat);
        }
        if has("issue.") && ["control.", "resource.", "trigger."].into_iter().any(has) {
            return Some(Self::WebhookIssue);
        }
        let is_issue = ["sourceRule.", "sourceRules.", "entitySnapshot.", "control."].into_iter().any(has);
        is_issue.then_some(Self::Issue)
    }

    /// Returns the paths of the id. A detection is an observation of the issue that groups it, if there is one.
    fn ids(self) -> &'static [&'static str] {
        match self {
            Self::Detection => &["threatId", "issue.id", "id"],
            Self::Threat => &["threat.id"],
            Self::WebhookIssue => &["issue.id"],
            Self::Issue => &["id"],
        }
    }
}

impl Mapper for Wiz {
    fn describe() -> Description {
        hookmill_sdk::description!("Wiz", "Issues, threats and detections of Wiz")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |item, outcome| {
            let kind = Kind::of(item)?;
            Some(incident(kind, item).map(|incident| outcome.incidents.push(incident)))
        })
    }
}

fn incident(kind: Kind, fields: &Fields) -> Result<Incident, MappingError> {
    let id = fields.first(kind.ids());
    let mut incident =
        Incident::new(id.ok_or_else(|| MappingError::Malformed(format!("`{}` is absent", kind.ids()[0])))?);
    incident.set_title(fields.first(&TITLE));
    incident.description = fields.first(&DESCRIPTION).map(str::to_owned);
    incident.set_severity(fields.first(&SEVERITY));
    let (status, trigger) = (fields.first(&STATUS), fields.first(&["trigger.type"]));
    // A payload without a status, such as a detection, has a trigger.
    incident.state = status.or(trigger).and_then(state);
    incident.detail("status", status);
    incident.detail("trigger.type", trigger);
    incident.occurred_at = fields.time(&OCCURRED_AT);
    incident.changed_at = fields.time(&CHANGED_AT);
    incident.external_link = fields.first(&LINK).map(str::to_owned);
    if matches!(kind, Kind::Issue) {
        incident.category = fields.first(&["type"]).map(str::to_owned);
        incident.tag(fields.first(&["type"]).unwrap_or_default());
    }
    fields.all("control.risks").for_each(|risk| incident.tag(risk));
    classify(&mut incident, fields);
    observe(&mut incident, fields);
    incident.keep_unread(fields, "");
    Ok(incident)
}

/// Returns the state. The reason of a resolution stays after an issue is open again.
fn state(status: &str) -> Option<State> {
    match status.to_ascii_uppercase().as_str() {
        "OPEN" | "IN_PROGRESS" | "CREATED" | "REOPENED" => Some(State::Open),
        "RESOLVED" | "REJECTED" => Some(State::Resolved),
        _ => None,
    }
}

/// Adds the tactics and techniques: ids such as `TA0043-T1595`, and the categories of rules, whose ids or names are in
/// titles.
fn classify(incident: &mut Incident, fields: &Fields) {
    for name in ["mitreTechniques", "threat.mitreTechniques"] {
        for technique in fields.all(name) {
            let (tactic, id) = technique.split_once('-').unzip();
            incident.attack(id.unwrap_or(technique), tactic);
        }
    }
    for rule in RULES {
        let categories: Vec<&str> = fields.all(format!("{rule}.securitySubCategories.category.name")).collect();
        let titles: Vec<&str> = fields.all(format!("{rule}.securitySubCategories.title")).collect();
        for (category, title) in categories.iter().zip(&titles).filter(|_| categories.len() == titles.len()) {
            let (id, name) = category.split_once(' ').filter(|(id, _)| id.starts_with("TA0")).unwrap_or(("", category));
            let tactic = tactic_id(name).or(Some(id)).filter(|tactic| !tactic.is_empty());
            incident.attack(title, tactic);
            incident.attack(tactic.and_then(|_| technique_id(title)).unwrap_or_default(), tactic);
            incident.attack(id, None);
        }
    }
    for name in ["mitreTactics", "threat.mitreTactics"] {
        fields.all(name).for_each(|tactic| incident.attack(tactic, None));
    }
}

fn observe(incident: &mut Incident, fields: &Fields) {
    for resource in RESOURCE.iter().flat_map(|path| fields.objects(path)) {
        observe_entity(incident, data_type(&resource).unwrap_or("other"), &resource, "resource");
    }
    for resource in RESOURCES.iter().flat_map(|path| fields.objects(path)) {
        // The addresses of resources are the organisation's own.
        if let Some(data_type) = data_type(&resource).filter(|data_type| *data_type != "ip") {
            observe_entity(incident, data_type, &resource, "resources");
        }
    }
    for actor in ACTORS.iter().flat_map(|path| fields.objects(path)) {
        if let Some(data_type) = data_type(&actor) {
            observe_entity(incident, data_type, &actor, "actors");
        }
        incident.observe("mail", actor.first(&["email"]), "actors");
    }
    for events in EVENTS {
        for (data_type, _, value) in fields.typed(&format!("{events}."), &EVENT) {
            let value = if data_type == "filename" { file_name(value) } else { value };
            incident.observe(data_type, Some(value), "triggeringEvents");
        }
        // The reputation is of one address if there is one event.
        if fields.first(&[&format!("{events}.actorIPMeta.reputation")]) == Some("Malicious")
            && fields.all(format!("{events}.id")).count() == 1
        {
            let address = fields.first(&[&format!("{events}.actorIP")]);
            incident.observe("ip", address, "actorIP").map(Observable::ioc);
        }
    }
    incident.observe_cves(fields.first(&TITLE).unwrap_or_default(), "title");
}

fn observe_entity(incident: &mut Incident, data_type: &str, entity: &Fields, message: &str) {
    let name = entity.first(&["name", "externalId"]);
    match data_type {
        "user-account" => incident.observe_user(name, message),
        data_type => incident.observe(data_type, name, message),
    };
}

/// Returns the type of an observable by the type of a resource or an actor, which is written in several ways.
fn data_type(entity: &Fields) -> Option<&'static str> {
    let kind = entity.first(&["type"])?.to_ascii_lowercase();
    let kind: String = kind.chars().filter(char::is_ascii_alphanumeric).collect();
    match kind.as_str() {
        "virtualmachine" | "virtualdesktop" | "virtualworkstation" | "ec2instance" => Some("hostname"),
        "user" | "useraccount" | "serviceaccount" => Some("user-account"),
        "networkaddress" => Some("ip"),
        _ => None,
    }
}

hookmill_sdk::export!(Wiz);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Wiz>("payloads");
        testing::check_rejects_invalid::<super::Wiz>();
    }
}
