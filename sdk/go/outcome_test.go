package hookmill

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// mapped is a mapper of one function.
type mapped func(*Event) (Outcome, error)

func (mapped) Describe() Description                       { return Description{} }
func (m mapped) ToIncidents(event *Event) (Outcome, error) { return m(event) }

func mapText(mapper mapped, text string) (Outcome, error) {
	return Map(mapper, &Event{Body: []byte(text)})
}

func refs(outcome Outcome) string {
	var refs []string
	for _, incident := range outcome.Incidents {
		refs = append(refs, incident.SourceRef)
	}
	return strings.Join(refs, " ")
}

func TestEachValueOfAPayloadIsMappedAndOneThatIsWrongCostsNoOther(t *testing.T) {
	mapper := func(event *Event) (Outcome, error) {
		value, err := event.JSON("a thing")
		if err != nil {
			return Outcome{}, err
		}
		if value.IsList() {
			return Outcome{}, Unsupported("expected a thing")
		}
		id := value.Text("id")
		if id == "" {
			return Outcome{}, Malformed("no id")
		}
		return OutcomeOf(NewIncident(id, "")), nil
	}
	for _, text := range []string{
		`{"id":"a"}{"id":"b"}{}`, `[{"id":"a"},{"id":"b"},{}]`, "[{\"id\":\"a\"}]\n[{\"id\":\"b\"},{}]",
		`[{"id":"a"},{"id":"b"}]{}`, "{\"id\":\"a\"}[{\"id\":\"b\"},{}]\x00", `"[{\"id\":\"a\"},{\"id\":\"b\"},{}]"`,
	} {
		outcome, err := mapText(mapper, text)
		if err != nil {
			t.Fatal(text, err)
		}
		expect(t, text, refs(outcome), "a b")
		expect(t, text, outcome.Problems, []string{"JSON value 3 of 3: no id"})
	}
	outcome, _ := mapText(mapper, "["+strings.Repeat(`{"id":"a"},`, 2001)+"]")
	expect(t, "incidents", len(outcome.Incidents), 2000)
	expect(t, "many", outcome.Problems, []string{"1 of 2001 JSON values are not read: at most 2000 are"})
	for text, expected := range map[string]string{
		"{}{}": "no id", "[{},{}]": "no id", "[{}]\n[{}]": "no id", `[[{"id":"a"}]]`: "expected a thing",
	} {
		_, err := mapText(mapper, text)
		var refused *MappingError
		if !errors.As(err, &refused) || refused.Error() != expected || refused.isUnsupported != (expected != "no id") {
			t.Errorf("%s: %v; expected %s", text, err, expected)
		}
	}
}

func TestAKindThatCannotBeReadIsNotSkipped(t *testing.T) {
	skips := func(reason string) Outcome {
		outcome, _ := mapText(func(*Event) (Outcome, error) { return Skip(reason), nil }, "x")
		return outcome
	}
	expect(t, "whole", skips("`login` is routine").Skipped, []string{"`login` is routine"})
	broken := skips("`log\xff` is routine")
	expect(t, "broken", len(broken.Skipped), 0)
	expect(t, "broken", broken.Problems, []string{"`log\ufffd` is routine; a character of it is broken"})
}

func TestWhatTheHostCouldNotReadIsLeftOut(t *testing.T) {
	outcome, _ := mapText(func(*Event) (Outcome, error) {
		wrong := NewIncident("a", strings.Repeat("é", 300)+"\xff")
		wrong.Description = "half \xc3"
		wrong.Tag(strings.Repeat("x", 200))
		wrong.Observe("other", "\xc3(", "")
		return OutcomeOf(wrong, nil, NewIncident("", "no id")), nil
	}, "x")
	expect(t, "incidents", refs(outcome), "a")
	incident := outcome.Incidents[0]
	expect(t, "title", incident.Title, strings.Repeat("é", 256))
	expect(t, "description", incident.Description, "half \ufffd")
	expect(t, "tag", len(incident.Tags[0]), 128)
	expect(t, "observable", incident.Observables[0].Value, "\ufffd(")
	expect(t, "problems", outcome.Problems, []string{
		"incident 2 of the mapper has no `SourceRef`, the vendor's id; it is left out",
		"incident 3 of the mapper has no `SourceRef`, the vendor's id; it is left out",
	})
}

func TestLongIDsAreShortenedAndRemainDifferent(t *testing.T) {
	outcome, _ := mapText(func(*Event) (Outcome, error) {
		long := strings.Repeat("é", 300)
		return OutcomeOf(NewIncident(long+"1", ""), NewIncident(long+"2", "")), nil
	}, "x")
	one, other := outcome.Incidents[0].SourceRef, outcome.Incidents[1].SourceRef
	if one == other || len(one) != 512 || !strings.HasPrefix(one, strings.Repeat("é", 240)) {
		t.Error(one, other)
	}
	if !strings.Contains(outcome.Problems[0], "has 601 bytes and is shortened") {
		t.Error(outcome.Problems)
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	outcome, _ := mapText(func(*Event) (Outcome, error) {
		for number := range 60 {
			Problem(strings.Repeat("x", number+1))
		}
		return Outcome{}, nil
	}, "x")
	expect(t, "count", len(outcome.Problems), 51)
	expect(t, "last", outcome.Problems[50], "10 further problems")
}

func TestMeaninglessObservablesAreNotAdded(t *testing.T) {
	incident := NewIncident("a", "")
	for value, dataType := range map[string]string{
		"127.0.0.1": "ip", "fe80::1": "ip", "0.1.2.3": "ip", "300.1.1.1": "ip", "N/A": "domain", "::ffff:127.0.0.1": "ip",
		strings.Repeat("0", 64): "hash", "abc": "hash", `NT AUTHORITY\SYSTEM`: "user-account", "255.255.255.255": "ip",
	} {
		if incident.Observe(dataType, value, "") != nil {
			t.Error(dataType, value)
		}
	}
	for value, dataType := range map[string]string{
		"169.254.169.254": "ip", "192.0.2.1": "hostname", strings.Repeat("aB", 16): "hash", `ACME\ann`: "user-account",
	} {
		known := incident.Observe(dataType, value, "seen")
		if known == nil || incident.Observe(dataType, value, "") != known {
			t.Error(dataType, value)
		}
	}
	expect(t, "count", len(incident.Observables), 4)
}

func TestTechniquesAreFoundByIDByNameAndByTactic(t *testing.T) {
	incident := NewIncident("a", "")
	incident.Attack("Regsvr32 (T1218.010), https://attack.mitre.org/techniques/T1090/ TA0043-T1595 T1595 CST0006 T12345", "")
	incident.AttackNamed("T1204", "PowerShell", "Execution")
	incident.AttackNamed("CST0007", "Kerberoasting", "Credential Access")
	incident.AttackNamed("", "Sensor-based ML", "Impact")
	incident.AttackNamed("", "Intelligence Indicator", "Execution")
	var ids []string
	for _, technique := range incident.Techniques {
		ids = append(ids, technique.ID)
	}
	expect(t, "ids", strings.Join(ids, " "), "T1218.010 T1090 TA0043 T1595 T1204 T1558.003 TA0040")
}

func TestTheRestOfAPayloadIsKeptWithinBounds(t *testing.T) {
	var members strings.Builder
	for letter := 'a'; letter < 'a'+20; letter++ {
		members.WriteString(`"big` + string(letter) + `": "` + strings.Repeat("y", 5000) + `", `)
	}
	value := read(t, `{"id": 1, "risk": 7, "apiKey": "k", "agent": {"id": 2, "os": "Linux", "inner": {"a": 1}},
		"text": "{\"seen\": 1, \"left\": [2]}", "whole": {"b": 1}, "none": null, "login": {"password": "p", "by": "ann"}, "list": [{"token": 1}], "seen": 1, `+members.String()+`}`)
	incident := NewIncident(value.Text("id"), "")
	value.Text("agent", "id")
	value.Text("text", "seen")
	value.Text("absent", "b")
	value.MarkRead("seen", "absent")
	incident.KeepUnread(value, "acme_")
	var names []string
	for _, detail := range incident.Details {
		names = append(names, detail.Name+"="+detail.Value[:min(8, len(detail.Value))])
	}
	shown := strings.Join(names, " ")
	begin := `acme_risk=7 acme_agent.os="Linux" acme_agent.inner={"a":1} acme_text.left=[2] acme_whole={"b":1} acme_login.by="ann" acme_biga="yyyyyyy `
	if !strings.HasPrefix(shown, begin) || !strings.HasSuffix(shown, " fields_not_kept=16") {
		t.Error(shown)
	}
}

func TestDigestsAreThoseOfTheSDKForRust(t *testing.T) {
	expect(t, "fingerprint", Fingerprint("ab", "c"), "601d5476e2ccfe2c87a2bba7a3226597")
	if Fingerprint("ab", "c") == Fingerprint("a", "bc") {
		t.Error("parts run together")
	}
}

func TestTagsAndTechniquesAreComparedWithTheFirstOnesOnly(t *testing.T) {
	incident := NewIncident("a", "")
	for index := range 1002 {
		number := index
		if index >= 1000 {
			number = (index - 1000) * 999
		}
		incident.Tag(fmt.Sprint("tag ", number))
		incident.Attack(fmt.Sprint("T", 1000+number), "")
	}
	expect(t, "tags", len(incident.Tags), 1001)
	expect(t, "techniques", len(incident.Techniques), 1001)
}
