//! GitGuardian: secret incidents, public incidents and occurrences of the API, and events of custom webhooks.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Severity, State};
use hookmill_sdk::{has_objects, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "an incident of GitGuardian with `detector` and `status`, alone or in `incident` of a webhook, an \
                        occurrence with `incident_id`, or an answer of Public Monitoring with `results`";
/// The fields with observables of an occurrence.
const OCCURRENCE: [(&str, &[&str]); 3] =
    [("mail", &["author_info", "actors.email"]), ("filename", &["filepath"]), ("url", &["url"])];
/// Those of an incident of Public Monitoring.
const PUBLIC: [(&str, &[&str]); 2] = [("mail", &["who.email"]), ("filename", &["file_path"])];
/// The severities of Public Monitoring, which are numbers.
const LEVELS: [(&str, Severity); 5] = [
    ("10", Severity::Critical),
    ("20", Severity::High),
    ("30", Severity::Medium),
    ("40", Severity::Low),
    ("50", Severity::Informational),
];
/// Fields from which a secret could be found, or which are secrets themselves. They are not kept.
const SECRET: [&str; 3] = ["secret_hash", "hmsl_hash", "share_url"];
/// Credentials in files.
const TECHNIQUE: &str = "T1552.001";

struct GitGuardian;

/// An answer of Public Monitoring.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    results: Option<&'a RawValue>,
}

impl Mapper for GitGuardian {
    fn describe() -> Description {
        hookmill_sdk::description!("GitGuardian", "Secrets that GitGuardian found")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let page: Page = event.json(EXPECTED)?;
        if let Some(list) = page.results.filter(|list| has_objects(list)) {
            return map_list(list, EXPECTED, |item: &Fields, outcome| {
                outcome.incidents.push(public_incident(item)?);
                Ok(())
            });
        }
        let payload: Fields = event.json(EXPECTED)?;
        let incident = if payload.has_any(&["incident.detector", "incident.gitguardian_url", "incident.validity"]) {
            incident(&payload, "incident.", "occurrence.")?
        } else if payload.has("detector") && payload.has_any(&["gitguardian_url", "validity", "secret_hash"]) {
            incident(&payload, "", "occurrences.")?
        } else if payload.has("incident_id") && payload.has_any(&["filepath", "presence", "change_type"]) {
            occurrence(&payload)?
        } else if payload.has("nb_of_occurrences_still_on_github") {
            public_incident(&payload)?
        } else if payload.has("gitguardian_link") && payload.has_any(&["break_url", "matches"]) {
            // It contains a secret in `matches`.
            return Ok(Outcome::skip("a test message of the webhook"));
        } else {
            return Err(MappingError::expected(EXPECTED));
        };
        Ok(incident.into())
    }
}

/// Maps an incident, whose fields begin with `prefix`, and its occurrences.
fn incident(payload: &Fields, prefix: &str, occurrences: &str) -> Result<Incident, MappingError> {
    let field = |name: &str| payload.all(format!("{prefix}{name}")).next();
    let link = field("gitguardian_url");
    let is_public = link.is_some_and(|link| link.contains("/public-incidents/"))
        || (field("declarative_secret_status").is_some() && field("regression").is_none());
    let mut incident = Incident::new(source_ref(field("id"), is_public)?);
    incident.set_title(field("incident_name").or(field("detector.display_name")).or(field("detector.name")));
    incident.category = Some("leaked secret".into());
    incident.set_severity(field("severity"));
    // After `incident_reopened` the status can still be the one before.
    incident.state = payload.first(&["action"]).and_then(state).or_else(|| field("status").and_then(state));
    incident.occurred_at = payload.time(&[&format!("{prefix}date")]);
    let is_regression = field("regression") == Some("true") && incident.state == Some(State::Open);
    let changes = ["triggered_at", "ignored_at", "resolved_at"].map(|name| payload.time(&[&format!("{prefix}{name}")]));
    // An incident that was triggered again keeps the time at which it was triggered first.
    let changed_at = changes.into_iter().flatten().max().filter(|_| !is_regression);
    incident.changed_at = payload.time(&["timestamp"]).or(changed_at);
    incident.external_link = link.map(str::to_owned);
    payload.all(format!("{prefix}tags")).for_each(|tag| incident.tag(tag));
    incident.attack(TECHNIQUE, Some("credential-access"));
    observe(&mut incident, payload, occurrences);
    for name in ["status", "regression", "declarative_secret_status"] {
        incident.detail(name, field(name));
    }
    incident.detail("revoked", field("secret_revoked"));
    for name in SECRET {
        // A field that was read is not kept.
        field(name);
    }
    incident.keep_unread(payload, prefix);
    Ok(incident)
}

/// Maps an incident of Public Monitoring, whose API has other names.
fn public_incident(payload: &Fields) -> Result<Incident, MappingError> {
    if payload.first(&["nb_of_occurrences_still_on_github", "first_occurrence_date"]).is_none() {
        return Err(MappingError::expected(EXPECTED));
    }
    let mut incident = Incident::new(source_ref(payload.first(&["id"]), true)?);
    incident.set_title(payload.first(&["display_name", "name"]));
    incident.category = Some("leaked secret".into());
    let severity = payload.first(&["severity"]);
    incident.set_severity(severity);
    let level = LEVELS.iter().find(|(number, _)| severity == Some(*number));
    incident.severity = level.map(|(_, level)| *level).or(incident.severity);
    incident.state = payload.first(&["status"]).and_then(state);
    incident.occurred_at = payload.time(&["first_occurrence_date", "created_at"]);
    incident.changed_at = payload.time(&["resolved_at", "last_occurrence_date", "created_at"]);
    incident.external_link = payload.first(&["url"]).map(str::to_owned);
    payload.all("tags.description").for_each(|tag| incident.tag(tag));
    incident.attack(TECHNIQUE, Some("credential-access"));
    incident.observe_fields(payload, &PUBLIC);
    incident.detail("status", payload.first(&["status"]));
    // Whoever has this link sees the secret.
    payload.first(&["public_link"]);
    incident.keep_unread(payload, "");
    Ok(incident)
}

/// Maps an occurrence as an observation of its incident, whose state it does not tell.
fn occurrence(payload: &Fields) -> Result<Incident, MappingError> {
    let is_public = payload.first(&["element_type", "element", "actors.id"]).is_some();
    let mut incident = Incident::new(source_ref(payload.first(&["incident_id"]), is_public)?);
    observe(&mut incident, payload, "");
    incident.keep_unread(payload, "");
    Ok(incident)
}

/// Returns the id of an incident. Public incidents have their own numbers.
fn source_ref(id: Option<&str>, is_public: bool) -> Result<String, MappingError> {
    let id = id.ok_or_else(|| MappingError::Malformed("the `id` of the incident is absent".into()))?;
    Ok(if is_public { format!("public:{id}") } else { id.to_owned() })
}

/// Returns the state after an action or of a status. Other actions do not change the state.
fn state(name: &str) -> Option<State> {
    match name.to_ascii_lowercase().trim_start_matches("incident_") {
        "resolved" | "ignored" => Some(State::Resolved),
        "triggered" | "reopened" | "regression" => Some(State::Open),
        "assigned" if !name.starts_with("incident_") => Some(State::Open),
        _ => None,
    }
}

fn observe(incident: &mut Incident, payload: &Fields, prefix: &str) {
    for (data_type, name, value) in payload.typed(prefix, &OCCURRENCE) {
        // The author of a message can have another name than an address.
        if data_type != "mail" || value.contains('@') {
            incident.observe(data_type, Some(value), name);
        }
    }
}

hookmill_sdk::export!(GitGuardian);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::GitGuardian>("payloads");
        testing::check_rejects_invalid::<super::GitGuardian>();
    }
}
