//! Elastic Security: alerts as search hits, as flat fields, or in a custom body of Kibana's webhook.

use hookmill_sdk::{
    Description, Event, Fields, Incident, Mapper, MappingError, Observable, Outcome, Scale, Severity, State,
};
use hookmill_sdk::{fingerprint, json_list};

const EXPECTED: &str =
    "an Elastic Security alert with `kibana.alert.rule.name`, alone, in `context.alerts` or in `hits.hits`";

// Before version 8.0, `kibana.alert.` was called `signal.`; alerts can contain either or both. The last names in each
// list are those beside `context.alerts`.
const RULE: [&str; 4] = ["kibana.alert.rule.name", "signal.rule.name", "context.rule.name", "rule.name"];
const SEVERITY: [&str; 5] = [
    "kibana.alert.severity",
    "kibana.alert.rule.severity",
    "signal.rule.severity",
    "context.rule.severity",
    "rule.severity",
];
const RISK: [&str; 3] = ["kibana.alert.risk_score", "kibana.alert.rule.risk_score", "signal.rule.risk_score"];
/// The bounds of risk scores in Elastic's user interface.
const RISKS: Scale = Scale::Steps([0.0, 22.0, 48.0, 74.0, 100.0]);
const DESCRIPTION: [&str; 3] = ["kibana.alert.rule.description", "signal.rule.description", "kibana.alert.reason"];
const TIME: [&str; 3] = ["kibana.alert.original_time", "signal.original_time", "@timestamp"];
const CHANGED: [&str; 2] = ["kibana.alert.workflow_status_updated_at", "@timestamp"];
const STATUS: [&str; 2] = ["kibana.alert.workflow_status", "signal.status"];
const TAGS: [&str; 3] = ["kibana.alert.rule.tags", "signal.rule.tags", "kibana.alert.workflow_tags"];
const THREAT: [&str; 3] = ["kibana.alert.rule.threat", "kibana.alert.rule.parameters.threat", "signal.rule.threat"];

const IPS: [&str; 5] = ["host.ip", "source.ip", "destination.ip", "client.ip", "server.ip"];
const OBSERVABLES: [(&str, &[&str]); 13] = [
    ("hostname", &["host.name"]),
    ("ip", &IPS),
    ("user-account", &["user.name", "user.target.name", "source.user.name", "destination.user.name"]),
    ("mail", &["user.email", "user.target.email", "email.from.address", "email.sender.address", "email.to.address"]),
    ("mail-subject", &["email.subject"]),
    ("hash", &["process.hash.sha256", "process.hash.sha1", "process.hash.md5"]),
    ("hash", &["file.hash.sha256", "file.hash.sha1", "file.hash.md5"]),
    ("hash", &["dll.hash.sha256", "dll.hash.sha1", "dll.hash.md5", "email.attachments.file.hash.sha256"]),
    ("filename", &["file.name", "dll.name", "email.attachments.file.name"]),
    ("domain", &["destination.domain", "dns.question.name", "url.domain", "tls.client.server_name"]),
    ("url", &["url.full"]),
    ("registry", &["registry.path"]),
    ("cve", &["vulnerability.id"]),
];
/// Fields that name another field, and those with its values: what a threshold rule counted, the indicators that an
/// indicator match rule found, the new terms and the anomalies of machine learning.
const NAMED: [(&str, &str); 9] = [
    ("kibana.alert.threshold_result.terms.field", "kibana.alert.threshold_result.terms.value"),
    ("signal.threshold_result.terms.field", "signal.threshold_result.terms.value"),
    ("threat.enrichments.matched.field", "threat.enrichments.matched.atomic"),
    ("threat.indicator.matched.field", "threat.indicator.matched.atomic"),
    ("kibana.alert.rule.parameters.new_terms_fields", "kibana.alert.new_terms"),
    ("by_field_name", "by_field_value"),
    ("over_field_name", "over_field_value"),
    ("partition_field_name", "partition_field_value"),
    ("influencers.influencer_field_name", "influencers.influencer_field_values"),
];
const DETAILS: [&str; 8] = [
    "kibana.alert.reason",
    "kibana.alert.risk_score",
    "kibana.alert.rule.uuid",
    "event.action",
    "event.dataset",
    "process.name",
    "process.executable",
    "process.command_line",
];

struct Elastic;

/// The rule that a template writes beside the alerts.
#[derive(Default)]
struct Rule<'b> {
    name: Option<&'b str>,
    severity: Option<&'b str>,
}

impl Mapper for Elastic {
    fn describe() -> Description {
        hookmill_sdk::description!("Elastic Security", "Detection alerts of Elastic Security")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let body: Fields = event.json(EXPECTED)?;
        let hits = body.objects("hits.hits");
        if !hits.is_empty() {
            return outcome(hits.iter().map(incident_of_hit));
        }
        if let Some(incident) = incident_of_hit(&body) {
            return Ok(incident.into());
        }
        let Some(path) = ["context.alerts", "alerts"].into_iter().find(|path| body.has(path)) else {
            return outcome([incident(&body, &Rule::default(), None)]);
        };
        let rule = Rule { name: body.first(&RULE), severity: body.first(&SEVERITY) };
        let map = |alerts: &[Fields]| outcome(alerts.iter().map(|alert| incident(alert, &rule, alert.first(&["_id"]))));
        let is_in_list = |(field, _): (&str, &str)| field.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        let text = body.first(&[path]).filter(|_| !body.iter().any(is_in_list));
        let Some(text) = text else { return map(&body.objects(path)) };
        let is_json = text.starts_with(['{', '[']);
        match is_json.then(|| map(&json_list(text))) {
            Some(Ok(outcome)) => Ok(outcome),
            _ => outcome([incident_of_text(text, &rule)]),
        }
    }
}

/// Collects incidents. Single unreadable alerts are problems; if all are unreadable, the payload is unsupported.
fn outcome(incidents: impl IntoIterator<Item = Option<Incident>>) -> Result<Outcome, MappingError> {
    let mut outcome = Outcome::default();
    for (number, incident) in (1..).zip(incidents) {
        match incident {
            Some(incident) => outcome.incidents.push(incident),
            None => outcome.problems.push(format!("alert {number} does not name a rule")),
        }
    }
    if outcome.incidents.is_empty() {
        return Err(MappingError::expected(EXPECTED));
    }
    Ok(outcome)
}

/// Maps the alert of a hit, of which `fields` can lack what `_source` has.
fn incident_of_hit(hit: &Fields) -> Option<Incident> {
    let parts = [hit.objects("fields"), hit.objects("_source")];
    parts.iter().flatten().find_map(|alert| incident(alert, &Rule::default(), hit.first(&["_id"])))
}

/// Maps one alert of a rule. Returns none if it is not an alert of a detection rule.
fn incident(alert: &Fields, rule: &Rule, id: Option<&str>) -> Option<Incident> {
    let name = alert.first(&RULE[..2]).or_else(|| rule.name.filter(|_| alert.first(&["@timestamp"]).is_some()))?;
    let id = alert.first(&["kibana.alert.uuid"]).or(id).map_or_else(|| derive_id(name, alert), str::to_owned);
    let mut incident = Incident::new(id);
    incident.set_title(Some(name));
    incident.description = alert.first(&DESCRIPTION).map(str::to_owned);
    incident.set_severity(alert.first(&SEVERITY).or(rule.severity));
    let risk = alert.first(&RISK);
    incident.severity = incident.severity.or_else(|| Severity::on_scale(RISKS, risk?.parse().ok()?));
    incident.state = alert.first(&STATUS).and_then(state);
    incident.occurred_at = alert.time(&TIME);
    incident.changed_at = alert.time(&CHANGED);
    incident.external_link = alert.first(&["kibana.alert.url"]).map(str::to_owned);
    TAGS.iter().flat_map(|name| alert.all(name)).for_each(|tag| incident.tag(tag));
    observe(&mut incident, alert);
    classify(&mut incident, alert);
    for name in DETAILS {
        let value = alert.first(&[name]).filter(|value| incident.description.as_deref() != Some(value));
        incident.detail(name, value);
    }
    incident.keep_unread(alert, "");
    Some(incident)
}

/// Alerts under work are open, also after they were closed.
fn state(status: &str) -> Option<State> {
    let is_under_work = ["acknowledged", "in-progress"].iter().any(|known| known.eq_ignore_ascii_case(status));
    if is_under_work { Some(State::Open) } else { State::parse(status) }
}

/// Maps a body whose template writes `context.alerts` as plain text: only the rule beside it is known.
fn incident_of_text(text: &str, rule: &Rule) -> Option<Incident> {
    let name = rule.name?;
    let mut incident = Incident::new(fingerprint([name, text]));
    incident.set_title(Some(name));
    incident.description = Some(text.to_owned());
    incident.set_severity(rule.severity);
    Some(incident)
}

fn derive_id(rule: &str, alert: &Fields) -> String {
    let facts = [&["host.name"][..], &["kibana.alert.reason"], &TIME];
    fingerprint([rule].into_iter().chain(facts.into_iter().map(|names| alert.first(names).unwrap_or_default())))
}

fn observe(incident: &mut Incident, alert: &Fields) {
    for (data_type, name, value) in alert.typed("", &OBSERVABLES) {
        observe_as(incident, data_type, value, name);
    }
    for (names, values) in NAMED {
        let (named, values): (Vec<&str>, Vec<&str>) = (alert.all(names).collect(), alert.all(values).collect());
        // A field with several values leaves open which value is of which field.
        for (name, value) in named.iter().zip(&values).filter(|_| named.len() == values.len()) {
            if let Some((data_type, _)) = OBSERVABLES.iter().find(|(_, known)| known.contains(name)) {
                let found = observe_as(incident, data_type, value, name);
                found.filter(|_| names.starts_with("threat.")).map(Observable::ioc);
            }
        }
    }
    if alert.first(&["host.name"]).is_none() {
        incident.observe("hostname", alert.first(&["host.hostname"]), "host.hostname");
    }
    if alert.first(&IPS).is_none() {
        // `… source 192.0.2.1:42202, destination …`
        for word in alert.first(&["kibana.alert.reason"]).unwrap_or_default().split([' ', ',']) {
            incident.observe("ip", Some(word), "kibana.alert.reason");
        }
    }
}

fn observe_as<'i>(incident: &'i mut Incident, kind: &str, value: &str, name: &str) -> Option<&'i mut Observable> {
    match kind {
        "user-account" => incident.observe_user(Some(value), name),
        _ => incident.observe(kind, Some(value), name),
    }
}

/// Adds techniques; a sub-technique replaces its technique. The tactic of a technique is known only if there is one
/// tactic.
fn classify(incident: &mut Incident, alert: &Fields) {
    let all = |name: &'static str| THREAT.iter().flat_map(move |threat| alert.all(format!("{threat}.{name}")));
    let tactic = all("tactic.id").next().filter(|first| all("tactic.id").all(|id| id == *first));
    all("technique.subtechnique.id").for_each(|id| incident.attack(id, tactic));
    for id in all("technique.id").chain(all("technique.reference")) {
        let id = id.trim_end_matches('/').rsplit('/').next().unwrap_or(id);
        if !incident.has_technique(|known| known.id.split('.').next() == Some(id)) {
            incident.attack(id, tactic);
        }
    }
    if tactic.is_none() || incident.techniques.is_empty() {
        all("tactic.id").for_each(|id| incident.attack(id, None));
    }
}

hookmill_sdk::export!(Elastic);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Elastic>("payloads");
        testing::check_rejects_invalid::<super::Elastic>();
    }
}
