//! Vectra AI: detections, hosts and accounts of the APIs of RUX (in the cloud) and QUX (on premises), and the events of
//! both, which tell of activity in a detection or of a new score.

use hookmill_sdk::attack::technique_id;
use hookmill_sdk::{Description, Envelopes, Event, Fields, Incident, Mapper, MappingError, Outcome, Severity, State};

const EXPECTED: &str = "a detection of Vectra with `detection_type` and `certainty`, or a host or account with \
                        `detection_set` or `urgency_score`, alone, in `results` or in `events`";
const ENVELOPES: Envelopes = Envelopes { members: &["results", "events"], answer: &[] };

// RUX and QUX have the same names, but for the case of values; events have further ones.
const DETECTION_MARKS: [&str; 3] = ["detection_type", "d_type_vname", "detection_category"];
const DETECTION_SCORES: [&str; 2] = ["certainty", "c_score"];
const ENTITY_MARKS: [&str; 8] = [
    "detection_set",
    "detection_summaries",
    "urgency_score",
    "quadrant",
    "score_decreases",
    "last_detection_timestamp",
    "has_active_traffic",
    "host_session_luids",
];
/// The source of a detection: where it was seen, or where the login came from.
const SOURCE_IPS: [&str; 7] = [
    "src_ip",
    "src_host.ip",
    "summary.src_ips",
    "grouped_details.src_ip",
    "grouped_details.src_external_host.ip",
    "host_ip",
    "detail.src_ip",
];
/// The destination, which is a victim if it is internal.
const DESTINATIONS: [&str; 12] = [
    "summary.dst_ips",
    "grouped_details.dst_ips",
    "grouped_details.target_domains",
    "grouped_details.external_target.ip",
    "grouped_details.external_target.name",
    "detail.external_target.ip",
    "detail.external_target.name",
    "detail.dst_ip",
    "detail.dst_dns",
    "dd_dst_ip",
    "dd_dst_dns",
    "proxied_dst",
];
const ACCOUNTS: [&str; 4] = ["src_account.name", "src_linked_account.name", "account_name", "accounts"];

struct Vectra;

impl Mapper for Vectra {
    fn describe() -> Description {
        hookmill_sdk::description!("Vectra AI", "Detections, hosts and accounts of Vectra AI")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        ENVELOPES.map(event, EXPECTED, map_item)
    }
}

/// Maps a detection, a host or an account. Returns none for an envelope.
fn map_item(fields: &Fields, outcome: &mut Outcome) -> Option<Result<(), MappingError>> {
    let is_lockdown = fields.first(&["category"]).is_some_and(|category| category.ends_with("LOCKDOWN"));
    let mapped = if is_lockdown || fields.has("lock_event_timestamp") {
        outcome.skipped.push("a lockdown is a reaction to detections".into());
        return Some(Ok(()));
    } else if fields.has_any(&DETECTION_MARKS) && fields.has_any(&DETECTION_SCORES) {
        detection(fields)
    } else if fields.has_any(&ENTITY_MARKS) {
        entity(fields)
    } else if fields.has("vectra_timestamp") && fields.has("headend_addr") {
        outcome.skipped.push("a message about a campaign or an administrator is not a detection".into());
        return Some(Ok(()));
    } else {
        return None;
    };
    Some(mapped.map(|mut incident| {
        // In a message of QUX, a list can be a text such as `[]`.
        fields.all("tags").filter(|tag| !tag.starts_with('[')).for_each(|tag| incident.tag(tag));
        incident.detail_fields(fields, &["state", "threat", "certainty"]);
        incident.keep_unread(fields, "");
        outcome.incidents.push(incident);
    }))
}

fn detection(fields: &Fields) -> Result<Incident, MappingError> {
    // An event has an id of its own.
    let id = fields.first(&["detection_id", "id"]);
    let mut incident = Incident::new(id.ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?);
    let title = fields.first(&["detection", "detection_type", "d_type_vname", "custom_detection"]);
    incident.set_title(title);
    incident.description = fields.first(&["description", "summary.description", "reason"]).map(str::to_owned);
    let category = fields.first(&["detection_category", "category"]);
    incident.category = category.map(str::to_owned);
    incident.tag(category.unwrap_or_default());
    set_severity_of_scores(&mut incident, fields);
    // A rule, a user or the AI can decide that a detection is not for analysts.
    let hidden = ["is_triaged", "triaged", "filtered_by_ai", "filtered_by_rule", "filtered_by_user"];
    let is_hidden = hidden.iter().any(|name| fields.first(&[name]) == Some("true"));
    incident.state = match fields.first(&["state"]) {
        _ if is_hidden => Some(State::Resolved),
        // An event tells of activity.
        None => Some(State::Open),
        Some(word) => state(word),
    };
    incident.occurred_at = fields.time(&[
        "first_timestamp",
        "created_timestamp",
        "Start",
        "event_timestamp",
        "vectra_timestamp",
        "last_timestamp",
    ]);
    let changes = ["last_timestamp", "note_modified_timestamp", "_doc_modified_ts"];
    let changed = changes.iter().filter_map(|name| fields.time(&[name])).max();
    incident.changed_at = changed.or_else(|| fields.time(&["event_timestamp", "vectra_timestamp"]));
    incident.external_link = fields.first(&["detection_url", "detection_href", "href", "url"]).map(str::to_owned);
    // `Kerberoasting: Weak Cipher Request`
    let name = title.and_then(|title| technique_id(title).or_else(|| technique_id(title.split(':').next()?)));
    fields.all("mitre").chain(name).for_each(|technique| incident.attack(technique, None));
    observe_detection(&mut incident, fields, category);
    Ok(incident)
}

fn observe_detection(incident: &mut Incident, fields: &Fields, category: Option<&str>) {
    observe_host(incident, fields.first(&["src_host.name", "host_name"]), "src_host");
    for name in ACCOUNTS {
        fields.first(&[name]).into_iter().flat_map(|text| text.split(", ")).for_each(|account| {
            observe_account(incident, Some(account), name);
        });
    }
    let source = fields.first(&["entity_uid", "src_entity"]);
    match fields.first(&["type"]) {
        Some("host") => observe_host(incident, source, "entity_uid"),
        Some("account") => observe_account(incident, source, "entity_uid"),
        _ => {}
    }
    incident.observe_fields(fields, &[("ip", &SOURCE_IPS)]);
    observe_address_of(incident, source, "entity_uid");
    // `COMMAND & CONTROL`, `command_and_control`
    let word = category.unwrap_or_default().to_ascii_lowercase();
    if ["command", "exfiltration", "botnet"].iter().any(|known| word.starts_with(known)) {
        for (name, value) in DESTINATIONS.iter().flat_map(|name| fields.all(name).map(move |value| (name, value))) {
            incident.observe("domain", Some(value), name);
        }
    }
}

/// Maps a host or an account, which have ids of their own kind.
fn entity(fields: &Fields) -> Result<Incident, MappingError> {
    let url = fields.first(&["host_url", "account_url", "url", "href"]);
    let is_account = match fields.first(&["type", "entity_type"]) {
        Some(kind) => kind == "account",
        None => {
            fields.first(&["account_id", "account_type", "account_uid"]).is_some()
                || url.is_some_and(|url| url.contains("/accounts/"))
        }
    };
    let kind = if is_account { "account" } else { "host" };
    let id = fields.first(&["entity_id", "host_id", "account_id", "id"]);
    let id = id.ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?;
    let mut incident = Incident::new(format!("{kind}:{id}"));
    let word = fields.first(&["severity", "quadrant"]);
    match word {
        Some(word) => incident.set_severity(Some(word)),
        None => set_severity_of_scores(&mut incident, fields),
    }
    let name = fields.first(&["name", "host_name", "account_name", "account_uid", "entity_uid"]);
    let score = incident.severity.map(|severity| format!(" scored {}", severity.name())).unwrap_or_default();
    let label = if is_account { "Account" } else { "Host" };
    incident.set_title(name.map(|name| format!("{label} {name}{score}")).as_deref());
    incident.description = fields.first(&["urgency_reason"]).map(str::to_owned);
    let profile = fields.first(&["attack_profile", "detection_profile.vname", "detection_profile"]);
    incident.tag(profile.filter(|profile| !profile.starts_with('{')).unwrap_or_default());
    incident.state = fields.first(&["state"]).and_then(state);
    incident.occurred_at =
        fields.time(&["last_detection_timestamp", "event_timestamp", "vectra_timestamp", "last_modified"]);
    incident.changed_at = fields.time(&["last_modified_timestamp", "last_modified", "_doc_modified_ts"]);
    incident.changed_at = incident.changed_at.or_else(|| incident.occurred_at.clone());
    incident.external_link = url.map(str::to_owned);
    if is_account {
        observe_account(&mut incident, name, "name");
    } else {
        observe_host(&mut incident, name, "name");
        incident.observe_fields(fields, &[("ip", &["ip", "last_source", "host_ip"]), ("mac", &["mac_address"])]);
        observe_address_of(&mut incident, name, "name");
    }
    Ok(incident)
}

fn state(word: &str) -> Option<State> {
    match word.to_ascii_lowercase().as_str() {
        "active" => Some(State::Open),
        "inactive" | "fixed" | "closed" => Some(State::Resolved),
        _ => None,
    }
}

/// Sets the severity by the quadrant of threat and certainty. The scores of the host are other ones.
fn set_severity_of_scores(incident: &mut Incident, fields: &Fields) {
    let number = |names: &[&str]| fields.first(names).and_then(|number| number.parse::<f64>().ok());
    let Some(threat) = number(&["threat", "t_score"]) else { return };
    let Some(certainty) = number(&["certainty", "c_score"]) else { return };
    incident.vendor_severity = Some(format!("threat {threat}, certainty {certainty}"));
    incident.severity = Some(match (threat >= 50.0, certainty >= 50.0) {
        (true, true) => Severity::Critical,
        (true, false) => Severity::High,
        (false, true) => Severity::Medium,
        (false, false) => Severity::Low,
    });
}

/// Adds the name of a host, unless Vectra made it of the address: `IP-192.0.2.7`. A name can also be free text.
fn observe_host(incident: &mut Incident, name: Option<&str>, message: &str) {
    let is_host = |name: &&str| !name.starts_with("IP-") && !name.contains(char::is_whitespace);
    incident.observe("hostname", name.filter(is_host), message);
}

/// Adds the address in the name of a host if there is no other, which would be newer.
fn observe_address_of(incident: &mut Incident, name: Option<&str>, message: &str) {
    if !incident.observables.iter().any(|known| known.data_type == "ip") {
        incident.observe("ip", name.and_then(|name| name.strip_prefix("IP-")), message);
    }
}

/// Adds an account, whose name begins with its product: `O365:ann@example.com`.
fn observe_account(incident: &mut Incident, name: Option<&str>, message: &str) {
    incident.observe_user(name.map(|name| name.split_once(':').map_or(name, |(_, user)| user)), message);
}

hookmill_sdk::export!(Vectra);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Vectra>("payloads");
        testing::check_rejects_invalid::<super::Vectra>();
    }
}
