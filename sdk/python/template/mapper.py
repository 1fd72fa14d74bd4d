"""Maps Acme's alerts. Replace Acme with your vendor."""

import hookmill
from hookmill import Description, Event, Incident, Outcome, outcome, read_json, severity, text, timestamp, unsupported

EXPECTED = "an Acme alert with `alert_id`"


class Mapper(hookmill.Mapper):
    def describe(self) -> Description:
        return Description("Acme EDR", "0.1.0", "Alerts of Acme's endpoint agent", scheme=None)

    def to_incidents(self, event: Event) -> Outcome:
        alert = read_json(event.body, EXPECTED)
        # `text` accepts any shape: a missing value, null or an object is None.
        alert_id = text(alert, "alert_id")
        if alert_id is None:
            raise unsupported(f"expected {EXPECTED}")

        incident = Incident(alert_id, title=text(alert, "name"))
        incident.severity = severity(text(alert, "level"))
        incident.vendor_severity = text(alert, "level")
        incident.occurred_at = timestamp(text(alert, "detected_at"))
        incident.external_link = text(alert, "url")
        incident.observe("ip", text(alert, "source_ip"), "source address")
        return outcome(incident)
