//! GitHub: alerts of code scanning, Dependabot and secret scanning, and the older alerts of vulnerabilities.

use hookmill_sdk::timestamp;
use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Part, Severity, State, Text, WithRest,
};
use serde::Deserialize;

const EXPECTED: &str = "an alert of GitHub with `alert.number` and `repository`";
const CLOSES: [&str; 7] = ["fixed", "dismissed", "auto_dismissed", "resolved", "resolve", "dismiss", "closed_by_user"];
const OPENS: [&str; 6] = ["created", "create", "reopened", "reopened_by_user", "reintroduced", "auto_reopened"];
/// The times of a change, of which an alert has one or none. A reopened alert may keep the time of its closing.
const CLOSED_AT: [&str; 4] = ["fixed_at", "dismissed_at", "auto_dismissed_at", "resolved_at"];
/// The members of a payload that are the same in each alert of an organisation.
const ENVELOPE: [&str; 3] = ["organization", "enterprise", "installation"];

struct GitHub;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    action: Text<'a>,
    alert: Part<Fields<'a>>,
    repository: Part<Repository<'a>>,
    sender: Part<Sender<'a>>,
}

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    full_name: Text<'a>,
}

#[derive(Deserialize)]
struct Sender<'a> {
    #[serde(borrow)]
    login: Text<'a>,
}

/// The kind of an alert, which is in a header but not in the body. Each kind has its own numbers.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    CodeScanning,
    Dependabot,
    SecretScanning,
    Vulnerability,
}

impl Kind {
    const ALL: [(&str, Self); 4] = [
        ("code_scanning_alert", Self::CodeScanning),
        ("dependabot_alert", Self::Dependabot),
        ("secret_scanning_alert", Self::SecretScanning),
        ("repository_vulnerability_alert", Self::Vulnerability),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| *name)
    }

    /// Returns the kind by the fields that only its alerts have.
    fn of(alert: &Fields) -> Option<Self> {
        let has = |names: &[&str]| alert.first(names).is_some();
        if has(&["secret_type"]) {
            return Some(Self::SecretScanning);
        }
        if has(&["rule.id", "rule.description", "tool.name"]) {
            return Some(Self::CodeScanning);
        }
        if has(&["security_advisory.ghsa_id", "security_advisory.summary", "dependency.package.name"]) {
            return Some(Self::Dependabot);
        }
        has(&["affected_package_name", "external_identifier"]).then_some(Self::Vulnerability)
    }
}

impl Mapper for GitHub {
    fn describe() -> Description {
        hookmill_sdk::description!("GitHub", "Alerts of code scanning, Dependabot and secret scanning", "github")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: WithRest<Payload> = event.json(EXPECTED)?;
        let header = event.header("x-github-event");
        let named = header.and_then(|name| Kind::ALL.iter().find(|(known, _)| *known == name)).map(|(_, kind)| *kind);
        let (kind, alert) = match (header, payload.alert.get()) {
            (Some(name), _) if named.is_none() => {
                return Ok(Outcome::skip(format!("`{name}` is not an event of an alert")));
            }
            (_, Some(alert)) => (named.or_else(|| Kind::of(alert)), alert),
            (_, None) => (None, &Fields::default()),
        };
        let kind = kind.ok_or_else(|| MappingError::expected(EXPECTED))?;
        let absent = |name: &str| MappingError::Malformed(format!("`{name}` is absent"));
        let repository = payload.repository.get().ok_or_else(|| absent("repository"))?;
        let repository_id = repository.id.get().ok_or_else(|| absent("repository.id"))?;
        let number = alert.first(&["number"]).ok_or_else(|| absent("alert.number"))?;
        let mut incident = Incident::new(format!("{repository_id}/{}/{number}", kind.name()));
        describe(&mut incident, kind, alert);
        incident.state = state(payload.action.get(), alert);
        incident.occurred_at = alert.time(&["created_at"]);
        incident.changed_at = changed_at(incident.state, payload.action.get(), alert);
        incident.external_link =
            alert.first(&["html_url"]).filter(|url| url.starts_with("https://")).map(str::to_owned);
        incident.tag(repository.full_name.get().unwrap_or_default());
        incident.detail("repository", repository.full_name.get());
        incident.detail("state", alert.first(&["state"]));
        incident.detail("action", payload.action.get());
        // A colleague.
        incident.detail("sender", payload.sender.get().and_then(|sender| sender.login.get()));
        incident.keep_unread(alert, "");
        incident.keep_rest(&payload, |name| ENVELOPE.contains(&name));
        Ok(incident.into())
    }
}

/// Sets what differs by kind: title, severity and the identifiers of a vulnerability.
fn describe(incident: &mut Incident, kind: Kind, alert: &Fields) {
    match kind {
        Kind::SecretScanning => {
            let secret = alert.first(&["secret_type_display_name", "secret_type"]).unwrap_or("of an unknown type");
            incident.set_title(Some(&format!("Leaked secret: {secret}")));
            incident.category = Some("leaked secret".into());
            incident.severity = Some(Severity::High);
            incident.detail("secret_type", alert.first(&["secret_type"]));
        }
        Kind::CodeScanning => {
            incident.set_title(alert.first(&["rule.description", "rule.name", "rule.id"]));
            incident.description = alert.first(&["rule.full_description"]).map(str::to_owned);
            incident.category = Some("code scanning".into());
            incident.set_severity(alert.first(&["rule.security_severity_level", "rule.severity"]));
            if alert.first(&["rule.security_severity_level"]).is_none() && incident.severity.is_none() {
                incident.severity = (alert.first(&["rule.severity"]) == Some("note")).then_some(Severity::Low);
            }
            alert.all("rule.tags").for_each(|tag| incident.tag(tag));
            observe_ids(incident, alert.first(&["rule.id"]));
            observe_ids(incident, alert.first(&["rule.description"]));
            incident.detail("rule.id", alert.first(&["rule.id"]));
        }
        Kind::Dependabot => {
            incident.set_title(alert.first(&["security_advisory.summary"]));
            incident.description = alert.first(&["security_advisory.description"]).map(str::to_owned);
            incident.category = Some("vulnerable dependency".into());
            incident.set_severity(alert.first(&["security_vulnerability.severity", "security_advisory.severity"]));
            let ids = ["security_advisory.cve_id", "security_advisory.identifiers.value", "security_advisory.ghsa_id"];
            ids.iter().flat_map(|name| alert.all(name)).for_each(|id| observe_ids(incident, Some(id)));
        }
        Kind::Vulnerability => {
            let (id, package) = (alert.first(&["external_identifier"]), alert.first(&["affected_package_name"]));
            let title: Vec<&str> = [id, package].into_iter().flatten().collect();
            incident.set_title(Some(&title.join(" in ")));
            incident.category = Some("vulnerable dependency".into());
            incident.set_severity(alert.first(&["severity"]));
            [id, alert.first(&["ghsa_id"])].into_iter().for_each(|id| observe_ids(incident, id));
        }
    }
}

/// Adds the CVE and GHSA ids in a text.
fn observe_ids(incident: &mut Incident, text: Option<&str>) {
    for word in text.unwrap_or_default().split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-') {
        if word.starts_with("CVE-") {
            incident.observe("cve", Some(word), "vulnerability");
        } else if word.starts_with("GHSA-") {
            incident.observe("other", Some(word), "advisory");
        }
    }
}

/// Returns the state after the action, or that of the alert if the action is another one.
fn state(action: Option<&str>, alert: &Fields) -> Option<State> {
    let state = alert.first(&["state"]);
    match action {
        Some(action) if CLOSES.contains(&action) => Some(State::Resolved),
        Some(action) if OPENS.contains(&action) => Some(State::Open),
        _ if state.is_some_and(|state| CLOSES.contains(&state)) => Some(State::Resolved),
        _ => state.and_then(State::parse),
    }
}

/// Returns the time of the change, if the alert has one: without it, the time of receipt orders the changes.
fn changed_at(state: Option<State>, action: Option<&str>, alert: &Fields) -> Option<String> {
    let closed_at = CLOSED_AT.iter().find_map(|name| alert.first(&[name])).filter(|_| state == Some(State::Resolved));
    let created_at = alert.first(&["created_at"]).filter(|_| action.is_some_and(|action| action.starts_with("create")));
    alert.first(&["updated_at"]).or(closed_at).or(created_at).and_then(timestamp)
}

hookmill_sdk::export!(GitHub);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::GitHub>("payloads");
        testing::check_rejects_invalid::<super::GitHub>();
    }
}
