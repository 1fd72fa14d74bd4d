package hookmill

import "time"

// Event is one received and verified payload.
type Event struct {
	// ID is the event's id, assigned by the host: a UUID in hyphenated form.
	ID string
	// Source is the name of the source, such as `edr`.
	Source string
	// ReceivedAt is the time of receipt. [time.Now] returns the same time.
	ReceivedAt time.Time
	// ContentType is the header of this name, as sent.
	ContentType string
	// Headers are the HTTP headers, as sent, without those that contain secrets or signatures.
	Headers []Field
	// Context has further facts about the request that are not headers, such as `query.NAME`.
	Context []Field
	// Settings are the `settings` of the source, as configured.
	Settings []Field
	// Body is the payload, unchanged.
	Body []byte
}

// Header returns the first header with this name, which is in lower case.
func (e *Event) Header(name string) string { return first(e.Headers, name) }

// Setting returns the source's first setting with this name.
func (e *Event) Setting(name string) string { return first(e.Settings, name) }

func first(fields []Field, name string) string {
	for _, field := range fields {
		if field.Name == name {
			return field.Value
		}
	}
	return ""
}

// Field is a named value.
type Field struct {
	// Name is the name of the value. Several fields may have the same name.
	Name string
	// Value is the value, as text.
	Value string
}

// Severity is the severity of an incident.
type Severity int

// The severities in ascending order. The zero value stands for an absent one.
const (
	// Informational needs no action.
	Informational Severity = iota + 1
	// Low is minor and can wait.
	Low
	// Medium has normal priority.
	Medium
	// High comes before normal work.
	High
	// Critical needs action immediately.
	Critical
)

// State is the state of an incident at the vendor.
type State int

// The states. The zero value stands for an absent one.
const (
	// Open incidents are new or were opened again.
	Open State = iota + 1
	// Resolved incidents are closed, fixed or dismissed.
	Resolved
)

// TLP is a marking of the Traffic Light Protocol 2.0, which limits sharing.
type TLP int

// The markings in ascending order. The zero value stands for an absent one.
const (
	// Clear sets no limit on sharing.
	Clear TLP = iota + 1
	// Green permits sharing within the community.
	Green
	// Amber permits sharing within the organisation and with its clients, on a need-to-know basis.
	Amber
	// AmberStrict permits sharing within the organisation only.
	AmberStrict
	// Red permits no sharing beyond the individual recipients.
	Red
)

// Incident is the observation of one incident in one payload. [NewIncident] returns one. Zero values leave the stored
// incident unchanged.
type Incident struct {
	// SourceRef is the vendor's own stable id. Payloads of one source with the same id are about the same incident.
	SourceRef string
	// Title is one line.
	Title string
	// Description is free text.
	Description string
	// Category is a word such as `phishing` or `malware`.
	Category string
	// Severity is the severity, as the mapper reads the payload.
	Severity Severity
	// VendorSeverity is the severity as the vendor wrote it. The source's `severity_mapping` applies to this value.
	VendorSeverity string
	// State is the state at the vendor.
	State State
	// TLP is the marking. A later payload can raise the stored marking but not lower it.
	TLP TLP
	// OccurredAt is the time of the incident, see [Timestamp].
	OccurredAt string
	// ChangedAt is the time at which the vendor reports this state. It decides which of two updates is newer.
	ChangedAt string
	// ExternalLink is the URL of the incident in the vendor's console.
	ExternalLink string
	// Tags are words about the incident. Add them with [Incident.Tag].
	Tags []string
	// Observables are things that can be looked up or blocked. Add them with [Incident.Observe].
	Observables []*Observable
	// Techniques are those of the attacker. Add them with [Incident.Attack].
	Techniques []Technique
	// Details are further fields of the vendor. Add them with [Incident.Detail] and [Incident.KeepUnread].
	Details []Field
}

// Observable is a technical artefact that can be looked up or blocked: an address, a hash, a mailbox.
type Observable struct {
	// DataType is the type, one of TheHive's names such as `ip`, `fqdn` or `hash`, or another one of a-z 0-9 _ -.
	DataType string
	// Value is the address, the hash, and so on.
	Value string
	// Message is the role in the incident, in a few words.
	Message string
	// Tags are words about this observable.
	Tags []string
	// IOC is true if the vendor rates the observable itself as malicious, not only as involved.
	IOC bool
}

// Technique is a technique or tactic of MITRE ATT&CK.
type Technique struct {
	// ID is the id: `T1059`, `T1059.001` or, if only the tactic is known, `TA0002`.
	ID string
	// Tactic is the tactic of this technique, by name or id.
	Tactic string
}

// Outcome is the result of mapping one payload.
type Outcome struct {
	// Incidents are the incidents of the payload.
	Incidents []*Incident
	// Skipped are the reasons why the payload or parts of it are not incidents.
	Skipped []string
	// Problems are the reasons why parts that should be incidents could not be mapped.
	Problems []string
}

// OutcomeOf returns an outcome with these incidents, without skipped parts and problems.
func OutcomeOf(incidents ...*Incident) Outcome { return Outcome{Incidents: incidents} }

// Skip returns an outcome without incidents, with the reason why the payload is not an incident.
func Skip(reason string) Outcome { return Outcome{Skipped: []string{reason}} }

// Description is the description of a plugin.
type Description struct {
	// Name is the display name.
	Name string
	// Version is the plugin's own version.
	Version string
	// Summary is one sentence.
	Summary string
	// Scheme is the signature scheme of this vendor, which the host suggests when a source is registered.
	Scheme string
}

// LogLevel is the level of a line in the plugin's log.
type LogLevel uint8

// The levels of [Log].
const (
	// LevelDebug is for details for the plugin's author.
	LevelDebug LogLevel = iota
	// LevelInfo is for normal operation.
	LevelInfo
	// LevelWarn is for an unexpected condition that the plugin handled.
	LevelWarn
	// LevelError is for a failure.
	LevelError
)
