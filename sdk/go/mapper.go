package hookmill

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mapper maps the payloads of one vendor to incidents.
type Mapper interface {
	// Describe returns the plugin's description. The host calls it when it loads the plugin.
	Describe() Description
	// ToIncidents maps one payload. It must be deterministic: the same event gives the same outcome. An error should be
	// one of [Malformed] or [Unsupported]; the host gets any other one as malformed.
	ToIncidents(event *Event) (Outcome, error)
}

var exported Mapper

// Export makes a mapper the one of this plugin. Call it in `init`, because a plugin's `main` does not run.
func Export(mapper Mapper) { exported = mapper }

// Map calls a mapper as an exported one is called: once for each JSON value of the payload. Most payloads have one,
// forwarders send several in one body or in one list. A value that cannot be mapped is a problem of the outcome if
// another one can.
func Map(mapper Mapper, event *Event) (Outcome, error) {
	outcome, err := mapOne(mapper, event)
	if err == nil {
		return outcome, nil
	}
	var several *severalDocuments
	if errors.As(err, &several) {
		return mapAll(mapper, event, several.documents, several.problems)
	}
	if elements := elementsOf(string(event.Body)); len(elements) > 0 {
		return mapAll(mapper, event, elements, nil)
	}
	return Outcome{}, err
}

func mapOne(mapper Mapper, event *Event) (Outcome, error) {
	takeProblems()
	outcome, err := mapper.ToIncidents(event)
	if err != nil {
		return Outcome{}, err
	}
	outcome = checked(outcome)
	// A kind that cannot be read is not one that is rightly skipped: a reason that quotes a broken character is a problem.
	var skipped []string
	for _, reason := range outcome.Skipped {
		if strings.ContainsRune(reason, '\ufffd') {
			outcome.Problems = append(outcome.Problems, reason+"; a character of it is broken")
		} else {
			skipped = append(skipped, reason)
		}
	}
	outcome.Skipped = skipped
	outcome.Problems = bounded(append(outcome.Problems, takeProblems()...))
	return outcome, nil
}

// mapAll maps each of these JSON values. It returns the first error if none can be mapped.
func mapAll(mapper Mapper, event *Event, documents, problems []string) (Outcome, error) {
	var merged Outcome
	var failed []string
	var firstError error
	count, failures := 0, map[int]error{}
	parts := slices.Clone(documents)
	slices.Reverse(parts)
	for len(parts) > 0 {
		if count == valuesMax {
			more := len(parts)
			merged.Problems = append(merged.Problems,
				fmt.Sprintf("%d of %d JSON values are not read: at most %d are", more, count+more, valuesMax))
			break
		}
		document := parts[len(parts)-1]
		parts = parts[:len(parts)-1]
		part := *event
		part.Body = []byte(document)
		outcome, err := mapOne(mapper, &part)
		if err != nil {
			// A mapper that does not know a list of its payloads gets each of them.
			if elements := elementsOf(document); len(elements) > 0 {
				slices.Reverse(elements)
				parts = append(parts, elements...)
				continue
			}
			if firstError == nil {
				firstError = err
			}
			failures[count] = err
		}
		merged.Incidents = append(merged.Incidents, outcome.Incidents...)
		merged.Skipped = append(merged.Skipped, outcome.Skipped...)
		merged.Problems = append(merged.Problems, outcome.Problems...)
		count++
	}
	if firstError != nil && len(failures) == count {
		return Outcome{}, firstError
	}
	for number := range count {
		if err := failures[number]; err != nil {
			failed = append(failed, fmt.Sprintf("JSON value %d of %d: %s", number+1, count, err))
		}
	}
	merged.Problems = bounded(slices.Concat(merged.Problems, failed, problems))
	return merged, nil
}
