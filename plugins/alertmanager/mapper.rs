//! Alertmanager of Prometheus: groups of alerts of the versions 3 and 4, and alerts of its API.

use hookmill_sdk::prometheus::{AlertGroup, alert_incident};
use hookmill_sdk::{Description, Event, Fields, Mapper, MappingError, Outcome, has_objects};
use serde::Deserialize;
use serde_json::value::RawValue;

const EXPECTED: &str = "a group of Alertmanager with `alerts`, `receiver` and `version` 3 or 4, or an alert of its API with \
                        `labels` and `startsAt`";

struct Alertmanager;

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    alerts: Option<&'a RawValue>,
}

impl Mapper for Alertmanager {
    fn describe() -> Description {
        hookmill_sdk::description!("Alertmanager", "Alerts of Prometheus from Alertmanager", "bearer")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let unsupported = || MappingError::expected(EXPECTED);
        let payload: Payload = event.json(EXPECTED)?;
        if let Some(list) = payload.alerts.filter(|list| has_objects(list)) {
            let group: AlertGroup = event.json(EXPECTED)?;
            let is_of_grafana = group.version.get() == Some("1") || group.org_id.get().is_some();
            let is_group = group.version.get().is_some() || group.receiver.get().is_some();
            if is_of_grafana || !is_group {
                return Err(unsupported());
            }
            return group.map_alerts(list, EXPECTED, |_, _| {});
        }
        let alert: Fields = event.json(EXPECTED)?;
        if alert.first(&["startsAt"]).is_none() || !alert.iter().any(|(path, _)| path.starts_with("labels.")) {
            return Err(unsupported());
        }
        let mut incident = alert_incident(&alert, None)?;
        incident.keep_unread(&alert, "");
        Ok(incident.into())
    }
}

hookmill_sdk::export!(Alertmanager);

#[cfg(test)]
mod tests {
    use hookmill_sdk::testing;

    #[test]
    fn payloads_map_as_expected() {
        testing::check::<super::Alertmanager>("payloads");
        testing::check_rejects_invalid::<super::Alertmanager>();
    }
}
