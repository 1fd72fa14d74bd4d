//! Alerts of Prometheus, which Alertmanager and Grafana send in the same shape: labels, annotations and two times.

use crate::{Fields, Incident, MappingError, Outcome, Severity, State, Text, fingerprint, map_list};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The labels with observables.
const OBSERVABLES: [(&str, &[&str]); 2] = [
    ("ip", &["labels.ip", "labels.src_ip", "labels.source_ip", "labels.client_ip", "labels.remote_ip"]),
    ("user-account", &["labels.user", "labels.username"]),
];
const HOSTS: [&str; 5] = ["labels.instance", "labels.host", "labels.hostname", "labels.node", "labels.nodename"];

/// A group of alerts, the body of a webhook. Its status is that of the group, which an alert of it need not have.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertGroup<'a> {
    /// `3` and `4` of Alertmanager, `1` of Grafana.
    #[serde(borrow)]
    pub version: Text<'a>,
    /// The organisation, which only Grafana has.
    pub org_id: Text<'a>,
    /// The receiver in the configuration of the sender.
    pub receiver: Text<'a>,
    status: Text<'a>,
    #[serde(rename = "externalURL")]
    external_url: Text<'a>,
    truncated_alerts: Text<'a>,
}

impl AlertGroup<'_> {
    /// Maps each alert of the group. `finish` completes an incident before the fields that are not read are kept.
    /// Alerts that the sender cut off are a problem.
    ///
    /// # Errors
    /// Returns [`MappingError::Unsupported`] like [`map_list`].
    pub fn map_alerts(
        &self,
        list: &RawValue,
        expected: &str,
        mut finish: impl FnMut(&mut Incident, &Fields),
    ) -> Result<Outcome, MappingError> {
        let mut outcome = map_list(list, expected, |alert: &Fields, outcome| {
            let mut incident = alert_incident(alert, self.status.get())?;
            finish(&mut incident, alert);
            incident.detail("receiver", self.receiver.get());
            incident.detail("externalURL", self.external_url.get());
            incident.keep_unread(alert, "");
            outcome.incidents.push(incident);
            Ok(())
        })?;
        if let Some(count) = self.truncated_alerts.number().filter(|count| *count > 0.0) {
            outcome.problems.push(format!("the sender cut off {count} alerts of this group"));
        }
        Ok(outcome)
    }
}

/// Maps an alert. Its own status counts; that of the group around it only if it has none.
///
/// The source-ref is the alert's fingerprint or, from old versions, a digest of its labels. The change of a firing
/// alert is its start, as a later repetition must not outdate the message that it is resolved. Call
/// [`Incident::keep_unread`] for what is not read.
///
/// # Errors
/// Returns [`MappingError::Unsupported`] if the alert has neither labels nor a fingerprint.
pub fn alert_incident(alert: &Fields, group_status: Option<&str>) -> Result<Incident, MappingError> {
    let mut labels: Vec<(&str, &str)> =
        alert.iter().filter_map(|(path, value)| Some((path.strip_prefix("labels.")?, value))).collect();
    labels.sort_unstable();
    let source_ref = match alert.first(&["fingerprint"]) {
        Some(id) => id.to_owned(),
        None if labels.is_empty() => {
            return Err(MappingError::Unsupported("an alert has neither `labels` nor `fingerprint`".into()));
        }
        None => fingerprint(labels.iter().flat_map(|(name, value)| [*name, *value])),
    };
    let mut incident = Incident::new(source_ref);
    let rendered = |names: &[&str]| alert.first(names).filter(|text| !text.contains("{{"));
    let summary = rendered(&["annotations.summary"]);
    let title: Vec<&str> = [alert.first(&["labels.alertname"]), summary].into_iter().flatten().collect();
    incident.set_title(Some(&title.join(" — ")));
    incident.description = rendered(&["annotations.description", "annotations.message"]).or(summary).map(str::to_owned);
    incident.set_label_severity(alert.written("labels.severity"));
    incident.state = match alert.first(&["status.state", "status"]).or(group_status) {
        Some("resolved") => Some(State::Resolved),
        Some("firing" | "active" | "suppressed" | "unprocessed") => Some(State::Open),
        _ => None,
    };
    incident.occurred_at = alert.time(&["startsAt"]);
    let is_resolved = incident.state == Some(State::Resolved);
    incident.changed_at = if is_resolved { alert.time(&["endsAt"]) } else { incident.occurred_at.clone() };
    let link = alert.first(&["generatorURL"]).filter(|url| url.starts_with("http"));
    incident.external_link = link.map(str::to_owned);
    for (name, value) in labels.iter().filter(|(name, _)| !matches!(*name, "severity" | "instance")) {
        if !name.starts_with("__") && !value.contains("{{") {
            incident.tag(&format!("{name}={value}"));
        }
    }
    incident.observe_fields(alert, &OBSERVABLES);
    for name in HOSTS {
        incident.observe_host(alert.first(&[name]), name);
    }
    Ok(incident)
}

impl Incident {
    /// Sets the severity from the label `severity`, of which `page` and `none` are customary values. Other words than
    /// those of [`Severity::parse`] are kept without a severity.
    pub fn set_label_severity(&mut self, word: Option<&str>) {
        let word = word.map(str::trim).filter(|word| !word.is_empty());
        self.set_severity_word(word, &[("page", Severity::Critical), ("none", Severity::Informational)]);
    }

    /// Adds the host of a label such as `instance`: `api-1:8080` and `api-1` are the host `api-1`. A URL, which a probe
    /// has in place of a host, is added as such; other text is not added.
    pub fn observe_host(&mut self, instance: Option<&str>, message: &str) {
        let Some(instance) = instance else { return };
        if instance.starts_with("http://") || instance.starts_with("https://") {
            self.observe("url", Some(instance), message);
            return;
        }
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let host = match instance.rsplit_once(':') {
            Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => host,
            _ => instance,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_host = host.chars().all(|sign| sign.is_ascii_alphanumeric() || ".-_:".contains(sign));
        self.observe("hostname", Some(host).filter(|_| is_host), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(json: &str, group_status: Option<&str>) -> Incident {
        alert_incident(&serde_json::from_str(json).unwrap(), group_status).unwrap()
    }

    #[test]
    fn the_own_status_of_an_alert_counts() {
        for (status, group, expected) in [
            (r#""resolved""#, Some("firing"), Some(State::Resolved)),
            (r#"{"state": "suppressed"}"#, None, Some(State::Open)),
            ("null", Some("resolved"), Some(State::Resolved)),
            (r#""pending""#, None, None),
        ] {
            let json = format!(
                r#"{{"status": {status}, "labels": {{"a": "b"}}, "startsAt": "2026-01-02T03:04:05Z", "endsAt": "2026-01-02T04:00:00Z"}}"#
            );
            let incident = mapped(&json, group);
            assert_eq!(incident.state, expected, "{status}");
            let end = if expected == Some(State::Resolved) { "2026-01-02T04:00:00Z" } else { "2026-01-02T03:04:05Z" };
            assert_eq!(incident.changed_at.as_deref(), Some(end), "{status}");
        }
    }

    #[test]
    fn alerts_without_a_fingerprint_are_known_by_their_labels() {
        let refs = [r#"{"a": "1", "b": "2"}"#, r#"{"b": "2", "a": "1"}"#, r#"{"a": "1", "b": "3"}"#]
            .map(|labels| mapped(&format!(r#"{{"labels": {labels}}}"#), None).source_ref);
        assert!(refs[0] == refs[1] && refs[1] != refs[2], "{refs:?}");
        assert!(alert_incident(&serde_json::from_str(r#"{"startsAt": "x"}"#).unwrap(), None).is_err());
    }

    #[test]
    fn severities_of_labels_are_words_of_operators() {
        for (word, expected) in [
            ("page", Some(Severity::Critical)),
            ("none", Some(Severity::Informational)),
            ("warning", Some(Severity::Medium)),
            ("P1", None),
        ] {
            let incident = mapped(&format!(r#"{{"labels": {{"alertname": "a", "severity": "{word}"}}}}"#), None);
            assert_eq!((incident.severity, incident.vendor_severity.as_deref()), (expected, Some(word)));
        }
    }

    #[test]
    fn hosts_are_instances_without_the_port() {
        for (instance, data_type, value) in [
            ("api-1:8080", "hostname", "api-1"),
            ("192.0.2.4:9100", "ip", "192.0.2.4"),
            ("[2001:db8::1]:9100", "ip", "2001:db8::1"),
            ("https://www.example.com/health", "url", "https://www.example.com/health"),
        ] {
            let incident = mapped(&format!(r#"{{"labels": {{"instance": "{instance}"}}}}"#), None);
            let seen = &incident.observables[0];
            assert_eq!((seen.data_type.as_str(), seen.value.as_str()), (data_type, value));
        }
        let incident = mapped(r#"{"labels": {"instance": "{{ $labels.x }}", "host": "two words"}}"#, None);
        assert!(incident.observables.is_empty());
    }
}
