//! Netskope: alerts of every type, and incidents of data loss prevention (DLP).

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Severity, State, file_name,
    has_objects, is_list, map_list, sentence,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an alert of Netskope with `_id` and `alert_type`, or an incident of DLP with `dlp_incident_id` \
                        and `status`, alone or in `result` or `data`";

/// The fields with the severity of an alert. The first one with a value counts, as the others are those of a rule or of
/// another product.
const SEVERITIES: [&str; 7] = [
    "severity",
    "malware_severity",
    "severity_level",
    "dlp_rule_severity",
    "sa_rule_severity",
    "risk_level",
    "metadata.attack_severity",
];
const OWN_SEVERITY: [(&str, Severity); 1] = [("med", Severity::Medium)];
/// The types of alerts, in lower case and without spaces, that tell of an attack although they have no severity.
const ATTACKS: [&str; 4] = ["malware", "malsite", "compromisedcredential", "c2"];

const OBSERVABLES: [(&str, &[&str]); 3] =
    [("ip", &["userip"]), ("hostname", &["hostname"]), ("user-agent", &["useragent"])];
const HASHES: [&str; 6] = ["sha256", "sha1", "md5", "local_sha256", "local_sha1", "local_md5"];
const FILES: [&str; 6] = ["dlp_file", "file_name", "filename", "object", "quarantine_file_name", "q_original_filename"];
const USERS: [&str; 3] = ["user", "ur_normalized", "userkey"];
/// The addresses of the site to which a user went.
const SITES: [(&str, &[&str]); 1] = [("ip", &["dstip", "malsite_ip_host"])];

struct Netskope;

/// An answer of the API: `result` in version 2, `data` in version 1.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    ok: Option<&'a RawValue>,
}

impl Mapper for Netskope {
    fn describe() -> Description {
        hookmill_sdk::description!("Netskope", "Alerts and DLP incidents of Netskope")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        // An answer of version 2 without alerts has `ok`.
        let is_answer = |value: &&RawValue| has_objects(value) || (answer.ok.is_some() && is_list(value));
        if let Some(list) = [answer.result, answer.data].into_iter().flatten().find(is_answer) {
            return map_list(list, EXPECTED, map_record);
        }
        let mut outcome = Outcome::default();
        map_record(&event.json(EXPECTED)?, &mut outcome)?;
        Ok(outcome)
    }
}

fn map_record(record: &Fields, outcome: &mut Outcome) -> Result<(), MappingError> {
    let has = |names: &[&str]| record.first(names).is_some();
    let kind = record.first(&["alert_type"]);
    let is_alert = record.first(&["alert"]) == Some("yes") || (has(&["_id"]) && kind.is_some());
    let mut incident = if is_alert {
        // An alert of a policy can have no type of its own.
        let of_policy = || (record.first(&["type"]) == Some("nspolicy")).then_some("policy");
        alert(record, kind.or_else(of_policy))?
    } else if has(&["dlp_incident_id"]) && has(&["status", "dlp_match_info.dlp_policy"]) {
        dlp_incident(record)
    } else if has(&["_id"]) && has(&["access_method", "traffic_type", "_insertion_epoch_timestamp", "ccl"]) {
        let kind = record.first(&["record_type", "type"]).unwrap_or("unknown");
        outcome.skipped.push(format!("an event of the type `{kind}` is not an alert"));
        return Ok(());
    } else {
        return Err(MappingError::expected(EXPECTED));
    };
    incident.occurred_at = record.time(&["timestamp", "_insertion_epoch_timestamp"]);
    observe(&mut incident, record);
    incident.keep_unread(record, "");
    outcome.incidents.push(incident);
    Ok(())
}

fn alert(record: &Fields, kind: Option<&str>) -> Result<Incident, MappingError> {
    let mut incident = Incident::new(record.required(&["_id"])?);
    let title = record.first(&["alert_name", "policy"]).map(str::to_owned);
    let title = title.or_else(|| {
        let parts = [kind.map(sentence), record.first(&["malware_name", "object"]).map(str::to_owned)];
        Some(parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
    });
    incident.set_title(title.as_deref());
    let description = record.first(&["breach_description", "sa_rule_remediation"]);
    incident.description = description.map(str::to_owned);
    incident.category = kind.map(str::to_owned);
    incident.set_severity_word(record.first(&SEVERITIES), &OWN_SEVERITY);
    incident.observe_cves(record.first(&["alert_name"]).unwrap_or_default(), "alert_name");
    let kind = normalized(kind.unwrap_or_default());
    if incident.vendor_severity.is_none() {
        incident.severity = match kind.as_str() {
            "policy" => Some(Severity::Low),
            kind => ATTACKS.contains(&kind).then_some(Severity::High),
        };
    }
    let is_acknowledged = record.first(&["acked"]) == Some("true");
    incident.state = Some(if is_acknowledged { State::Resolved } else { State::Open });
    incident.detail_fields(record, &["acked", "access_method"]);
    let category = record.all("appcategory").chain(record.all("category")).find(|name| name.parse::<u64>().is_err());
    let types = record.all("alert_type").chain(category).chain(record.all("malsite_category"));
    types.for_each(|tag| incident.tag(tag));
    // A scan through an API has the addresses of the cloud.
    if record.first(&["access_method"]) != Some("API Connector") {
        incident.observe_fields(record, &SITES);
    }
    match kind.as_str() {
        "malsite" | "c2" => {
            incident.observe("url", url(record), "url").map(Observable::ioc);
            incident.observe("domain", record.first(&["domain"]), "domain").map(Observable::ioc);
        }
        "malware" => {
            for name in HASHES {
                incident.observe("hash", record.first(&[name]), name).map(Observable::ioc);
            }
        }
        _ => {}
    }
    Ok(incident)
}

/// Maps an incident of DLP. Its id is another one than those of the alerts that belong to it.
fn dlp_incident(record: &Fields) -> Incident {
    let mut incident = Incident::new(record.first(&["dlp_incident_id"]).unwrap_or_default());
    let parts = [record.first(&["dlp_match_info.dlp_policy"]), record.first(&["title", "object"])];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    incident.set_title(Some(&parts.join(": ")));
    incident.category = Some("DLP incident".into());
    let rules = record.all("dlp_match_info.dlp_rules.dlp_rule_severity");
    let highest = rules.max_by_key(|name| Severity::parse(name).map(|severity| severity as u8));
    incident.set_severity_word(record.first(&["severity"]).or(highest), &OWN_SEVERITY);
    incident.state = match record.first(&["status"]).map(normalized).as_deref() {
        Some("resolved" | "closed") => Some(State::Resolved),
        Some("new" | "inprogress") => Some(State::Open),
        _ => None,
    };
    incident.tag("DLP");
    incident.detail_fields(record, &["status", "assignee", "dlp_match_info.dlp_policy"]);
    incident
}

/// Returns a word in lower case without separators: `Compromised Credential` is `compromisedcredential`.
fn normalized(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Returns the URL, which may have no scheme. Some applications have another name in its place.
fn url<'r>(record: &'r Fields) -> Option<&'r str> {
    let is_url = record.iter().any(|(path, value)| path == "url" && value.contains('.'));
    is_url.then(|| record.first(&["url"])).flatten()
}

fn observe(incident: &mut Incident, record: &Fields) {
    incident.observe_fields(record, &OBSERVABLES);
    incident.observe("url", url(record), "url");
    incident.observe_fields(record, &[("hash", &HASHES)]);
    incident.observe_user(record.first(&USERS), "user");
    incident.observe_user(record.first(&["matched_username"]), "matched_username");
    // The object can also be a folder, a message or a resource of a cloud. Without a type, one with a hash is a file.
    let is_file = match record.first(&["object_type"]) {
        Some(kind) => kind.eq_ignore_ascii_case("file"),
        None => record.first(&HASHES).is_some(),
    };
    for name in FILES.into_iter().filter(|name| *name != "object" || is_file) {
        incident.observe("filename", record.first(&[name]).map(file_name), name);
    }
}

hookmill_sdk::export!(Netskope);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Netskope>("payloads");
        testing::check_rejects_invalid::<super::Netskope>();
    }
}
