// Package hookmill is for writing Hookmill mappers in Go.
//
// A mapper is a type with two methods, which a plugin exports in `init`:
//
//	func init() { hookmill.Export(acme{}) }
//
//	func main() {}
//
//	func (acme) Describe() hookmill.Description {
//		return hookmill.Description{Name: "Acme EDR", Version: "0.1.0", Summary: "Alerts of Acme's endpoint agent"}
//	}
//
//	func (acme) ToIncidents(event *hookmill.Event) (hookmill.Outcome, error) {
//		alert, err := event.JSON("an Acme alert with `alert_id`")
//		if err != nil {
//			return hookmill.Outcome{}, err
//		}
//		id := alert.Text("alert_id")
//		if id == "" {
//			return hookmill.Outcome{}, hookmill.Unsupported("expected an Acme alert with `alert_id`")
//		}
//		return hookmill.OutcomeOf(hookmill.NewIncident(id, alert.Text("name"))), nil
//	}
//
// An absent text is "", in payloads and in an [Incident]. Times in an incident are text: RFC 3339 or a number, see
// [Timestamp].
//
// The rule for payloads: a part that is wrong, unknown or too large costs that part, is reported in the outcome's problems,
// and never costs the payload or another part. [Event.JSON], [Value.Text], [Timestamp] and [ParseSeverityOn] follow it. Call
// [Problem] for parts that only your mapper can judge.
//
// An instance handles one event. It has the standard library, but neither files nor network nor environment; [time.Now]
// is the time of receipt and does not move, so that a sleep never ends, and random numbers depend on the event's id only.
// The garbage collector is off, because an instance soon ends. The order of a map is random too: put what you return in an order of your own. The output of [fmt.Println] and the stack
// of a panic are in the plugin's log.
package hookmill
