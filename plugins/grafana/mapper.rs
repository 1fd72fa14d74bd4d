//! Grafana: groups of alerts of unified alerting, and messages of the alerting before Grafana 9.

use hookmill_sdk::prometheus::AlertGroup;
use hookmill_sdk::{Description, Event, Fields, Incident, Mapper, MappingError, Outcome, Severity, State, has_objects};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "a group of Grafana with `alerts` and `orgId`, or a message of its older alerting with `ruleId` \
                        and `state`";
/// The tags of a measurement of the older alerting that name a host.
const HOSTS: [&str; 5] = ["instance", "host", "hostname", "node", "nodename"];

struct Grafana;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    alerts: Option<&'a RawValue>,
}

impl Mapper for Grafana {
    fn describe() -> Description {
        hookmill_sdk::description!("Grafana", "Alerts of Grafana", "grafana")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let payload: Payload = event.json(EXPECTED)?;
        let Some(list) = payload.alerts.filter(|list| has_objects(list)) else {
            return Ok(legacy(&event.json(EXPECTED)?)?.into());
        };
        let group: AlertGroup = event.json(EXPECTED)?;
        // Alertmanager sends the same shape with other versions, and has no organisations.
        if group.version.get() != Some("1") && group.org_id.get().is_none() {
            return Err(unsupported());
        }
        group.map_alerts(list, EXPECTED, |incident, alert| {
            complete(incident, alert);
            incident.detail("orgId", group.org_id.get());
        })
    }
}

fn unsupported() -> MappingError {
    MappingError::expected(EXPECTED)
}

/// Completes an alert with what Grafana adds to one of Prometheus.
fn complete(incident: &mut Incident, alert: &Fields) {
    if let Some(folder) = alert.first(&["labels.grafana_folder"]) {
        incident.tags.retain(|tag| !tag.starts_with("grafana_folder="));
        incident.tag(folder);
    }
    // An alert about missing data is named after its reason, not after its rule.
    if let (Some(title), Some(rule)) = (&incident.title, alert.first(&["labels.rulename"])) {
        let title = format!("{title}: {rule}");
        incident.set_title(Some(&title));
    }
    let is_test =
        alert.first(&["labels.alertname"]) == Some("TestAlert") && alert.first(&["labels.instance"]) == Some("Grafana");
    if is_test {
        mark_as_test(incident);
    }
    if incident.external_link.is_none() {
        incident.external_link = alert.first(&["panelURL", "dashboardURL"]).map(str::to_owned);
    }
}

/// Maps a message of the alerting before Grafana 9, which has no times. The ids of rules are those of one Grafana.
fn legacy(message: &Fields) -> Result<Incident, MappingError> {
    let first = |name: &str| message.all(name).next();
    let (Some(id), Some(state)) = (first("ruleId"), first("state")) else { return Err(unsupported()) };
    let url = first("ruleUrl").and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    let host = url.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let source_ref: Vec<&str> = host.into_iter().chain([id]).collect();
    let mut incident = Incident::new(source_ref.join("/"));
    incident.set_title(first("ruleName").or(first("title")));
    incident.description = first("message").map(str::to_owned);
    incident.set_label_severity(first("tags.severity"));
    incident.state = match state {
        "ok" => Some(State::Resolved),
        "alerting" | "no_data" => Some(State::Open),
        _ => None,
    };
    incident.detail("state", Some(state));
    incident.external_link = first("ruleUrl").filter(|url| url.starts_with("http")).map(str::to_owned);
    for (name, value) in message.iter().filter_map(|(path, value)| Some((path.strip_prefix("tags.")?, value))) {
        if name != "severity" {
            incident.tag(&format!("{name}={value}"));
        }
    }
    for name in HOSTS {
        let path = format!("evalMatches.tags.{name}");
        message.all(&path).for_each(|host| incident.observe_host(Some(host), &path));
    }
    if first("ruleName") == Some("Test notification") {
        mark_as_test(&mut incident);
    }
    incident.keep_unread(message, "");
    Ok(incident)
}

/// Marks an alert that somebody sent to try a contact point. Its labels are made up.
fn mark_as_test(incident: &mut Incident) {
    incident.severity = Some(Severity::Informational);
    incident.tag("test");
    incident.observables.clear();
}

hookmill_sdk::export!(Grafana);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Grafana>("payloads");
        testing::check_rejects_invalid::<super::Grafana>();
    }
}
