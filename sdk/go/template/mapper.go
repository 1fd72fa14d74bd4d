// Maps Acme's alerts. Replace Acme with your vendor.
package main

import "hookmill"

const expected = "an Acme alert with `alert_id`"

type acme struct{}

func init() { hookmill.Export(acme{}) }

// A plugin needs this function, but it does not run.
func main() {}

func (acme) Describe() hookmill.Description {
	return hookmill.Description{Name: "Acme EDR", Version: "0.1.0", Summary: "Alerts of Acme's endpoint agent"}
}

func (acme) ToIncidents(event *hookmill.Event) (hookmill.Outcome, error) {
	alert, err := event.JSON(expected)
	if err != nil {
		return hookmill.Outcome{}, err
	}
	// `Text` accepts any shape: a missing value, null or an object is "".
	id := alert.Text("alert_id")
	if id == "" {
		return hookmill.Outcome{}, hookmill.Unsupported("expected " + expected)
	}

	incident := hookmill.NewIncident(id, alert.Text("name"))
	incident.Severity = hookmill.ParseSeverity(alert.Text("level"))
	incident.VendorSeverity = alert.Text("level")
	incident.OccurredAt = alert.Time("detected_at")
	incident.ExternalLink = alert.Text("url")
	incident.Observe("ip", alert.Text("source_ip"), "source address")
	return hookmill.OutcomeOf(incident), nil
}
