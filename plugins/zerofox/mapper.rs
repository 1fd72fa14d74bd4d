//! ZeroFox: alerts about social networks, domains and the dark web.

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Scale, State, has_objects, json, map_list,
};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an alert of ZeroFox with `id`, `alert_type` and `rule_name`, alone, in `alert`, or in `alerts`";
/// The members that, apart from its id, an alert of ZeroFox has. Two of them tell an alert.
const MEMBERS: [&str; 5] = ["alert_type", "rule_name", "network", "offending_content_url", "content_created_at"];
const ALERTS: &str = "https://cloud.zerofox.com/alerts/";

struct ZeroFox;

/// An answer of the API: a page of alerts, or one alert.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    alerts: Option<&'a RawValue>,
    alert: Option<&'a RawValue>,
}

impl Mapper for ZeroFox {
    fn describe() -> Description {
        hookmill_sdk::description!("ZeroFox", "Alerts of ZeroFox")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let answer: Answer = event.json(EXPECTED)?;
        if let Some(list) = answer.alerts.filter(|list| has_objects(list)) {
            return map_list(list, EXPECTED, |alert: &Fields, outcome| {
                outcome.incidents.push(incident(alert)?);
                Ok(())
            });
        }
        let alert: Fields = match answer.alert {
            Some(alert) => json(alert.get()).ok_or_else(unsupported)?,
            None => event.json(EXPECTED)?,
        };
        Ok(incident(&alert)?.into())
    }
}

fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

fn incident(alert: &Fields) -> Result<Incident, MappingError> {
    let first = |name: &str| alert.all(name).next();
    if MEMBERS.into_iter().filter(|name| first(name).is_some()).count() < 2 {
        return Err(unsupported());
    }
    let id = first("id").ok_or_else(|| MappingError::Malformed("`id` is absent".into()))?;
    let mut incident = Incident::new(id);
    let perpetrator = alert.first(&["perpetrator.display_name", "perpetrator.name", "perpetrator.username"]);
    let title: Vec<&str> = [first("rule_name"), perpetrator.or(first("entity.name"))].into_iter().flatten().collect();
    incident.set_title(Some(&title.join(": ")));
    incident.description = first("perpetrator.content").map(str::to_owned);
    incident.category = first("alert_type").map(str::to_owned);
    incident.set_severity_on(Scale::Five, first("severity"));
    incident.state = first("status").and_then(state);
    incident.occurred_at = alert.time(&["content_created_at", "timestamp"]);
    incident.changed_at = alert.time(&["last_modified"]);
    incident.external_link = Some(format!("{ALERTS}{id}"));
    first("network").into_iter().chain(alert.all("tags")).for_each(|tag| incident.tag(tag));
    observe(&mut incident, alert);
    incident.detail_fields(alert, &["status", "entity.name", "offending_content_url"]);
    // Metadata is JSON in a text, or an object.
    let is_text = alert.iter().any(|(path, _)| path == "metadata");
    let metadata = is_text.then(|| first("metadata").filter(|text| text.starts_with('{'))).flatten();
    let metadata = metadata.and_then(json::<Fields>);
    incident.keep_unread(alert, "");
    if let Some(metadata) = metadata {
        incident.keep_unread(&metadata, "");
    }
    Ok(incident)
}

/// Returns the state: a request to take content down, also a denied one, leaves the alert open.
fn state(status: &str) -> Option<State> {
    let status: String = status.to_ascii_lowercase().replace([' ', '_'], "");
    match status.as_str() {
        "closed" | "whitelisted" | "takedown:accepted" => Some(State::Resolved),
        "open" | "reopened" | "escalated" | "takedown:requested" | "takedown:denied" => Some(State::Open),
        _ => None,
    }
}

/// Adds what imitates the customer as malicious, and other content to look up. Pages of ZeroFox itself are only links.
fn observe(incident: &mut Incident, alert: &Fields) {
    let first = |name: &str| alert.all(name).next();
    let kinds = [first("alert_type"), first("rule_name")];
    let is_imitation = kinds.into_iter().flatten().any(|name| {
        let name = name.to_ascii_lowercase();
        name.contains("impersonat") || name.contains("phish")
    });
    let is_domain = first("network").is_some_and(|network| network.eq_ignore_ascii_case("domains"));
    let name = first("perpetrator.name").filter(|name| is_domain && name.contains('.') && !name.contains([' ', '/']));
    let account = first("perpetrator.username").filter(|_| first("perpetrator.type") == Some("account"));
    for (data_type, value, message) in [
        ("url", first("offending_content_url"), "offending_content_url"),
        ("url", first("perpetrator.url"), "perpetrator.url"),
        ("domain", name, "perpetrator.name"),
        ("user-account", account, "perpetrator.username"),
    ] {
        let value = value.filter(|value| data_type != "url" || is_content(value));
        if let Some(seen) = incident.observe(data_type, value, message) {
            seen.ioc |= is_imitation && data_type != "user-account";
        }
    }
}

fn is_content(url: &str) -> bool {
    url.contains('.') && !url.contains("://cloud.zerofox.com/")
}

hookmill_sdk::export!(ZeroFox);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::ZeroFox>("payloads");
        testing::check_rejects_invalid::<super::ZeroFox>();
    }
}
