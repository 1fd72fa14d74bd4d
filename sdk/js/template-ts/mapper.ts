// Maps Acme's alerts. Replace Acme with your vendor.

import { defineMapper, Incident, readJson, severity, text, timestamp, unsupported } from "@hookmill/sdk";

const EXPECTED = "an Acme alert with `alert_id`";

export const mapper = defineMapper({
  describe() {
    return { name: "Acme EDR", version: "0.1.0", summary: "Alerts of Acme's endpoint agent" };
  },

  toIncidents(event) {
    const alert = readJson(event, EXPECTED);
    // `text` accepts any shape: a missing value, null or an object is undefined.
    const id = text(alert, "alert_id");
    if (id === undefined) throw unsupported(`expected ${EXPECTED}`);

    const incident = new Incident(id, text(alert, "name"));
    incident.severity = severity(text(alert, "level"));
    incident.vendorSeverity = text(alert, "level");
    incident.occurredAt = timestamp(text(alert, "detected_at"));
    incident.externalLink = text(alert, "url");
    incident.observe("ip", text(alert, "source_ip"), "source address");
    return { incidents: [incident], skipped: [], problems: [] };
  },
});
