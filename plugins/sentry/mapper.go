// Maps the webhooks of Sentry's internal integrations: issues, events of issue alerts and errors, and metric alerts; and
// those of the older plugin for webhooks.
//
// An issue is one incident for its life. Events belong to the incident of their issue, because each has another id. Metric
// alerts are numbered on their own.
package main

import (
	"cmp"
	"strings"

	"hookmill"
)

const expected = "a webhook of Sentry with `data.issue`, `data.event`, `data.error` or `data.metric_alert`"

// Parts of an event that are large, or that can contain secrets and persons.
var private = []string{
	"_meta", "_metrics", "breadcrumbs", "contexts", "debug_meta", "errors", "exception", "extra", "modules", "request", "sdk",
	"stacktrace", "threads", "user",
}

// Members of further kinds of webhooks, which report nothing about incidents, with the name of the kind.
var others = [][2]string{{"installation", "installation"}, {"comment", "comment"}, {"comment_id", "comment"}}

type sentry struct{}

func init() { hookmill.Export(sentry{}) }

// A plugin needs this function, but it does not run.
func main() {}

func (sentry) Describe() hookmill.Description {
	return hookmill.Description{
		Name: "Sentry", Version: "0.1.0", Summary: "Issues and alerts of Sentry's integrations", Scheme: "sentry",
	}
}

func (sentry) ToIncidents(event *hookmill.Event) (hookmill.Outcome, error) {
	body, err := event.JSON(expected)
	if err != nil {
		return hookmill.Outcome{}, err
	}
	data, action := body.At("data").Unfold(), body.Text("action")
	// The resource is in a header of Sentry, which forwarders leave out.
	issue, alert := data.At("issue").Unfold(), data.At("metric_alert").Unfold()
	seen := data.At("event").Unfold()
	if !seen.IsObject() {
		seen = data.At("error").Unfold()
	}
	legacy := body.At("event").Unfold()
	var incident *hookmill.Incident
	switch {
	// An answer of another vendor may have `data.issue` too.
	case issue.IsObject() && action+issue.Text("level")+issue.Text("project", "slug") != "":
		incident = ofIssue(issue, action)
	case seen.IsObject():
		incident = ofEvent(seen)
		incident.Detail("triggered_rule", data.Text("triggered_rule"))
	case alert.IsObject() && action != "":
		incident = ofMetricAlert(alert, data, action)
	case legacy.IsObject() && body.Text("project") != "" && body.Text("culprit")+body.Text("level") != "":
		incident = ofPlugin(body, legacy)
	default:
		return other(data, event.Header("sentry-hook-resource"))
	}
	if incident.SourceRef == "" {
		return hookmill.Outcome{}, hookmill.Malformed("the webhook has no id of its issue or alert")
	}
	// Sentry signs the time of each request. An issue was last seen before it is resolved.
	if sent := event.Header("sentry-hook-timestamp"); sent != "" && action != "created" {
		incident.ChangedAt = cmp.Or(hookmill.Timestamp(sent), incident.ChangedAt)
	}
	body.MarkRead("action", "data", "installation")
	incident.Detail("action", action)
	return hookmill.OutcomeOf(incident), nil
}

func other(data *hookmill.Value, resource string) (hookmill.Outcome, error) {
	for _, other := range others {
		if data.At(other[0]) != nil || resource == other[1] && data.IsObject() {
			return hookmill.Skip("`" + other[1] + "` of Sentry is no alert"), nil
		}
	}
	return hookmill.Outcome{}, hookmill.Unsupported("expected " + expected)
}

func ofIssue(issue *hookmill.Value, action string) *hookmill.Incident {
	incident := hookmill.NewIncident(issue.Text("id"), cmp.Or(issue.Text("title"), issue.Text("culprit")))
	describe(incident, issue)
	switch strings.ToLower(cmp.Or(issue.Text("status"), action)) {
	case "resolved", "ignored", "archived":
		incident.State = hookmill.Resolved
	case "unresolved", "created":
		incident.State = hookmill.Open
	}
	incident.Category = strings.ToLower(issue.Text("issueCategory"))
	incident.OccurredAt = issue.Time("firstSeen")
	incident.ChangedAt = issue.Time("lastSeen")
	incident.ExternalLink = cmp.Or(issue.Text("web_url"), issue.Text("permalink"))
	incident.Tag(issue.Text("platform"))
	incident.Tag(cmp.Or(issue.Text("project", "slug"), issue.Text("project", "name")))
	issue.MarkRead("url", "project_url", "isBookmarked", "isSubscribed", "hasSeen", "isPublic", "shareId", "annotations")
	incident.KeepUnread(issue, "")
	return incident
}

// ofEvent maps an event, which belongs to the incident of its issue.
func ofEvent(event *hookmill.Value) *hookmill.Incident {
	id := cmp.Or(event.Text("issue_id"), event.Text("groupID"), lastPart(event.Text("issue_url")))
	incident := hookmill.NewIncident(id, cmp.Or(event.Text("title"), event.Text("message")))
	describe(incident, event)
	incident.State = hookmill.Open
	incident.OccurredAt = cmp.Or(event.Time("datetime"), event.Time("timestamp"), event.Time("received"))
	incident.ChangedAt = incident.OccurredAt
	incident.ExternalLink = event.Text("web_url")
	incident.Tag(event.Text("environment"))
	event.MarkRead(private...)
	event.MarkRead("url", "key_id", "hashes", "grouping_config", "issue_url")
	incident.KeepUnread(event, "")
	return incident
}

// ofMetricAlert maps an alert of a metric. Its numbers are others than those of issues.
func ofMetricAlert(alert, data *hookmill.Value, action string) *hookmill.Incident {
	id := cmp.Or(alert.Text("id"), alert.Text("identifier"))
	if id != "" {
		id = "metric_alert:" + id
	}
	name := cmp.Or(alert.Text("title"), alert.Text("alert_rule", "name"), data.Text("description_title"))
	incident := hookmill.NewIncident(id, name)
	incident.Description = data.Text("description_text")
	incident.State = hookmill.Open
	if strings.EqualFold(action, "resolved") {
		incident.State = hookmill.Resolved
	} else {
		incident.VendorSeverity = action
		incident.Severity = hookmill.ParseSeverity(action)
	}
	incident.Category = "metric"
	incident.OccurredAt = cmp.Or(alert.Time("date_started"), alert.Time("date_detected"), alert.Time("date_created"))
	incident.ChangedAt = cmp.Or(alert.Time("date_closed"), alert.Time("date_detected"), incident.OccurredAt)
	incident.ExternalLink = data.Text("web_url")
	for _, project := range alert.List("projects") {
		incident.Tag(project.Text())
	}
	incident.KeepUnread(alert, "")
	incident.Detail("description_title", data.Text("description_title"))
	return incident
}

// ofPlugin maps a webhook of the older plugin, whose `id` is that of the issue.
func ofPlugin(body, event *hookmill.Value) *hookmill.Incident {
	incident := ofEvent(event)
	incident.SourceRef = body.Text("id")
	incident.Title = cmp.Or(incident.Title, body.Text("message"))
	incident.Description = cmp.Or(body.Text("message"), incident.Description)
	incident.VendorSeverity = cmp.Or(body.Text("level"), incident.VendorSeverity)
	incident.Severity = hookmill.ParseSeverity(incident.VendorSeverity)
	incident.ExternalLink = body.Text("url")
	incident.Tag(cmp.Or(body.Text("project_slug"), body.Text("project")))
	body.MarkRead("event", "project_name")
	incident.KeepUnread(body, "")
	return incident
}

// describe sets what issues and events have in common.
func describe(incident *hookmill.Incident, value *hookmill.Value) {
	incident.Description = cmp.Or(
		value.Text("message"), value.Text("logentry", "formatted"), value.Text("metadata", "value"),
	)
	incident.VendorSeverity = value.Text("level")
	incident.Severity = hookmill.ParseSeverity(incident.VendorSeverity)
}

// lastPart returns the last part of the path of a URL.
func lastPart(url string) string {
	url = strings.TrimRight(url, "/")
	return url[strings.LastIndexByte(url, '/')+1:]
}
