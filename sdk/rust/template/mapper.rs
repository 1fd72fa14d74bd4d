//! Maps Acme's alerts. Replace Acme with your vendor.

use hookmill_sdk::{Description, Event, Incident, Mapper, MappingError, Outcome, Severity, Text, description};
use serde::Deserialize;

struct Acme;

/// The fields of an alert. Missing fields and null are absent; values of other types are left out and reported.
#[derive(Deserialize)]
struct Alert<'a> {
    #[serde(borrow)]
    alert_id: Text<'a>,
    name: Text<'a>,
    level: Text<'a>,
    detected_at: Text<'a>,
    source_ip: Text<'a>,
    url: Text<'a>,
}

impl Mapper for Acme {
    fn describe() -> Description {
        description!("Acme EDR", "Alerts of Acme's endpoint agent")
    }

    fn map(event: &Event) -> Result<Outcome, MappingError> {
        let expected = "an Acme alert with `alert_id`";
        let alert: Alert = event.json(expected)?;
        let id = alert.alert_id.get().ok_or_else(|| MappingError::Unsupported(format!("expected {expected}")))?;
        let mut incident = Incident::new(id);
        incident.set_title(alert.name.get());
        incident.severity = alert.level.get().and_then(Severity::parse);
        incident.vendor_severity = alert.level.owned();
        incident.occurred_at = alert.detected_at.time();
        incident.external_link = alert.url.owned();
        incident.observe("ip", alert.source_ip.get(), "source address");
        Ok(incident.into())
    }
}

hookmill_sdk::export!(Acme);
