package hookmill

import "fmt"

// JSON parses the body. `expected` names the expected payload in the error text.
//
// A fault costs only its part: half a surrogate pair and a byte that is not UTF-8 become U+FFFD, of members with the same
// name the last is kept, a value nested deeper than 64 becomes a text, integers of more than 64 bits become texts, and a
// byte order mark is passed over.
//
// If the body contains several JSON values, one after the other, the mapper is called again for each of them: return the
// error of this function unchanged. It is one from [Malformed] if the body is not JSON.
func (e *Event) JSON(expected string) (*Value, error) { return ReadText(string(e.Body), expected) }

// ReadText parses a text inside a payload as [Event.JSON] parses the body.
func ReadText(text, expected string) (*Value, error) {
	found := documentsOf(text)
	if len(found.values) == 0 {
		reason := "the body is empty"
		if len(found.problems) > 0 {
			reason = found.problems[0]
		}
		return nil, Malformed(fmt.Sprintf("not JSON: %s; expected %s", reason, expected))
	}
	if len(found.values)+len(found.problems) > 1 {
		return nil, &severalDocuments{documents: textsOf(found.values), problems: found.problems}
	}
	return found.values[0], nil
}

// elementsOf returns the elements of a JSON text that is a list with objects, or the values in a text that contains JSON.
func elementsOf(text string) []string {
	if start := firstSign(text); start != '[' && start != '"' {
		return nil
	}
	found := documentsOf(text)
	if len(found.values) == 0 {
		return nil
	}
	value := found.values[0]
	if value.kind == isText && isNested(value.text) {
		return textsOf(documentsOf(value.text).values)
	}
	for _, element := range value.list {
		if element.kind == isObject {
			return textsOf(value.list)
		}
	}
	return nil
}

func textsOf(values []*Value) []string {
	texts := make([]string, len(values))
	for index, value := range values {
		texts[index] = value.String()
	}
	return texts
}
