//! Thinkst Canary: webhooks of Canaries and Canarytokens, and incidents of the API.

use hookmill_sdk::{
    Description, Event, Fields, Incident, List, Mapper, MappingError, Outcome, Severity, State, Text, has_objects,
    is_list, json, lines, map_list, timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "a webhook of Thinkst Canary with `AlertType` or `IncidentKey`, an incident of its API with `id` \
                        and `description`, or a webhook of canarytokens.org with `manage_url`";
/// The Canary of the message that the console sends when a webhook is added.
const TEST_CANARY: &str = "0000000testnode";

/// The details of a webhook with observables, by the names that the console shows.
const DETAILS: [(&str, &[&str]); 5] = [
    ("user-account", &["User", "Username"]),
    ("filename", &["Filename"]),
    ("user-agent", &["User-Agent"]),
    ("hostname", &["Remote Name"]),
    ("url", &["URL"]),
];
/// The fields with observables of an event of the API. `HOSTNAME` and `LOCALNAME` are the decoy.
const EVENTS: [(&str, &[&str]); 6] = [
    ("ip", &["src_host", "events.src_host"]),
    ("hostname", &["src_host_reverse", "events.REMOTENAME"]),
    ("user-account", &["events.USERNAME", "events.USER"]),
    ("filename", &["events.FILENAME"]),
    ("user-agent", &["events.USERAGENT", "events.headers.User-Agent"]),
    ("url", &["events.URL"]),
];
/// The fields of an event that tell a tried password although their names do not say so.
const TRIED: [&str; 3] = ["events.CLIENT_HASH", "events.SALT", "events.COMMUNITY_STRING"];

struct ThinkstCanary;

/// An answer of the API, or a single message.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    incidents: Option<&'a RawValue>,
    incident: Option<&'a RawValue>,
    feed: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Webhook<'a> {
    /// Pairs of a name and a value.
    #[serde(borrow, rename = "AdditionalDetails")]
    details: List<List<Text<'a>>>,
}

impl Mapper for ThinkstCanary {
    fn describe() -> Description {
        hookmill_sdk::description!("Thinkst Canary", "Incidents of Canaries and Canarytokens")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        let is_feed = |list: &&RawValue| has_objects(list) || (payload.feed.is_some() && is_list(list));
        if let Some(list) = payload.incidents.filter(is_feed) {
            return map_list(list, EXPECTED, |item: &&RawValue, outcome| map_item(item, outcome));
        }
        let mut outcome = Outcome::default();
        match payload.incident {
            Some(incident) => map_item(incident, &mut outcome)?,
            None => map_item(event.json(EXPECTED)?, &mut outcome)?,
        }
        Ok(outcome)
    }
}

fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

fn map_item(raw: &RawValue, outcome: &mut Outcome) -> Result<(), MappingError> {
    let item: Fields = json(raw.get()).ok_or_else(unsupported)?;
    let has = |names: &[&str]| item.first(names).is_some();
    let kind = item.first(&["AlertType"]);
    let mut incident = if item.first(&["CanaryID"]) == Some(TEST_CANARY) {
        outcome.skipped.push("a test of the webhook is not an incident".into());
        return Ok(());
    } else if item.first(&["type"]) == Some("console-audit") {
        outcome.skipped.push("an entry of the audit trail is not an incident".into());
        return Ok(());
    } else if has(&["IncidentKey", "IncidentHash"]) || kind.is_some_and(|kind| kind.starts_with("Canary")) {
        webhook(&item, raw)?
    } else if has(&["description.created", "description.description"]) || (has(&["created"]) && has(&["src_host"])) {
        api_incident(&item)?
    } else if has(&["manage_url"]) && has(&["channel", "time"]) {
        match free_token(&item) {
            Some(incident) => incident,
            None => {
                outcome.skipped.push("a message without a token is a test of the webhook".into());
                return Ok(());
            }
        }
    } else {
        return Err(unsupported());
    };
    incident.keep_unread(&item, "");
    outcome.incidents.push(incident);
    Ok(())
}

/// Maps a message of the console's webhook, which does not tell that an incident is closed.
fn webhook(item: &Fields, raw: &RawValue) -> Result<Incident, MappingError> {
    let key = item.first(&["IncidentKey", "IncidentHash"]);
    let key = key.ok_or_else(|| MappingError::Malformed("`IncidentKey` and `IncidentHash` are absent".into()))?;
    let mut incident = Incident::new(key);
    incident.set_title(item.first(&["Description", "Intro"]));
    // The reminder says where the token lies.
    let reminder = item.first(&["Reminder"]).map(|reminder| format!("Reminder: {reminder}"));
    incident.description = lines(item.first(&["Intro"]).into_iter().chain(reminder.as_deref()));
    judge(&mut incident, State::Open);
    incident.occurred_at = item.time(&["Timestamp"]).or_else(|| started_at(key));
    incident.changed_at.clone_from(&incident.occurred_at);
    incident.tag(item.first(&["AlertType"]).unwrap_or_default());
    incident.observe("ip", item.first(&["SourceIP"]), "SourceIP");
    incident.observe("hostname", item.first(&["ReverseDNS"]), "ReverseDNS");
    item.all("AdditionalDetails").for_each(drop);
    let webhook: Option<Webhook> = json(raw.get());
    let pairs = webhook.iter().flat_map(|webhook| &webhook.details);
    let details = Fields::from_pairs(pairs.filter_map(|pair| pair.first()?.get().zip(pair.get(1)?.get())));
    incident.observe_fields(&details, &DETAILS);
    incident.keep_unread(&details, "");
    Ok(incident)
}

/// Maps an incident of the API. Searches show the members of `description` without it.
fn api_incident(item: &Fields) -> Result<Incident, MappingError> {
    let id = item.required(&["id", "key", "hash_id"])?;
    let mut incident = Incident::new(id);
    let first = |name: &str| item.first(&[&format!("description.{name}"), name]);
    incident.set_title(first("description").or(item.first(&["summary"])));
    incident.description = first("memo").map(|memo| format!("Reminder: {memo}"));
    let is_acknowledged = first("acknowledged").map(|word| word.eq_ignore_ascii_case("true"));
    judge(&mut incident, if is_acknowledged == Some(true) { State::Resolved } else { State::Open });
    incident.detail("acknowledged", first("acknowledged"));
    incident.occurred_at = first("created").and_then(timestamp).or_else(|| started_at(id));
    incident.changed_at = item.time(&["updated_time", "updated_std", "updated"]);
    for (data_type, names) in EVENTS {
        for name in names {
            let paths = [format!("description.{name}"), (*name).to_owned()];
            incident.observe_fields(item, &[(data_type, &[&paths[0], &paths[1]])]);
        }
    }
    for name in TRIED {
        item.mark_read(&[name, &format!("description.{name}")]);
    }
    Ok(incident)
}

/// Maps a message of canarytokens.org, which has no id: a token and a source are one incident. Returns none if there is no
/// token.
fn free_token(item: &Fields) -> Option<Incident> {
    // The URL can also change the token, so that it is not kept.
    let url = item.first(&["manage_url"]).unwrap_or_default();
    let of_url = url.split(['?', '&']).find_map(|part| part.strip_prefix("token="));
    let token = item.first(&["token"]).or(of_url)?;
    let source = item.first(&["additional_data.src_ip", "src_ip"]);
    let mut incident = Incident::new(format!("canarytoken:{token}:{}", source.unwrap_or_default()));
    let memo = item.first(&["memo"]);
    let title: Vec<&str> = ["Canarytoken triggered"].into_iter().chain(memo).collect();
    incident.set_title(Some(&title.join(": ")));
    incident.description = memo.map(|memo| format!("Reminder: {memo}"));
    judge(&mut incident, State::Open);
    incident.occurred_at = item.time(&["time"]);
    incident.changed_at.clone_from(&incident.occurred_at);
    incident.observe("ip", source, "src_ip");
    incident.observe("user-agent", item.first(&["additional_data.useragent"]), "useragent");
    Some(incident)
}

/// Sets severity, state and category. Nobody has a reason to touch a Canary; one that went away may only be without power.
fn judge(incident: &mut Incident, state: State) {
    let key = incident.source_ref.strip_prefix("incident:").and_then(|key| key.split(':').next());
    let title = incident.title.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_back = key == Some("devicereconnected") || title == "canary reconnected";
    let is_gone = key == Some("devicedied") || title == "canary disconnected";
    incident.category = key.map(str::to_owned);
    (incident.severity, incident.state) = match (is_back, is_gone) {
        (true, _) => (Some(Severity::Informational), Some(State::Resolved)),
        (_, true) => (Some(Severity::Medium), Some(state)),
        _ => (Some(Severity::High), Some(state)),
    };
}

/// Returns the start of an incident, the last part of its key: `incident:KIND:NODE:SOURCE:SECONDS`.
fn started_at(key: &str) -> Option<String> {
    key.rsplit_once(':')
        .map(|(_, seconds)| seconds)
        .filter(|seconds| seconds.parse::<u64>().is_ok())
        .and_then(timestamp)
}

hookmill_sdk::export!(ThinkstCanary);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::ThinkstCanary>("payloads");
        testing::check_rejects_invalid::<super::ThinkstCanary>();
    }
}
