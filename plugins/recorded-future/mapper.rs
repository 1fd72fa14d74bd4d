//! Recorded Future: classic alerts of the API versions 2 and 3, and playbook alerts.

use hookmill_sdk::{
    Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Scale, Severity, State,
    file_name, sentence,
};

const EXPECTED: &str = "a classic alert of Recorded Future with `id` and `rule`, or a playbook alert with \
                        `playbook_alert_id`, alone, in `data`, or in `data.results`";
const ENVELOPES: Envelopes = Envelopes { members: &["data", "results"], answer: &[] };
const PLAYBOOK_ALERTS: &str = "https://app.recordedfuture.com/portal/playbook-alerts/";

/// The types of entities in classic alerts, and the prefixes of their ids in playbook alerts.
const ENTITIES: [(&str, &str, &str); 6] = [
    ("IpAddress", "ip", "ip"),
    ("InternetDomainName", "idn", "domain"),
    ("URL", "url", "url"),
    ("Hash", "hash", "hash"),
    ("EmailAddress", "email", "mail"),
    ("Username", "username", "user-account"),
];
/// The paths of entities in the evidence of a playbook alert. Servers of names and mail are not the domain's own.
const EVIDENCE: [&str; 5] = [
    "panel_evidence_dns.ip_list.entity",
    RECORDS,
    "panel_evidence_summary.repository.id",
    "panel_evidence_summary.evidence.url",
    "panel_evidence_summary.phishing_verdicts.url",
];
/// The records of a domain of all types, of which those with an address are its own.
const RECORDS: &str = "panel_evidence_summary.resolved_record_list.entity";
/// The sites of an alert about malicious sites.
const ATTACKERS: [&str; 2] = ["panel_status.attackers", "panel_evidence_summary.attackers.attacker"];
/// The evidence of an exposed identity. The host and its user are the victim's.
const EXPOSED: [(&str, &[&str]); 4] = [
    ("ip", &["panel_evidence_summary.infrastructure.ip"]),
    ("url", &["panel_evidence_summary.authorization_url"]),
    ("hostname", &["panel_evidence_summary.compromised_host.computer_name"]),
    ("user-account", &["panel_evidence_summary.compromised_host.os_username"]),
];

/// The statuses of work that is not done, as letters. `no-action` says that nobody acted yet.
const OPEN: [&str; 7] = ["new", "pending", "inprogress", "noaction", "unassigned", "assigned", "flagfortuning"];
const CLOSED: [&str; 2] = ["dismissed", "resolved"];
/// The members that, apart from its rule, tell a classic alert.
const CLASSIC: [&str; 5] =
    ["triggered", "log.triggered", "review.status", "review.statusInPortal", "review.status_in_portal"];

const CRITICALITY: Scale = Scale::Steps([1.0, 2.0, 3.0, 4.0, 4.0]);

struct RecordedFuture;

impl Mapper for RecordedFuture {
    fn describe() -> Description {
        hookmill_sdk::description!("Recorded Future", "Classic alerts and playbook alerts of Recorded Future")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, |alert, outcome| {
            Some(incident(alert)?.map(|incident| outcome.incidents.push(incident)))
        })
    }
}

/// Maps an alert. Returns none for an envelope.
fn incident(alert: &Fields) -> Option<Result<Incident, MappingError>> {
    let is_classic = alert.has_any(&["rule.name", "rule.id"]) && alert.has_any(&CLASSIC);
    let mut incident = match (alert.first(&["playbook_alert_id"]), alert.first(&["id"]).filter(|_| is_classic)) {
        (Some(id), _) => playbook(id, alert),
        (None, Some(id)) => classic(id, alert),
        _ if is_classic => return Some(Err(MappingError::Malformed("`id` is absent".into()))),
        _ => return None,
    };
    incident.keep_unread(alert, "");
    Some(Ok(incident))
}

/// Maps a classic alert. Addresses in its documents are those of news, not of an attacker.
fn classic(id: &str, alert: &Fields) -> Incident {
    let mut incident = Incident::new(id);
    incident.set_title(alert.first(&["title", "rule.name"]));
    incident.description = alert.first(&["ai_insights.text", "ai_insights.comment"]).map(str::to_owned);
    incident.category = alert.first(&["rule.name"]).map(str::to_owned);
    // Version 3 has `hits` in place of `entities`.
    let subjects = ["entities", "hits", "enriched_entities"].map(|name| alert.objects(name)).concat();
    let criticality = subjects.iter().filter_map(criticality_of).max().filter(|number| *number > 0);
    incident.vendor_severity = criticality.map(|number| number.to_string());
    incident.severity = criticality.and_then(|number| Severity::on_scale(CRITICALITY, number.into()));
    for name in ["review.statusInPortal", "review.status_in_portal", "review.status"] {
        set_state(&mut incident, name, alert.first(&[name]));
    }
    incident.occurred_at = alert.time(&["triggered", "log.triggered"]);
    incident.changed_at = alert.time(&["review.statusDate", "log.status_date"]).or(incident.occurred_at.clone());
    let link = alert.first(&["url", "url.portal"]).filter(|url| url.starts_with("https://"));
    incident.external_link = link.map(str::to_owned);
    incident.tag(alert.first(&["rule.name"]).unwrap_or_default());
    for (subject, entity) in subjects.iter().flat_map(|subject| entities_of(subject).map(move |one| (subject, one))) {
        let [name, kind] = ["name", "type"].map(|name| entity.first(&[name]));
        incident.observe_cves(name.unwrap_or_default(), "entity");
        let data_type = ENTITIES.iter().find(|(known, _, _)| Some(*known) == kind);
        let seen = data_type.and_then(|(_, _, data_type)| incident.observe(data_type, name, "entity"));
        if let Some(seen) = seen {
            // 3 is malicious.
            seen.ioc |= criticality_of(subject) >= Some(3);
        }
    }
    incident
}

/// Returns what a classic alert is about: an entity or, of a hit without a primary one, several.
fn entities_of<'a>(subject: &Fields<'a>) -> impl Iterator<Item = Fields<'a>> {
    let paths = ["entity", "primary_entity", "entities"].map(|name| subject.objects(name));
    paths.into_iter().find(|entities| !entities.is_empty()).into_iter().flatten()
}

/// Returns the criticality, from 0 to 4.
fn criticality_of(subject: &Fields) -> Option<u8> {
    subject.first(&["risk.criticality"])?.parse().ok()
}

fn playbook(id: &str, alert: &Fields) -> Incident {
    // The details of an alert and the results of a search name the same things.
    let status = |name: &str| alert.first(&[&format!("panel_status.{name}"), name]);
    let mut incident = Incident::new(id);
    let category = status("category").map(sentence);
    let label = status("case_rule_label").or(category.as_deref());
    let title: Vec<&str> = [label, status("entity_name").or(status("title"))].into_iter().flatten().collect();
    incident.set_title(Some(&title.join(": ")));
    let description = ["panel_evidence_summary.explanation", "panel_evidence_summary.dump.description"];
    incident.description = alert.first(&description).map(str::to_owned);
    incident.category = label.map(str::to_owned);
    incident.set_severity(status("priority"));
    set_state(&mut incident, "status", status("status"));
    let created = ["panel_evidence_summary.compromised_host.exfiltration_date", "panel_status.created", "created"];
    incident.occurred_at = alert.time(&created);
    incident.changed_at = alert.time(&["panel_status.updated", "updated"]);
    incident.external_link = Some(format!("{PLAYBOOK_ALERTS}{id}"));
    alert.all("panel_evidence_summary.malware_family.name").for_each(|name| incident.tag(name));
    alert.all("panel_status.context_list.context").for_each(|context| incident.tag(context));
    let is_imitation = label.is_some_and(|label| {
        label.eq_ignore_ascii_case("domain abuse") || label.eq_ignore_ascii_case("malicious sites")
    });
    let attackers = ATTACKERS.iter().flat_map(|name| alert.all(name).map(move |entity| (*name, entity)));
    for (name, entity) in status("entity_id").map(|entity| ("entity_id", entity)).into_iter().chain(attackers) {
        if let Some(seen) = observe_entity(&mut incident, Some(entity), name) {
            seen.ioc |= is_imitation;
        }
    }
    incident.observe_user(alert.first(&["panel_evidence_summary.subject"]), "subject");
    incident.observe_cves(status("entity_name").unwrap_or_default(), "entity_name");
    for name in EVIDENCE {
        for entity in alert.all(name).filter(|entity| name != RECORDS || entity.starts_with("ip:")) {
            observe_entity(&mut incident, Some(entity), name);
        }
    }
    incident.detail_list(RECORDS, &alert.all(RECORDS).collect::<Vec<_>>());
    incident.observe_fields(alert, &EXPOSED);
    let malware = alert.first(&["panel_evidence_summary.compromised_host.malware_file"]);
    incident.observe("filename", malware.map(file_name), "malware_file");
    // The log repeats earlier states. What was found in a repository can be a secret.
    for (path, _) in alert.iter() {
        let is_found = path.starts_with("panel_evidence_summary.evidence.")
            && (path.ends_with(".content") || path.ends_with(".value"));
        if is_found || path.starts_with("panel_log") || path.contains("clear_text") {
            alert.all(path).for_each(drop);
        }
    }
    incident
}

/// Adds an entity whose id has a prefix: `idn:example.com`.
fn observe_entity<'i>(incident: &'i mut Incident, id: Option<&str>, message: &str) -> Option<&'i mut Observable> {
    let (prefix, value) = id?.split_once(':')?;
    let (_, _, data_type) = ENTITIES.iter().find(|(_, known, _)| *known == prefix)?;
    incident.observe(data_type, Some(value), message)
}

/// Sets the state from a status, which has other separators in each version of the API: `InProgress`, `In-Progress`. An
/// alert with two of them is closed if either closes it.
fn set_state(incident: &mut Incident, name: &str, status: Option<&str>) {
    let letters = status.unwrap_or_default().chars().filter(char::is_ascii_alphabetic);
    let word: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    if CLOSED.contains(&word.as_str()) {
        incident.state = Some(State::Resolved);
    } else if OPEN.contains(&word.as_str()) {
        incident.state = incident.state.or(Some(State::Open));
    }
    incident.detail(name, status);
}

hookmill_sdk::export!(RecordedFuture);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::RecordedFuture>("payloads");
        testing::check_rejects_invalid::<super::RecordedFuture>();
    }
}
