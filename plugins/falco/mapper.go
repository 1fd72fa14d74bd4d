// Maps alerts of Falco, as Falcosidekick and Falco's own HTTP output post them.
//
// An alert has no id. Falco raises the same rule again and again for one process, so rule, host, container and command line
// identify an incident; alerts of plugins, such as those of Kubernetes audit events, have none of the latter two, but
// an actor and a target.
package main

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"hookmill"
)

const expected = "an alert of Falco with `rule` and `priority`"

// Priorities that mean something else to Falco than to other vendors.
var priorities = map[string]hookmill.Severity{"alert": hookmill.Critical, "notice": hookmill.Low}

// The fields with observables, each with its type and its role.
var observables = [][3]string{
	{"user-account", "user.name", "user of the process"},
	{"user-account", "ka.user.name", "caller of the Kubernetes API"},
	{"user-account", "ct.user", "caller of the AWS API"},
	{"ip", "ka.sourceips", "source of the request"},
	{"ip", "ct.srcip", "source of the request"},
	{"ip", "fd.rip", "remote address"},
	{"domain", "fd.rip.name", "remote name"},
	{"other", "k8s.pod.name", "pod"},
	{"other", "k8smeta.pod.name", "pod"},
}

// The fields that identify an incident of a process, and those that identify one of a plugin.
var (
	processes = []string{"container.id", "proc.cmdline"}
	actors    = []string{
		"ka.user.name", "ka.verb", "ka.target.namespace", "ka.target.resource", "ka.target.name", "ct.user", "ct.name", "ct.srcip",
	}
)

type falco struct{}

func init() { hookmill.Export(falco{}) }

// A plugin needs this function, but it does not run.
func main() {}

func (falco) Describe() hookmill.Description {
	return hookmill.Description{Name: "Falco", Version: "0.1.0", Summary: "Alerts of Falco's rules"}
}

func (falco) ToIncidents(event *hookmill.Event) (hookmill.Outcome, error) {
	alert, err := event.JSON(expected)
	if err != nil {
		return hookmill.Outcome{}, err
	}
	rule, priority := alert.Text("rule"), alert.Text("priority")
	fields := alert.At("output_fields").Unfold()
	if rule == "" || priority == "" || alert.Text("output") == "" && !fields.IsObject() {
		return hookmill.Outcome{}, hookmill.Unsupported("expected " + expected)
	}

	incident := hookmill.NewIncident(reference(alert, fields), rule)
	incident.Description = alert.Text("output")
	incident.VendorSeverity = priority
	incident.Severity = cmp.Or(priorities[strings.ToLower(priority)], hookmill.ParseSeverity(priority))
	incident.State = hookmill.Open
	incident.OccurredAt = cmp.Or(alert.Time("time"), fields.Time("evt.time"))
	incident.ChangedAt = incident.OccurredAt
	if strings.HasPrefix(rule, "Falco internal:") {
		incident.Category = "sensor-health"
	}
	for _, name := range slices.Concat(processes, actors) {
		incident.Detail(name, fields.Text(name))
	}
	classify(incident, alert.List("tags"))
	observe(incident, alert, fields)
	incident.KeepUnread(fields, "")
	alert.MarkRead("output_fields")
	incident.KeepUnread(alert, "")
	return hookmill.OutcomeOf(incident), nil
}

func reference(alert, fields *hookmill.Value) string {
	parts := []string{alert.Text("rule"), alert.Text("hostname")}
	names := processes
	if fields.At("proc.cmdline").IsAbsent() {
		names = slices.Concat(processes, actors)
	}
	for _, name := range names {
		parts = append(parts, fields.Text(name))
	}
	return hookmill.Fingerprint(parts...)
}

// classify reads the tags of a rule, among which are ids of techniques and `mitre_` with a tactic.
func classify(incident *hookmill.Incident, tags []*hookmill.Value) {
	var tactics []string
	for _, tag := range tags {
		if name, ok := strings.CutPrefix(strings.ToLower(tag.Text()), "mitre_"); ok && hookmill.TacticID(name) != "" {
			tactics = append(tactics, hookmill.TacticID(name))
		}
	}
	tactic := ""
	if len(tactics) == 1 {
		tactic = tactics[0]
	}
	for _, tag := range tags {
		before := len(incident.Techniques)
		incident.Attack(strings.ToUpper(tag.Text()), tactic)
		if len(incident.Techniques) == before {
			incident.Tag(tag.Text())
		}
	}
	// A single tactic is that of the techniques.
	if len(tactics) != 1 || len(incident.Techniques) == 0 {
		incident.Attack(strings.Join(tactics, " "), "")
	}
}

func observe(incident *hookmill.Incident, alert, fields *hookmill.Value) {
	if host := alert.Text("hostname"); host != "localhost" {
		incident.Observe("hostname", host, "host of the sensor")
	}
	for _, field := range observables {
		for _, value := range fields.List(field[1]) {
			incident.Observe(field[0], value.Text(), field[2])
		}
	}
	for _, name := range []string{"fd.name", "fs.path.name"} {
		value := fields.Text(name)
		if client, server, ok := strings.Cut(value, "->"); ok {
			connection(incident, client, server)
		} else if strings.HasPrefix(value, "/") || strings.Contains(value, `:\`) {
			incident.Observe("filename", value, "file")
		}
	}
}

// connection observes the ends of `192.0.2.1:40000->198.51.100.7:443`, without the own network. A connection inside it is
// to a server that is worth a look.
func connection(incident *hookmill.Incident, client, server string) {
	count := len(incident.Observables)
	for _, end := range [][2]string{{client, "client of the connection"}, {server, "server of the connection"}} {
		if address, err := netip.ParseAddrPort(end[0]); err == nil && !address.Addr().IsPrivate() {
			incident.Observe("ip", address.Addr().String(), end[1])
		}
	}
	if address, err := netip.ParseAddrPort(server); err == nil && len(incident.Observables) == count {
		incident.Observe("ip", address.Addr().String(), "server of the connection")
	}
}
