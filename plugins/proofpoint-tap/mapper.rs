//! Proofpoint Targeted Attack Protection (TAP): clicks and messages of the SIEM API, in its answer or one by one.

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State, fingerprint,
};

const EXPECTED: &str = "an answer of Proofpoint TAP with `clicksPermitted`, `clicksBlocked`, `messagesDelivered` or \
                        `messagesBlocked`, a click with `clickTime`, or a message with `threatsInfoMap`";
/// The names by which forwarders tell the list of a single click or message.
const LIST: [&str; 3] = ["eventType", "event_type", "fromArray"];
/// The fields of a message with the addresses of its sender.
const SENDERS: [&str; 3] = ["sender", "fromAddress", "replyToAddress"];

/// The scores of a message, from 0 to 100, with their classifications. The worst comes first.
const SCORES: [(&str, &str); 4] =
    [("malwareScore", "malware"), ("phishScore", "phish"), ("impostorScore", "impostor"), ("spamScore", "spam")];
/// The least score of a classification that is more likely than not.
const LIKELY: f64 = 50.0;

struct Tap;

/// The list of an answer that contains the event, with the beginning of a title. The vendor gives no severity: it is one
/// level less for spam.
struct Kind {
    list: &'static str,
    title: &'static str,
    severity: Severity,
    spam_severity: Severity,
}

const KINDS: [Kind; 4] = [
    kind("clicksPermitted", "Permitted click on", Severity::High, Severity::Medium),
    kind("clicksBlocked", "Blocked click on", Severity::Medium, Severity::Low),
    kind("messagesDelivered", "Delivered message with", Severity::High, Severity::Medium),
    kind("messagesBlocked", "Blocked message with", Severity::Low, Severity::Informational),
];

const fn kind(list: &'static str, title: &'static str, severity: Severity, spam_severity: Severity) -> Kind {
    Kind { list, title, severity, spam_severity }
}

impl Kind {
    /// Returns the list that a forwarder names: `messagesBlocked`, `messages_blocked`, or `message` with the status
    /// `blocked`. Only a blocked message is in a folder of the quarantine.
    fn of(fields: &Fields) -> Option<&'static Self> {
        let status =
            fields.first(&["status"]).map(|status| format!("{}s{status}", fields.first(&["type"]).unwrap_or("")));
        let name = fields.first(&LIST).map(|name| name.replace(['_', '-', ' '], "")).or(status).unwrap_or_default();
        let named = KINDS.iter().find(|kind| kind.list.eq_ignore_ascii_case(&name));
        named.or_else(|| fields.first(&["quarantineFolder"]).map(|_| &KINDS[3]))
    }
}

impl Mapper for Tap {
    fn describe() -> Description {
        hookmill_sdk::description!("Proofpoint TAP", "Clicks and messages of Proofpoint Targeted Attack Protection")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Fields = event.json(EXPECTED)?;
        if !KINDS.iter().any(|kind| answer.has(kind.list)) {
            let incident = incident(&answer, None)?;
            return Ok(incident.map_or_else(|| Outcome::skip("a message without a threat"), Outcome::from));
        }
        let mut outcome = Outcome::default();
        for kind in &KINDS {
            for (number, item) in (1..).zip(answer.objects(kind.list)) {
                match incident(&item, Some(kind)) {
                    Ok(incident) => outcome.incidents.extend(incident),
                    Err(error) => {
                        outcome.problems.push(format!("item {number} of {}: {}", kind.list, error.text()));
                    }
                }
            }
        }
        match outcome.problems.first() {
            Some(text) if outcome.incidents.is_empty() => Err(MappingError::Unsupported(text.clone())),
            None if outcome.incidents.is_empty() => Ok(Outcome::skip("no click and no message in this interval")),
            _ => Ok(outcome),
        }
    }
}

/// Maps a click or a message of this kind, if it was in a list. Returns none for a message without a threat.
fn incident(fields: &Fields, kind: Option<&'static Kind>) -> Result<Option<Incident>, MappingError> {
    let found = fields.objects("threatsInfoMap");
    let kind = kind.or_else(|| Kind::of(fields));
    let is_click = fields.first(&["clickTime", "clickIP"]).is_some();
    if !is_click && found.is_empty() && kind.is_none() {
        if !is_scored(fields) {
            return Err(MappingError::expected(EXPECTED));
        }
        if by_score(fields).is_none() {
            return Ok(None);
        }
    }
    let threats: Vec<&Fields> = if is_click { vec![fields] } else { found.iter().collect() };
    let mut incident = Incident::new(source_ref(fields, is_click)?);
    incident.detail("list", kind.map(|kind| kind.list));
    for name in SCORES.map(|(name, _)| name).into_iter().chain(["quarantineFolder"]) {
        incident.detail(name, fields.first(&[name]));
    }
    judge(&mut incident, kind, &threats, by_score(fields).filter(|_| threats.is_empty()));
    let title = fields.first(&["subject"]).map_or_else(|| title(&incident, kind, is_click, fields), str::to_owned);
    incident.set_title(Some(&title));
    incident.occurred_at = fields.time(&["clickTime", "messageTime", "threatTime"]);
    let link = threats.iter().find_map(|threat| threat.first(&["threatURL", "threatUrl"]));
    incident.external_link = link.map(str::to_owned);
    if is_click {
        observe_threat(&mut incident, "url", fields.first(&["url"]), fields);
        incident.observe("mail", fields.first(&["recipient"]), "recipient");
    }
    for threat in &found {
        let kind = threat.first(&["threatType"]).unwrap_or_default().to_ascii_lowercase();
        observe_threat(&mut incident, &kind, threat.first(&["threat"]), threat);
    }
    incident.observe("ip", fields.first(&["senderIP"]), "senderIP");
    for name in SENDERS {
        for address in fields.all(name) {
            incident.observe("mail", Some(address), name);
        }
    }
    incident.observe("mail-subject", fields.first(&["subject"]), "subject");
    fields.objects("messageParts").iter().for_each(|part| observe_part(&mut incident, part));
    incident.keep_unread(fields, "");
    Ok(Some(incident))
}

fn is_scored(fields: &Fields) -> bool {
    fields.first(&["messageTime"]).is_some() && SCORES.iter().any(|(name, _)| fields.first(&[name]).is_some())
}

/// Returns the classification with the greatest score of a message, if it is more likely than not.
fn by_score(fields: &Fields) -> Option<&'static str> {
    let score = |name: &str| fields.first(&[name]).and_then(|score| score.parse::<f64>().ok()).unwrap_or_default();
    let greatest = SCORES.iter().rev().max_by(|(one, _), (other, _)| score(one).total_cmp(&score(other)))?;
    (score(greatest.0) >= LIKELY).then_some(greatest.1)
}

fn source_ref(fields: &Fields, is_click: bool) -> Result<String, MappingError> {
    let (ids, parts): (&[&str], _) = if is_click {
        (&["id"], ["messageID", "recipient", "clickTime", "url"])
    } else {
        (&["GUID", "messageID", "id", "QID"], ["threatsInfoMap.threatID", "toAddresses", "subject", "messageTime"])
    };
    if let Some(id) = fields.first(ids) {
        return Ok(id.trim_matches(['<', '>']).to_owned());
    }
    // Older clicks have no id.
    let parts = parts.map(|name| fields.first(&[name]).unwrap_or_default());
    match parts[0].is_empty() && !is_click {
        true => Err(MappingError::Malformed("`GUID` is absent".into())),
        false => Ok(fingerprint(parts)),
    }
}

/// Sets the state, the severity and the classification. The vendor gives no severity; a message without active threats
/// is informational.
fn judge(incident: &mut Incident, kind: Option<&Kind>, threats: &[&Fields], by_score: Option<&str>) {
    let is_over = !threats.is_empty() && threats.iter().all(|threat| is_active(threat) == Some(false));
    let is_open = threats.iter().any(|threat| is_active(threat) == Some(true));
    incident.state = if is_over { Some(State::Resolved) } else { is_open.then_some(State::Open) };
    let (active, cleared): (Vec<&Fields>, Vec<&Fields>) =
        threats.iter().partition(|threat| is_active(threat) != Some(false));
    let names = |threats: &[&Fields]| -> Vec<String> {
        threats.iter().filter_map(|threat| threat.first(&["classification"]).map(str::to_ascii_lowercase)).collect()
    };
    let (mut active, cleared) = (names(&active), names(&cleared));
    active.extend(by_score.map(str::to_owned));
    let is_spam = !active.is_empty() && active.iter().all(|name| name == "spam");
    incident.severity = if is_over {
        Some(Severity::Informational)
    } else {
        kind.map(|kind| if is_spam { kind.spam_severity } else { kind.severity })
    };
    active.iter().chain(&cleared).for_each(|name| incident.tag(name));
    incident.category = incident.tags.first().cloned();
}

/// Returns whether a threat is active; none if the status is absent or another one.
fn is_active(threat: &Fields) -> Option<bool> {
    match threat.first(&["threatStatus"])?.to_ascii_lowercase().as_str() {
        "active" => Some(true),
        "cleared" | "falsepositive" => Some(false),
        _ => None,
    }
}

/// Returns the title of a click, or of a message without a subject: `Blocked click on malware by ann@example.com`.
fn title(incident: &Incident, kind: Option<&Kind>, is_click: bool, fields: &Fields) -> String {
    let (unknown, preposition) = if is_click { ("Click on", "by") } else { ("Message with", "to") };
    let title =
        format!("{} {}", kind.map_or(unknown, |kind| kind.title), incident.category.as_deref().unwrap_or("a threat"));
    match fields.first(&["recipient", "toAddresses"]) {
        Some(recipient) => format!("{title} {preposition} {recipient}"),
        None => title,
    }
}

/// Adds a threat: a URL with or without scheme, a host, a file by its hash or its name, or an address.
fn observe_threat(incident: &mut Incident, kind: &str, value: Option<&str>, threat: &Fields) {
    let text = value.unwrap_or_default();
    let is_hash = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let data_type = match kind {
        "attachment" if is_hash => "hash",
        "attachment" => "filename",
        "url" if text.contains('/') => "url",
        "url" if text.contains('.') => "domain",
        _ if text.contains('@') => "mail",
        _ => return,
    };
    let observable = incident.observe(data_type, value, "threat");
    if is_active(threat) == Some(true) {
        observable.map(Observable::ioc);
    }
}

/// Adds an attached file. Parts that are the text of the message are noise.
fn observe_part(incident: &mut Incident, part: &Fields) {
    if part.first(&["disposition"]).is_some_and(|disposition| disposition.eq_ignore_ascii_case("attached")) {
        incident.observe("filename", part.first(&["filename"]), "messageParts");
        let is_threat = part.first(&["sandboxStatus"]).is_some_and(|status| status.eq_ignore_ascii_case("threat"));
        for name in ["sha256", "md5"] {
            let hash = incident.observe("hash", part.first(&[name]), "messageParts");
            if is_threat {
                hash.map(Observable::ioc);
            }
        }
    }
}

hookmill_sdk::export!(Tap);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Tap>("payloads");
        testing::check_rejects_invalid::<super::Tap>();
    }
}
