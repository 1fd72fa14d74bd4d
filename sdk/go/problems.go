package hookmill

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	// The most problems that one payload reports one by one.
	problemsMax = 50
	// The most characters of a payload in a problem.
	excerptCharsMax = 60
)

var noted []string

// Problem reports a part of the payload that could not be mapped. The host stores the event as `partial`.
func Problem(text string) {
	if !slices.Contains(noted, text) {
		noted = append(noted, text)
	}
}

// takeProblems returns the problems that were noted since the last call, and forgets them.
func takeProblems() []string {
	taken := noted
	noted = nil
	return taken
}

// bounded returns the first problems and the number of the others.
func bounded(problems []string) []string {
	if len(problems) <= problemsMax {
		return problems
	}
	return append(problems[:problemsMax:problemsMax], fmt.Sprintf("%d further problems", len(problems)-problemsMax))
}

// excerpt returns the beginning of a text.
func excerpt(text string) string {
	if utf8.RuneCountInString(text) <= excerptCharsMax {
		return text
	}
	return string([]rune(text)[:excerptCharsMax]) + "…"
}
