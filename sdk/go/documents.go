package hookmill

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// The depth up to which values stay structured. A deeper value becomes the text of its JSON.
	depthMax = 64
	// The most values of one payload: more than the host takes incidents.
	valuesMax = 2000
	// The most values that cannot be read.
	faultsMax = 50
	cutOff    = "is cut off at the end"
)

// documents are the JSON values of one text, with the reasons why parts of it are not values.
type documents struct {
	values   []*Value
	problems []string
}

// documentsOf reads the values of a text that contains one or several JSON values, one after the other, one per line or
// with commas between them.
//
// A value that cannot be read is a problem; reading continues after its last bracket or, if that is missing, at the next
// line that begins with a value. What is not JSON ends at the next bracket. If an element of a list cannot be read or the
// list is cut off, the elements are values in place of the list.
func documentsOf(text string) documents {
	var found documents
	reader := reader{text: wellFormed(text)}
	isInList, lists := false, 0
	for !reader.isAtEnd() {
		number := len(found.values) + len(found.problems) + 1
		if len(found.values) == valuesMax || len(found.problems) == faultsMax {
			found.problems = append(found.problems,
				fmt.Sprintf("JSON value %d and what follows is not read: there are too many values or faults", number))
			return found
		}
		start := reader.at
		sign := reader.text[start]
		if isInList && sign == ']' {
			isInList = false
			reader.at++
			continue
		}
		reader.problems = nil
		value, err := reader.value(0)
		switch {
		case err == nil:
			found.values = append(found.values, value)
			found.problems = append(found.problems, reader.problems...)
		case sign == '[' && lists < faultsMax && (!isInList || start > 0 && reader.text[start-1] == '\n'):
			isInList = true
			lists++
			reader.at = start + 1
		default:
			found.problems = append(found.problems, fmt.Sprintf("JSON value %d %s", number, err))
			reader.skipValue(start)
		}
	}
	isReported := len(found.problems) > 0 && strings.HasSuffix(found.problems[len(found.problems)-1], cutOff)
	if isInList && !isReported {
		found.problems = append(found.problems, "the list of JSON values "+cutOff)
	}
	return found
}

// wellFormed returns a text in which every byte that is not UTF-8 is replaced by U+FFFD.
func wellFormed(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strings.Map(func(sign rune) rune { return sign }, text)
}
