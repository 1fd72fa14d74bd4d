package hookmill

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// rows reads a table of sdk/cases.
func rows(t *testing.T, name string) [][]any {
	t.Helper()
	text, err := os.ReadFile("../cases/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// orNil returns nil for an absent text, as the tables write it.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func expect(t *testing.T, what string, found, expected any) {
	t.Helper()
	if !reflect.DeepEqual(found, expected) {
		t.Errorf("%s: %#v; expected %#v", what, found, expected)
	}
}

func TestTimesAreConvertedInEverySpellingAndOthersAreProblems(t *testing.T) {
	for _, row := range rows(t, "times") {
		takeProblems()
		found := []any{orNil(Timestamp(row[0].(string))), len(takeProblems()) > 0}
		expect(t, row[0].(string), found, row[1:])
	}
}

func TestSeveritiesAreWordsOrNumbersOnAScale(t *testing.T) {
	names := []any{nil, "informational", "low", "medium", "high", "critical"}
	for _, row := range rows(t, "severities") {
		takeProblems()
		severity := ParseSeverity(row[0].(string))
		if scale, ok := row[1].(string); ok {
			severity = ParseSeverityOn(Scale(scale), row[0].(string))
		}
		expect(t, row[0].(string), []any{names[severity], len(takeProblems()) > 0}, row[2:])
	}
}

func TestAttackNamesAreFoundInAnySpelling(t *testing.T) {
	for _, row := range rows(t, "attack") {
		name := row[0].(string)
		expect(t, name, []any{orNil(TechniqueID(name)), orNil(TacticID(name))}, row[1:])
	}
}

func TestTheTechniquesAreThoseOfTheOtherLanguages(t *testing.T) {
	// Not a link, because go:embed follows none.
	there, err := os.ReadFile("../rust/src/attack/techniques.txt")
	if err != nil || string(there) != techniques {
		t.Error("techniques.txt is another one than that of the SDK for Rust", err)
	}
}

// reads is a mapper that remembers the values that it was called with.
type reads struct{ seen []any }

func (r *reads) Describe() Description { return Description{} }

func (r *reads) ToIncidents(event *Event) (Outcome, error) {
	value, err := event.JSON("anything")
	if err != nil {
		return Outcome{}, err
	}
	r.seen = append(r.seen, plain(value))
	return Outcome{}, nil
}

// plain returns a value as encoding/json decodes it, with the integers that are not exact in JavaScript as the tables
// write them.
func plain(value *Value) any {
	var decoded any
	decoder := json.NewDecoder(strings.NewReader(value.String()))
	decoder.UseNumber()
	if err := decoder.Decode(&decoded); err != nil {
		panic(value.String())
	}
	return tagged(decoded)
}

func tagged(value any) any {
	switch value := value.(type) {
	case json.Number:
		number, _ := value.Float64()
		if len(value) > 16 {
			return map[string]any{"$integer": string(value)}
		}
		return number
	case []any:
		for index := range value {
			value[index] = tagged(value[index])
		}
	case map[string]any:
		for name := range value {
			value[name] = tagged(value[name])
		}
	}
	return value
}

func TestJSONWithFaultsIsRepairedInItsPlace(t *testing.T) {
	for _, row := range rows(t, "json") {
		mapper := &reads{}
		outcome, err := Map(mapper, &Event{Body: []byte(row[0].(string))})
		problems := len(outcome.Problems)
		if err != nil {
			mapper.seen = nil
			if !strings.Contains(err.Error(), "the body is empty") {
				problems = 1
			}
		}
		if mapper.seen == nil {
			mapper.seen = []any{}
		}
		expect(t, row[0].(string), []any{mapper.seen, float64(problems)}, row[1:])
	}
	mapper := &reads{}
	if _, err := Map(mapper, &Event{Body: []byte("\"\xff\"")}); err != nil {
		t.Error(err)
	}
	expect(t, "a byte that is not UTF-8", mapper.seen, []any{"\ufffd"})
}

func read(t *testing.T, text string) *Value {
	t.Helper()
	takeProblems()
	value, err := ReadText(text, "a value")
	if err != nil {
		t.Fatal(text, err)
	}
	return value
}

func TestWhatIsTooDeepIsKeptAsText(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat("[", depth) + `{"a":"]"}` + strings.Repeat("]", depth)
	}
	expect(t, "63", read(t, nested(63)).String(), nested(63))
	for depth, inside := range map[int]string{64: `"{`, 100_000: `"[[[`} {
		if shown := read(t, nested(depth)).String(); !strings.HasPrefix(shown, strings.Repeat("[", 64)+inside) {
			t.Error(depth, shown[:80])
		}
	}
}

func TestValuesInTheWrongPlaceAreAbsentAndReported(t *testing.T) {
	value := read(t, `{"list": [{"a": 1}], "text": "x", "none": "N/A", "empty": {}, "number": 7}`)
	for _, path := range [][]string{{"text", "a"}, {"none", "a"}, {"empty"}, {"list"}, {"list", "a"}, {"number", "a", "b"}} {
		expect(t, strings.Join(path, "."), value.Text(path...), "")
	}
	expect(t, "problems", takeProblems(), []string{
		"`x` stands where an object is expected; it is left out",
		"`{\"a\":1}` stands where a text or a number is expected; it is left out",
		"`[{\"a\":1}]` stands where an object is expected; it is left out",
		"`7` stands where an object is expected; it is left out",
	})
}

func TestJSONInsideATextIsUnfoldedAndOtherValuesStay(t *testing.T) {
	value := read(t, `{"host": "{\"name\": \"h\", \"n\": [1]}", "files": "[\"f\", \"g\"]", "text": "[not JSON", "one": 1}`)
	expect(t, "members", value.Text("host", "name")+value.Text("host", "n"), "h1")
	for name, expected := range map[string]string{"files": `["f" "g"]`, "text": `["[not JSON"]`, "one": "[1]", "none": "[]"} {
		var shown []string
		for _, element := range value.List(name) {
			shown = append(shown, element.String())
		}
		expect(t, name, "["+strings.Join(shown, " ")+"]", expected)
	}
	expect(t, "problems", len(takeProblems()), 0)
}

func TestNumbersAreWrittenAsInTheOtherLanguages(t *testing.T) {
	value := read(t, `{"a": 1795859703.0, "b": 12345678901234567890, "c": 1.50, "d": 1e3, "e": true}`)
	texts := []string{value.Text("a"), value.Text("b"), value.Text("c"), value.Text("d"), value.Text("e")}
	expect(t, "texts", texts, []string{"1795859703", "12345678901234567890", "1.5", "1000", "true"})
}

func TestObjectsWithManyMembersAreReadAlike(t *testing.T) {
	var text bytes.Buffer
	for number := range 100 {
		text.WriteString(`"` + strconv.Itoa(number%50) + `": ` + strconv.Itoa(number) + ",")
	}
	value := read(t, "{"+text.String()+"}")
	expect(t, "the last of two", []string{value.Text("0"), value.Text("49"), value.Text("50")}, []string{"50", "99", ""})
	count := 0
	for range value.Members() {
		count++
	}
	expect(t, "members", count, 50)
}
