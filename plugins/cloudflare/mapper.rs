//! Cloudflare: firewall events that Logpush delivers, and notifications.

use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Severity, State};
use hookmill_sdk::{fingerprint, sentence};

const EXPECTED: &str = "a firewall event of Cloudflare with `RayID` and `Action`, or a notification with `alert_type`";
/// The managed rules for React2Shell, an attack on the React framework. Events say no more than the rule's id.
const REACT2SHELL: [&str; 2] = ["33aa8a8a948b48b28d40450c5fb92fba", "2b5d06e34a814a889bee9a0699702280"];
/// Statuses of answers by Cloudflare to requests that it refused.
const REFUSED: [&str; 2] = ["403", "429"];
/// Parts of the types of notifications about attacks.
const ATTACKS: [&str; 4] = ["dos", "attack", "hijack", "malicious"];
/// Parts of the types of notifications about the operation of sites.
const OPERATION: [&str; 19] = [
    "access_custom",
    "auto_advertisement",
    "billing",
    "certificate",
    "closed_port",
    "expir",
    "failing_logpush",
    "health",
    "http_alert",
    "incident_alert",
    "load_balancing",
    "maintenance",
    "origin_monitoring",
    "pages_",
    "ssl",
    "stream_",
    "tls",
    "tunnel",
    "workers",
];
/// What the attacker sees of one's own site, and the attacker.
const REQUEST: [(&str, &[&str]); 3] =
    [("ip", &["ClientIP"]), ("domain", &["ClientRequestHost"]), ("user-agent", &["ClientRequestUserAgent"])];
const TARGETS: [(&str, &[&str]); 2] = [
    ("domain", &["data.target_hostname", "data.target_zone_name", "data.zone_name"]),
    ("ip", &["data.target_ip", "data.origin_ip", "data.ports.ip"]),
];

struct Cloudflare;

impl Mapper for Cloudflare {
    fn describe() -> Description {
        hookmill_sdk::description!("Cloudflare", "Firewall events and notifications of Cloudflare")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let fields: Fields = event.json(EXPECTED)?;
        let text = fields.first(&["text"]).unwrap_or_default();
        if text.contains("This is a test message sent from https://cloudflare.com") {
            return Ok(Outcome::skip("a test of the webhook"));
        }
        // Logpush creates a job only after its destination has taken this.
        if fields.iter().eq([("content", "tests")]) {
            return Ok(Outcome::skip("a test of the destination"));
        }
        // The logs of other data sets contain `RayID` or `Action`, too.
        let is_firewall = fields.has("RayID")
            && (fields.has_any(&["RuleID", "Source"]) || fields.has("Action") && fields.has("ClientIP"));
        // Other vendors' alerts contain `alert_type` or `policy_id`, too.
        let is_sent = fields.has("ts") && fields.has_any(&["text", "data"]);
        let is_notification = is_sent && fields.has_any(&["alert_type", "policy_id", "alert_correlation_id", "name"]);
        let mut incident = match (is_firewall, is_notification) {
            (true, _) => firewall_event(&fields),
            (_, true) => notification(&fields, text),
            _ => return Err(MappingError::expected(EXPECTED)),
        };
        incident.keep_unread(&fields, "");
        Ok(incident.into())
    }
}

fn firewall_event(event: &Fields) -> Incident {
    let field = |name: &str| event.first(&[name]);
    // Several rules write an event each for one request.
    let ids = [field("RayID"), field("RuleID")];
    let mut incident = Incident::new(ids.into_iter().flatten().collect::<Vec<_>>().join("/"));
    let status = field("EdgeResponseStatus").unwrap_or_default();
    let (severity, verb) = effect(field("Action").unwrap_or_default(), REFUSED.contains(&status));
    incident.severity = severity;
    let source = field("Source").unwrap_or_default();
    let rule = field("RuleID").map_or("Cloudflare".into(), |id| format!("{} {id}", rule_name(source)));
    let message = event.first(&["Description", "Metadata.rule_message"]);
    let subject = message.map_or(rule, |message| format!("{message}:"));
    let path = field("ClientRequestPath").unwrap_or_default();
    let host = field("ClientRequestHost").unwrap_or("a request");
    let request = [subject.as_str(), verb, field("ClientRequestMethod").unwrap_or_default(), &format!("{host}{path}")];
    let words: Vec<&str> = request.into_iter().filter(|word| !word.is_empty()).collect();
    incident.set_title(Some(&words.join(" ")));
    incident.category = field("Source").map(str::to_owned);
    incident.tag(source);
    incident.state = Some(State::Open);
    incident.occurred_at = event.time(&["Datetime"]);
    incident.observe_fields(event, &REQUEST);
    incident.observe("uri_path", Some(path).filter(|path| *path != "/"), "ClientRequestPath");
    incident.observe_cves(message.unwrap_or_default(), "rule");
    let is_exploit = incident.observables.iter().any(|observable| observable.data_type == "cve");
    if is_exploit || field("RuleID").is_some_and(|id| REACT2SHELL.contains(&id)) {
        incident.attack("T1190", None);
    }
    if source.eq_ignore_ascii_case("l7ddos") {
        incident.attack("T1499", None);
    }
    for name in ["Action", "EdgeResponseStatus", "RuleID"] {
        incident.detail(name, field(name));
    }
    incident
}

/// Returns the severity of an action, and what it did to the request.
fn effect(action: &str, is_refused: bool) -> (Option<Severity>, &'static str) {
    let action = action.replace('_', "").to_ascii_lowercase();
    match action.as_str() {
        "block" | "connectionclose" | "forceconnectionclose" => (Some(Severity::Low), "blocked"),
        // Another rule may have refused it.
        "allow" | "bypass" | "log" | "simulate" | "skip" if is_refused => (Some(Severity::Medium), "matched"),
        "allow" | "bypass" | "log" | "simulate" | "skip" => (Some(Severity::High), "let through"),
        action if action.contains("challenge") => (Some(Severity::Medium), "challenged"),
        _ => (None, "matched"),
    }
}

fn rule_name(source: &str) -> &'static str {
    match source.to_ascii_lowercase().as_str() {
        "firewallmanaged" => "Managed rule",
        "firewallcustom" => "Custom rule",
        "firewallratelimit" | "ratelimit" => "Rate limiting rule",
        "l7ddos" => "DDoS rule",
        "waf" => "WAF rule",
        _ => "Rule",
    }
}

fn notification(fields: &Fields, text: &str) -> Incident {
    let field = |name: &str| fields.first(&[name]).unwrap_or_default();
    let kind = field("alert_type");
    let source_ref = match fields.first(&["alert_correlation_id"]) {
        Some(id) => id.to_owned(),
        None => fingerprint([field("policy_id"), kind, field("ts")]),
    };
    let mut incident = Incident::new(source_ref);
    incident.set_title(fields.first(&["name"]));
    incident.set_title(Some(&sentence(kind)));
    incident.set_title(text.lines().map(str::trim).find(|line| !line.is_empty()));
    incident.description = Some(text.trim()).filter(|text| text.contains('\n')).map(str::to_owned);
    incident.category = fields.first(&["alert_type"]).map(str::to_owned);
    incident.tag(kind);
    incident.vendor_severity =
        fields.first(&["data.severity", "data.alert_priority_level", "data.incident_impact"]).map(str::to_owned);
    let is_about = |parts: &[&str]| parts.iter().any(|part| kind.contains(part));
    incident.severity = match incident.vendor_severity.as_deref() {
        Some(word) => Severity::parse(word.trim_start_matches("INCIDENT_IMPACT_")),
        None if is_about(&OPERATION) => Some(Severity::Low),
        None => is_about(&ATTACKS).then_some(Severity::High),
    };
    incident.state = Some(if is_over(fields) { State::Resolved } else { State::Open });
    incident.occurred_at = fields.time(&["data.start_time", "data.alert_start_time", "data.event_start_time", "ts"]);
    incident.changed_at = fields.time(&["ts"]);
    let links = ["data.dashboard_link", "data.event_link"];
    incident.external_link = links.into_iter().map(field).find(|link| link.starts_with("https://")).map(str::to_owned);
    incident.observe_fields(fields, &TARGETS);
    incident.observe("autonomous-system", fields.first(&["data.hijack_as"]), "data.hijack_as");
    if is_about(&["dos", "volumetric"]) {
        incident.attack(if kind.contains("l7") { "T1499" } else { "T1498" }, None);
    }
    incident.detail("policy_id", fields.first(&["policy_id"]));
    incident
}

/// Returns whether the notification says that something ended or is healthy again.
fn is_over(fields: &Fields) -> bool {
    let is = |name: &str, ends: &[&str]| {
        fields.iter().any(|(path, value)| path == name && ends.iter().any(|end| value.ends_with(end)))
    };
    let health = ["data.status", "data.new_health", "data.new_health_status"];
    is("alert_event", &["_END"])
        || health.iter().any(|name| is(name, &["Healthy"]))
        || is("data.incident_status", &["_RESOLVED"])
}

hookmill_sdk::export!(Cloudflare);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Cloudflare>("payloads");
        testing::check_rejects_invalid::<super::Cloudflare>();
    }
}
