//! Prisma Cloud: alerts of the API, with objects `policy` and `resource`, and of webhooks, with flat names.

use hookmill_sdk::{Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, State, WithRest};
use hookmill_sdk::{has_objects, json, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an alert of Prisma Cloud with `policy` and `resource`, or with `alertId` and `policyId`, alone, in \
                        a list or in `items`";

// The names of fields: first those of the API, then those of webhooks, then those of templates in snake case.
const ID: [&str; 3] = ["id", "alertId", "alert_id"];
const POLICY: [&str; 4] = ["policyId", "policyName", "policy_id", "policy_name"];
const TITLE: [&str; 3] = ["policy.name", "policyName", "policy_name"];
const DESCRIPTION: [&str; 3] = ["policy.description", "policyDescription", "policy_description"];
const POLICY_TYPE: [&str; 3] = ["policy.policyType", "policyType", "policy_type"];
const SEVERITY: [&str; 2] = ["policy.severity", "severity"];
const STATUS: [&str; 3] = ["status", "alertStatus", "alert_status"];
/// The time of a message of a template, which for a new alert is that of the alert too.
const SENT_AT: &str = "timestamp";
const OCCURRED_AT: [&str; 4] = ["firstSeen", "first_seen", "alertTime", "alertTs"];
const CHANGED_AT: [&str; 5] = ["lastUpdated", "lastSeen", "alertTime", "alertTs", SENT_AT];
const LINK: [&str; 2] = ["callbackUrl", "callback_url"];
const ACCOUNT_ID: [&str; 3] = ["resource.accountId", "accountId", "account_id"];
const RESOURCE_NAME: [&str; 3] = ["resource.name", "resourceName", "resource_name"];
const RESOURCE_TYPE: [&str; 3] = ["resource.resourceType", "resourceType", "resource_type"];
const RESOURCE: [&str; 4] = ["resource.id", "resource.rrn", "resourceId", "resource_id"];

/// The fields of rules, the policy and the resource that an analyst needs.
const DETAILS: [&str; 15] = [
    "alertRules.name",
    "policy.policyId",
    "policy.policyType",
    "policy.recommendation",
    "resource.id",
    "resource.name",
    "resource.rrn",
    "resource.account",
    "resource.accountId",
    "resource.cloudType",
    "resource.cloudServiceName",
    "resource.region",
    "resource.resourceType",
    "resource.resourceApiName",
    "resource.url",
];
/// The members that are not kept as they are. The configuration of a resource can contain keys and passwords.
const NOT_KEPT: [&str; 10] = [
    "id",
    "alertId",
    "resource",
    "resourceConfig",
    "resource_config",
    "policyName",
    "policyDescription",
    "alertRules",
    "callbackUrl",
    "metadata",
];

struct PrismaCloud;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy<'a> {
    #[serde(borrow)]
    compliance_metadata: List<Fields<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    #[serde(borrow)]
    policy: Part<Policy<'a>>,
    /// The standards of the policy in a webhook.
    compliance_metadata: List<Fields<'a>>,
}

impl Mapper for PrismaCloud {
    fn describe() -> Description {
        hookmill_sdk::description!("Prisma Cloud", "Alerts of Prisma Cloud")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let page: Page = event.json(EXPECTED)?;
        match page.items.filter(|items| has_objects(items)) {
            Some(items) => map_list(items, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(incident(item)?);
                Ok(())
            }),
            None => Ok(incident(event.json(EXPECTED)?)?.into()),
        }
    }
}

fn incident(raw: &RawValue) -> Result<Incident, MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let alert: Fields = json(raw.get()).ok_or_else(unsupported)?;
    // Alerts of other vendors have a `policy_id` too.
    let policy = alert.first(&["policy.policyId", "policy.name"]);
    let policy = policy.or(alert.first(&["alertId", "alert_id"]).and(alert.first(&POLICY)));
    let resource = alert.first(&RESOURCE).or(alert.first(&RESOURCE_NAME));
    if policy.is_none() || resource.or(alert.first(&STATUS)).is_none() {
        return Err(unsupported());
    }
    let id = alert.first(&ID).ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?;
    let mut incident = Incident::new(id);
    describe(&mut incident, &alert);
    let members: WithRest<Alert> = json(raw.get()).ok_or_else(unsupported)?;
    classify(&mut incident, &members);
    // The account is the customer's own. Owners, and those who dismissed or modified the alert, are staff.
    incident.observe("other", alert.first(&ACCOUNT_ID), "accountId");
    observe_resource(&mut incident, &alert);
    incident.detail_fields(&alert, &DETAILS);
    incident.keep_rest(&members, |name| NOT_KEPT.contains(&name));
    Ok(incident)
}

fn describe(incident: &mut Incident, alert: &Fields) {
    let (title, description) = (alert.first(&TITLE), alert.first(&DESCRIPTION));
    incident.set_title(title);
    incident.description = description.map(str::to_owned);
    incident.set_severity(alert.first(&SEVERITY));
    // The history has the same words, but of earlier states.
    incident.state = match alert.first(&STATUS).map(str::to_ascii_lowercase).as_deref() {
        Some("open" | "snoozed" | "pending_resolution") => Some(State::Open),
        Some("resolved" | "dismissed") => Some(State::Resolved),
        _ => None,
    };
    let is_new = alert.first(&["notification_type", "notificationType"]) == Some("alert.created");
    incident.occurred_at = alert.time(&OCCURRED_AT).or_else(|| alert.time(&[SENT_AT]).filter(|_| is_new));
    let changes = CHANGED_AT.iter().filter_map(|name| alert.time(&[name]));
    incident.changed_at = changes.max_by_key(|time| (time.len(), time.clone()));
    incident.external_link = alert.first(&LINK).map(str::to_owned);
    let policy_type = alert.first(&POLICY_TYPE);
    incident.category = policy_type.map(str::to_owned);
    incident.tag(policy_type.unwrap_or_default());
    ["policy.labels", "policyLabels"].iter().flat_map(|name| alert.all(name)).for_each(|label| incident.tag(label));
    incident.observe_cves(title.unwrap_or_default(), "policy.name");
    incident.observe_cves(description.unwrap_or_default(), "policy.description");
}

/// Adds the techniques of the policy, which are sections of the standard MITRE ATT&CK among its standards.
fn classify(incident: &mut Incident, alert: &Alert) {
    let of_policy = alert.policy.get().map(|policy| &policy.compliance_metadata);
    for section in of_policy.into_iter().chain([&alert.compliance_metadata]).flatten() {
        if !section.first(&["standardName"]).is_some_and(|name| name.to_ascii_uppercase().contains("ATT&CK")) {
            continue;
        }
        // A requirement is a tactic, a section a technique of it.
        match section.first(&["sectionId"]).filter(|id| id.starts_with('T')) {
            Some(technique) => incident.attack(technique, section.first(&["requirementName"])),
            None => incident.attack(section.first(&["requirementId"]).unwrap_or_default(), None),
        }
    }
}

fn observe_resource(incident: &mut Incident, alert: &Fields) {
    let name = alert.first(&RESOURCE_NAME).filter(|name| !name.contains(char::is_whitespace));
    match alert.first(&RESOURCE_TYPE).map(str::to_ascii_uppercase).as_deref() {
        Some("INSTANCE") => incident.observe("hostname", name, "resource"),
        Some(kind) if kind.ends_with("USER") => incident.observe_user(name, "resource"),
        _ => None,
    };
}

hookmill_sdk::export!(PrismaCloud);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::PrismaCloud>("payloads");
        testing::check_rejects_invalid::<super::PrismaCloud>();
    }
}
