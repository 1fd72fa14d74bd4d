//! Mimecast: logs of Targeted Threat Protection about URLs, attachments and impersonation, logs of data leak prevention, and
//! lines of the SIEM batches, alone, in lists or in answers of the API.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Severity};
use hookmill_sdk::{fingerprint, has_objects, is_list, json, map_list, sentence};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "a log of Mimecast about a URL, an attachment or an impersonation with `messageId`, a line of a \
                        SIEM batch with `type` and `processingId`, or an answer with `clickLogs`, `attachmentLogs`, \
                        `impersonationLogs` or `dlpLogs`";
/// The types of SIEM lines that are about every mail, unless a threat was found in it.
const ROUTINE: [&str; 5] = ["delivery", "journal", "mailflow", "process", "receipt"];
/// What a reason to reject a mail for a threat contains. Another reason, a list of addresses, stands as the virus too.
const THREATS: [&str; 4] = ["malicious", "malware", "phish", "virus"];
/// The fields that only logs of Mimecast have.
const MARKS: [&str; 8] = [
    "actionTriggered",
    "emailPartsDescription",
    "route",
    "taggedExternal",
    "taggedMalicious",
    "ttpDefinition",
    "userAwarenessAction",
    "userOverride",
];
/// The fields that only logs about impersonation have.
const IMPERSONATION: [&str; 6] = [
    "hits",
    "identifiers",
    "impersonationResults.checkType",
    "impersonationResults.checkerResult",
    "impersonationResults.impersonationDomainSource",
    "taggedMalicious",
];
const SENDER: [&str; 4] = ["fromUserEmailAddress", "senderAddress", "senderHeader", "senderEnvelope"];
const USER: [&str; 3] = ["userEmailAddress", "recipientAddress", "recipients"];
const TIME: [&str; 3] = ["date", "eventTime", "timestamp"];
const ACTIONS: [&str; 5] = ["action", "actions", "actionTriggered", "policiesApplied.action", "threatState"];
const RESULT: [&str; 3] = ["scanResult", "result", "scanResults"];
const CATEGORY: [&str; 7] =
    ["category", "urlCategory", "virusFound", "rejectionType", "identifiers", "policy", "threatType"];
const URL: &str = "url protect";
const ATTACHMENT: &str = "attachment protect";
const IMPERSONATION_PROTECT: &str = "impersonation protect";
const DATA_LEAK: &str = "data leak prevention";

struct Mimecast;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    fail: Option<&'a RawValue>,
    click_logs: Option<&'a RawValue>,
    attachment_logs: Option<&'a RawValue>,
    impersonation_logs: Option<&'a RawValue>,
    dlp_logs: Option<&'a RawValue>,
}

impl Mapper for Mimecast {
    fn describe() -> Description {
        hookmill_sdk::description!("Mimecast", "Detections of Mimecast's Targeted Threat Protection and SIEM logs")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        match answer.data {
            Some(data) if has_objects(data) => {
                map_list(data, EXPECTED, |item: &&RawValue, outcome| map_logs(item, outcome))
            }
            // Only Mimecast answers with `fail`.
            Some(data) if is_list(data) && answer.fail.is_some() => Ok(Outcome::skip("an answer without logs")),
            _ => {
                let mut outcome = Outcome::default();
                map_logs(event.json(EXPECTED)?, &mut outcome)?;
                Ok(outcome)
            }
        }
    }
}

/// Maps the logs of an element of `data`, or a log.
fn map_logs(raw: &RawValue, outcome: &mut Outcome) -> Result<(), MappingError> {
    let answer: Answer = json(raw.get()).ok_or_else(|| MappingError::expected(EXPECTED))?;
    let lists = [answer.click_logs, answer.attachment_logs, answer.impersonation_logs, answer.dlp_logs];
    if lists.iter().all(Option::is_none) {
        return map_log(raw, outcome);
    }
    for list in lists.into_iter().flatten() {
        let logs = map_list(list, EXPECTED, |item: &&RawValue, outcome| map_log(item, outcome))?;
        outcome.incidents.extend(logs.incidents);
        outcome.skipped.extend(logs.skipped);
        outcome.problems.extend(logs.problems);
    }
    Ok(())
}

fn map_log(raw: &RawValue, outcome: &mut Outcome) -> Result<(), MappingError> {
    let unsupported = || MappingError::expected(EXPECTED);
    let log: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let kind = kind_of(&log).ok_or_else(unsupported)?;
    if ROUTINE.contains(&kind.as_str()) && !is_threat(&log) {
        outcome.skipped.push(format!("a log of type `{kind}` is about every mail"));
    } else if is_clean(&log, &kind) {
        outcome.skipped.push(format!("a log of type `{kind}` without a finding"));
    } else {
        outcome.incidents.push(incident(&log, &kind)?);
    }
    Ok(())
}

/// Returns the type of a line of a SIEM batch, or what a log is about.
fn kind_of(log: &Fields) -> Option<String> {
    if log.first(&["processingId", "aggregateId"]).is_some() {
        return log.first(&["type", "eventType"]).map(str::to_ascii_lowercase);
    }
    let result = log.first(&RESULT).unwrap_or_default();
    let kind = if !log.has_any(&MARKS) {
        return None;
    } else if result.eq_ignore_ascii_case("impersonation") || log.has_any(&IMPERSONATION) {
        IMPERSONATION_PROTECT
    } else if log.has_any(&["fileName", "fileHash"]) {
        ATTACHMENT
    } else if log.has("url") {
        URL
    } else if log.has("policy") {
        DATA_LEAK
    } else {
        return None;
    };
    Some(kind.to_owned())
}

fn is_threat(log: &Fields) -> bool {
    let reason = log.first(&["rejectionType"]).map(str::to_ascii_lowercase);
    let is_named = |reason: String| THREATS.iter().any(|word| reason.contains(word));
    reason.map_or(log.first(&["virusFound"]).is_some(), is_named)
}

fn is_clean(log: &Fields, kind: &str) -> bool {
    let is_harmless = log.first(&["taggedMalicious"]) == Some("false");
    let result = log.first(&RESULT).unwrap_or_default().to_ascii_lowercase();
    // Lines of the type `entities`, of a mailbox in the cloud, are about every mail too.
    let is_undetected = log.first(&["threatType"]) == Some("NO_DETECTIONS");
    (kind == IMPERSONATION_PROTECT && is_harmless) || is_undetected || matches!(result.as_str(), "clean" | "safe")
}

fn incident(log: &Fields, kind: &str) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(source_ref(log)?);
    incident.set_title(title(log, kind).as_deref());
    incident.category = Some(kind.to_owned());
    incident.severity = severity(log, kind);
    incident.occurred_at = log.time(&TIME);
    for name in CATEGORY {
        log.all(name).for_each(|category| incident.tag(category));
    }
    if kind == IMPERSONATION_PROTECT {
        incident.attack("T1566", None);
    }
    let sender = log.first(&SENDER);
    incident.observe_fields(
        log,
        &[
            ("url", &["url"]),
            ("filename", &["fileName", "attachments"]),
            ("hash", &["sha256", "sha1", "md5", "fileHash"]),
            ("ip", &["sendingIp", "senderIpAddress", "senderIp"]),
        ],
    );
    // `[Type: [Phishing & Fraud],Url: [https://…],…]`
    let url = log.first(&["rejectionInfo"]).and_then(|text| text.split_once("Url: [")?.1.split(']').next());
    incident.observe("url", url, "rejectionInfo");
    incident.observe("mail", sender.map(|sender| sender.trim_matches(['<', '>'])), "sender");
    // The user who clicked, or the one to whom data leaked; recipients of other mails are details.
    if kind == URL || kind == DATA_LEAK {
        incident.observe_fields(log, &[("mail", &USER)]);
    }
    if kind != URL {
        incident.observe("mail-subject", log.first(&["subject"]), "subject");
    }
    // The similar domain can be the imitated one, which is the organisation's own.
    let domain = sender.and_then(|sender| sender.rsplit_once('@')).map(|(_, domain)| domain.trim_end_matches('>'));
    for name in ["impersonationResults.similarDomain", "similarDomain"] {
        let similar = log.all(name).find(|similar| domain.is_some_and(|domain| domain.eq_ignore_ascii_case(similar)));
        incident.observe("domain", similar, name);
        incident.detail(name, log.first(&[name]));
    }
    for name in ACTIONS.into_iter().chain(RESULT).chain(USER).chain(["messageId", "subject", "taggedMalicious"]) {
        incident.detail(name, log.first(&[name]));
    }
    incident.keep_unread(log, "");
    Ok(incident)
}

/// Returns the id of a log. Those about URLs and attachments have none; one mail can have several of them.
fn source_ref(log: &Fields) -> Result<String, MappingError> {
    if let Some(id) = log.first(&["id", "processingId"]) {
        return Ok(id.to_owned());
    }
    let part = |names: &[&str]| log.first(names).unwrap_or_default().to_owned();
    let parts = [part(&["messageId", "aggregateId"]), part(&USER), part(&["url", "fileHash", "fileName"]), part(&TIME)];
    if parts[0].is_empty() && parts[1].is_empty() {
        return Err(MappingError::Malformed("the log has no `messageId` and no user".into()));
    }
    Ok(fingerprint(parts.iter().map(String::as_str)))
}

fn title(log: &Fields, kind: &str) -> Option<String> {
    let subject = || log.first(&["subject"]).map(str::to_owned);
    let file = || Some(format!("{}: {}", sentence(kind), log.first(&["fileName"])?));
    let user = log.first(&USER).unwrap_or("a user");
    let category = log.first(&["category", "urlCategory"]).or(log.first(&RESULT)).unwrap_or("URL");
    let url = || Some(format!("{category}: {user} clicked {}", log.first(&["url"])?));
    let named = if kind == URL { url().or_else(subject) } else { subject().or_else(file) };
    named.or_else(|| Some(sentence(kind)))
}

/// Returns the severity, which the vendor does not give: what was let through is high, what was held or warned of is
/// medium, and what was blocked is low.
fn severity(log: &Fields, kind: &str) -> Option<Severity> {
    let actions: Vec<String> = ACTIONS.iter().flat_map(|name| log.all(name)).map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = actions.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    let any = |beginnings: &[&str]| words.iter().any(|word| beginnings.iter().any(|known| word.starts_with(known)));
    if any(&["block", "bnc", "bounce", "delete", "drop", "rej"]) {
        Some(Severity::Low)
    } else if any(&["user release"]) {
        Some(Severity::High)
    } else if any(&["held", "hld", "hold", "quarantine", "sandbox", "warn"]) {
        Some(Severity::Medium)
    } else {
        // The action `none` is read as absent. Only logs about impersonation always have an action.
        let is_let_through = any(&["acc", "allow", "deliver", "none", "tag"]) || kind == IMPERSONATION_PROTECT;
        is_let_through.then_some(Severity::High)
    }
}

hookmill_sdk::export!(Mimecast);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Mimecast>("payloads");
        testing::check_rejects_invalid::<super::Mimecast>();
    }
}
