package hookmill

import (
	"iter"
	"slices"
	"strconv"
	"strings"
)

type kind uint8

const (
	isNull kind = iota
	isBool
	isNumeric
	isText
	isList
	isObject
)

// Objects with more members than this have an index.
const indexedMin = 16

// Texts that stand for an absent value.
var absent = []string{
	"", "-", "--", "---", "n/a", "<na>", "null", "(null)", "none", "nil", "unknown", "undefined", "not available",
	"notavailable",
}

// Value is one value of a payload. Its methods accept any shape, also none: a nil value is absent.
//
// A value remembers whether [Value.Text], [Value.Time], [Value.List] or [Value.Members] read it, for [Incident.KeepUnread].
type Value struct {
	kind kind
	// The text of a text, or the JSON of a number or a boolean.
	text    string
	list    []*Value
	members []member
	index   map[string]int
	// The object or list of which this text is the JSON.
	unfolded *Value
	isRead   bool
}

type member struct {
	name  string
	value *Value
}

// At returns the value at a path of names, or nil. JSON in a text stands for its object. Another value that stands where
// the path needs an object is reported as a problem.
func (v *Value) At(path ...string) *Value {
	value := v
	for _, name := range path {
		value = value.Unfold()
		if value.IsAbsent() {
			return nil
		}
		if value.kind != isObject {
			misplaced(value, "an object")
			return nil
		}
		value = value.find(name)
	}
	return value
}

// read returns the value at a path and marks it as read.
func (v *Value) read(path []string) *Value {
	value := v.At(path...)
	if value != nil {
		value.isRead = true
	}
	return value
}

// Text returns the scalar at a path as trimmed text: a text, a number, a boolean, or the first element of a list.
//
// Returns nothing for absent values: null, blank text, and the texts `-`, `N/A`, `none`, `null`, `unknown` and the like. An
// object is reported as a problem.
func (v *Value) Text(path ...string) string {
	value := v.read(path)
	if value != nil && value.kind == isList && len(value.list) > 0 {
		value = value.list[0]
	}
	switch {
	case value.IsAbsent():
		return ""
	case value.kind == isNumeric:
		return plainNumber(value.text)
	case value.kind == isText:
		return strings.TrimSpace(value.text)
	case value.kind == isBool:
		return value.text
	}
	misplaced(value, "a text or a number")
	return ""
}

// Time returns the text at a path as a time, see [Timestamp].
func (v *Value) Time(path ...string) string { return Timestamp(v.Text(path...)) }

// List returns the elements of the list at a path, also of one that is JSON in a text. An absent value has none; a single
// value is a list with one element.
func (v *Value) List(path ...string) []*Value {
	value := v.read(path)
	if value == nil || value.kind == isNull || value.kind == isText && value.text == "" {
		return nil
	}
	if unfolded := value.Unfold(); unfolded.kind == isList {
		return unfolded.list
	}
	return []*Value{value}
}

// Members returns the names and values of an object, in the payload's order.
func (v *Value) Members() iter.Seq2[string, *Value] {
	return func(yield func(string, *Value) bool) {
		if v == nil {
			return
		}
		v.isRead = true
		for _, member := range v.members {
			if !yield(member.name, member.value) {
				return
			}
		}
	}
}

// MarkRead marks members of an object as read, so that [Incident.KeepUnread] leaves them out.
func (v *Value) MarkRead(names ...string) {
	for _, name := range names {
		v.read([]string{name})
	}
}

// IsObject returns whether the value is an object.
func (v *Value) IsObject() bool { return v != nil && v.kind == isObject }

// IsList returns whether the value is a list.
func (v *Value) IsList() bool { return v != nil && v.kind == isList }

// Unfold returns the value in a text that contains an object or a list. Other values are returned unchanged.
func (v *Value) Unfold() *Value {
	if v == nil || v.kind != isText || !isNested(v.text) {
		return v
	}
	if v.unfolded == nil {
		v.unfolded = v
		if found := documentsOf(v.text); len(found.values) == 1 && len(found.problems) == 0 {
			v.unfolded = found.values[0]
		}
	}
	return v.unfolded
}

// find returns the member of an object with this name, or nil.
func (v *Value) find(name string) *Value {
	if v.index != nil {
		if at, ok := v.index[name]; ok {
			return v.members[at].value
		}
		return nil
	}
	for _, member := range v.members {
		if member.name == name {
			return member.value
		}
	}
	return nil
}

// set adds a member to an object. It replaces one with the same name.
func (v *Value) set(name string, value *Value) {
	if known := v.find(name); known != nil {
		*known = *value
		return
	}
	v.members = append(v.members, member{name, value})
	switch {
	case v.index != nil:
		v.index[name] = len(v.members) - 1
	case len(v.members) > indexedMin:
		v.index = make(map[string]int, 2*indexedMin)
		for at, member := range v.members {
			v.index[member.name] = at
		}
	}
}

// IsAbsent returns whether there is no value, or one that stands for none: null, blank text, `N/A` and the like, an empty
// list or object.
func (v *Value) IsAbsent() bool {
	if v == nil {
		return true
	}
	switch v.kind {
	case isText:
		return present(v.text) == ""
	case isList:
		return len(v.list) == 0
	case isObject:
		return len(v.members) == 0
	}
	return v.kind == isNull
}

func misplaced(value *Value, expected string) {
	shown := value.text
	if value.kind == isList || value.kind == isObject {
		shown = value.String()
	}
	Problem("`" + excerpt(shown) + "` stands where " + expected + " is expected; it is left out")
}

// present returns a text without surrounding white space; nothing if it stands for an absent value.
func present(text string) string {
	text = strings.TrimSpace(text)
	if len(text) <= len("not available") && slices.Contains(absent, strings.ToLower(text)) {
		return ""
	}
	return text
}

// plainNumber returns a number of JSON as the other languages write it.
func plainNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	number, _ := strconv.ParseFloat(text, 64)
	return strconv.FormatFloat(number, 'f', -1, 64)
}

// isNested returns whether a text begins as an object or a list does.
func isNested(text string) bool {
	sign := firstSign(text)
	return sign == '{' || sign == '['
}

func firstSign(text string) byte {
	text = strings.TrimLeft(text, " \t\r\n\ufeff")
	if text == "" {
		return 0
	}
	return text[0]
}
