//! Abnormal Security: threats, cases, cases of vendors and campaigns of the API, with camel case names, and the events
//! that its integrations post, with snake case names.

use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Part, Severity, State, WithRest,
};
use hookmill_sdk::{json, lines, map_list, timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

const EXPECTED: &str = "a threat, case, vendor case or campaign of Abnormal Security with `threatId`, `caseId`, \
                        `vendorCaseId` or `campaignId`, alone, in a list or in `abx_body`";
/// The fields of a message with observables.
const MESSAGE: [(&str, &[&str]); 4] = [
    ("mail", &["fromAddress", "replyToEmails", "recipientAddress", "toAddresses"]),
    ("ip", &["senderIpAddress"]),
    ("url", &["urls", "links.url"]),
    ("filename", &["attachmentNames", "attachments"]),
];
/// The fields of a message that an analyst reads in the list of a threat's messages.
const SUMMARY: [&str; 9] = [
    "abxMessageId",
    "subject",
    "fromAddress",
    "recipientAddress",
    "receivedTime",
    "attackStrategy",
    "remediationStatus",
    "autoRemediated",
    "postRemediated",
];
/// The fields that only items of Abnormal Security have, beside their ids.
const MARKS: [&str; 9] = [
    "abxMessageId",
    "abxPortalUrl",
    "affectedEmployee",
    "case_status",
    "firstObserved",
    "judgementStatus",
    "overallStatus",
    "vendorDomain",
    "firstObservedTime",
];

struct Abnormal;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    threats: Option<&'a RawValue>,
    cases: Option<&'a RawValue>,
    vendor_cases: Option<&'a RawValue>,
    campaigns: Option<&'a RawValue>,
    #[serde(rename = "abx_body")]
    body: Option<&'a RawValue>,
    #[serde(rename = "abx_metadata")]
    metadata: Part<Fields<'a>>,
    /// The messages of a threat, which are not incidents of their own.
    messages: List<Fields<'a>>,
}

impl Mapper for Abnormal {
    fn describe() -> Description {
        hookmill_sdk::description!("Abnormal Security", "Threats and cases of Abnormal Security")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let envelope: Envelope = event.json(EXPECTED)?;
        let lists = [envelope.threats, envelope.cases, envelope.vendor_cases, envelope.campaigns];
        if let Some(list) = lists.into_iter().flatten().next() {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| {
                outcome.incidents.push(incident(item, true)?);
                Ok(())
            });
        }
        let Some(body) = envelope.body else { return Ok(incident(event.json(EXPECTED)?, false)?.into()) };
        let metadata = |name: &str| envelope.metadata.get().and_then(|metadata| metadata.first(&[name]));
        match (incident(body, true), metadata("event_type")) {
            (Ok(mut incident), _) => {
                incident.changed_at = metadata("timestamp").and_then(timestamp).or(incident.changed_at);
                Ok(incident.into())
            }
            (Err(MappingError::Unsupported(_)), Some(kind)) => {
                Ok(Outcome::skip(format!("`{kind}` is not an event of a threat, a case or a campaign")))
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// Maps an item. One in a list or in `abx_body` may have no field but its id.
fn incident(raw: &RawValue, is_listed: bool) -> Result<Incident, MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let item: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let envelope: WithRest<Envelope> = json(raw.get()).ok_or_else(unsupported)?;
    let has_mark = || MARKS.iter().any(|name| field(&item, name).is_some());
    if !(is_listed || !envelope.messages.is_empty() || has_mark()) {
        return Err(unsupported());
    }
    // Each kind has its own ids.
    let mut incident = if let Some(id) = field(&item, "vendorCaseId") {
        vendor_case(Incident::new(format!("vendor-case:{id}")), &item)
    } else if let Some(id) = field(&item, "caseId") {
        case(Incident::new(format!("case:{id}")), &item)
    } else if let Some(id) = field(&item, "campaignId") {
        campaign(Incident::new(format!("campaign:{id}")), &item)
    } else {
        let incident = Incident::new(field(&item, "threatId").ok_or_else(unsupported)?);
        if envelope.messages.is_empty() {
            return Ok(threat(incident, std::slice::from_ref(&item)));
        }
        let mut incident = threat(incident, &envelope.messages);
        incident.keep_rest(&envelope, |name| name == "threatId");
        return Ok(incident);
    };
    incident.keep_unread(&item, "");
    Ok(incident)
}

/// Maps a threat. A remediated message is not a state of the threat.
fn threat(mut incident: Incident, messages: &[Fields]) -> Incident {
    let first = |name: &str| messages.iter().find_map(|message| field(message, name));
    incident.set_title(first("subject").or(first("attackType")));
    incident.category = first("attackType").map(str::to_owned);
    incident.state = Some(State::Open);
    let times = |name| messages.iter().filter_map(move |message| timestamp(field(message, name)?));
    incident.occurred_at = times("receivedTime").min().or_else(|| times("sentTime").min());
    incident.changed_at = times("receivedTime").chain(times("remediationTimestamp")).max();
    incident.external_link = first("abxPortalUrl").map(str::to_owned);
    for message in messages {
        incident.tag(field(message, "attackType").unwrap_or_default());
        observe_message(&mut incident, message);
    }
    if messages.len() > 1 {
        let summary = |message| -> BTreeMap<&str, &str> {
            SUMMARY.iter().filter_map(|name| Some((*name, field(message, name)?))).collect()
        };
        incident.detail_json("messages", &messages.iter().map(summary).collect::<Vec<_>>());
    }
    messages.iter().for_each(|message| incident.keep_unread(message, ""));
    incident
}

fn observe_message(incident: &mut Incident, message: &Fields) {
    for (data_type, name) in
        MESSAGE.iter().flat_map(|(data_type, names)| names.iter().map(move |name| (data_type, name)))
    {
        // Several addresses can be one text.
        let separator = if *data_type == "mail" { ',' } else { '\n' };
        let values = [name.to_string(), snake_case(name)].map(|name| message.all(name));
        for value in values.into_iter().flatten().flat_map(|text| text.split(separator)) {
            incident.observe(data_type, Some(value), name);
        }
    }
    incident.observe("mail-subject", field(message, "subject"), "subject");
}

fn case(mut incident: Incident, case: &Fields) -> Incident {
    // Older cases have their kind in the place of the severity.
    let severity = case.first(&["severity_level", "severity"]);
    let kind = case.first(&["severity"]).filter(|text| Severity::parse(text).is_none());
    incident.set_severity(severity);
    incident.set_title(case.first(&["description"]).or(kind));
    incident.category = kind.map(str::to_owned);
    // An analysis can also be a code, such as `SIGN_IN`.
    let summary = case.all("genai_summary").chain(case.first(&["analysis"])).filter(|text| text.contains(' '));
    incident.description = lines(summary);
    incident.state = case.first(&["case_status"]).and_then(case_state);
    incident.detail_fields(case, &["case_status", "remediation_status", "confidence"]);
    incident.occurred_at = case.time(&["firstObserved", "first_observed", "date_created"]);
    incident.changed_at = case.time(&["lastModifiedTime", "customerVisibleTime", "first_customer_visible_time"]);
    incident.observe_user(case.first(&["affectedEmployee", "entity.identifier"]), "affectedEmployee");
    incident.observe_fields(case, &[("ip", &["eventTimeline.ip_address", "event_timeline.ip_address"])]);
    incident
}

/// Returns the state of a case, such as `Action Required`, `Acknowledged (Attack resolved)` or
/// `acknowledged_in_progress`.
fn case_state(status: &str) -> Option<State> {
    let status = status.to_ascii_lowercase();
    let has = |known: &[&str]| status.split(|sign: char| !sign.is_alphabetic()).any(|word| known.contains(&word));
    if has(&["required", "progress", "open"]) {
        return Some(State::Open);
    }
    has(&["resolved", "acknowledged", "attack", "closed", "dismissed"]).then_some(State::Resolved)
}

fn vendor_case(mut incident: Incident, case: &Fields) -> Incident {
    let vendor = case.first(&["vendorDomain"]);
    incident.set_title(vendor.map(|vendor| format!("Suspicious mails of the vendor {vendor}")).as_deref());
    incident.description = lines(case.all("insights.description"));
    incident.category = Some("vendor fraud".into());
    incident.state = Some(State::Open);
    incident.occurred_at = case.time(&["firstObservedTime"]);
    incident.changed_at = case.time(&["lastModifiedTime"]);
    incident.observe("domain", vendor, "vendorDomain");
    incident.observe_fields(case, &[("mail", &["timeline.senderAddress", "timeline.recipientAddress"])]);
    incident.observe_fields(case, &[("mail-subject", &["timeline.subject"])]);
    incident
}

/// Maps a campaign: mails that users reported, with the verdict of Abnormal Security.
fn campaign(mut incident: Incident, campaign: &Fields) -> Incident {
    incident.set_title(field(campaign, "subject"));
    let kind = field(campaign, "attackType").map(|kind| kind.trim_start_matches("Attack Type: "));
    incident.category = kind.map(str::to_owned);
    incident.tag(kind.unwrap_or_default());
    let verdict = campaign.first(&["judgementStatus", "judgement"]);
    incident.tag(verdict.unwrap_or_default());
    let is_safe = verdict.is_some_and(|verdict| verdict.eq_ignore_ascii_case("safe"));
    incident.state = Some(if is_safe { State::Resolved } else { State::Open });
    incident.occurred_at = campaign.time(&["firstReported", "message_reported_time"]);
    incident.changed_at = campaign.time(&["lastReported", "message_reported_time"]);
    incident.detail("judgementStatus", verdict);
    observe_message(&mut incident, campaign);
    incident
}

/// Returns a field by its name in the API, or by that name in snake case.
fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.first(&[name, &snake_case(name)])
}

fn snake_case(name: &str) -> String {
    let separator = |letter: char| letter.is_ascii_uppercase().then_some('_');
    name.chars().flat_map(|letter| separator(letter).into_iter().chain([letter.to_ascii_lowercase()])).collect()
}

hookmill_sdk::export!(Abnormal);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Abnormal>("payloads");
        testing::check_rejects_invalid::<super::Abnormal>();
    }
}
