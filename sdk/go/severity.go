package hookmill

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Scale is a vendor's scale of severities. The highest number is the most severe one.
type Scale string

// The scales of [ParseSeverityOn].
const (
	// Ten is the scale of CVSS and GuardDuty.
	Ten Scale = "0-10"
	// Hundred is the scale of CrowdStrike.
	Hundred Scale = "0-100"
	// Five is a scale without a zero.
	Five Scale = "1-5"
	// Sixteen is the scale of Wazuh.
	Sixteen Scale = "0-16"
)

// The least number of low, medium, high and critical; the greatest number.
var scales = map[Scale][5]float64{
	Ten:     {1, 4, 7, 9, 10},
	Hundred: {20, 40, 60, 80, 100},
	Five:    {2, 3, 4, 5, 5},
	Sixteen: {4, 7, 12, 15, 16},
}

// Vendors' common names, from informational to critical.
var severityNames = [5][]string{
	{"informational", "information", "info", "informative", "debug", "notice"},
	{"low", "minor"},
	{"medium", "moderate", "warning", "warn"},
	{"high", "error", "major", "severe"},
	{"critical", "crit", "very high", "emergency", "emerg", "fatal"},
}

// ParseSeverity returns the severity of a vendor's common name, ignoring case and signs around the name, such as
// `2 - WARNING`. Other text has none.
func ParseSeverity(text string) Severity {
	name := strings.TrimFunc(strings.ToLower(text), func(sign rune) bool { return sign < 'a' || sign > 'z' })
	for index, names := range severityNames {
		if slices.Contains(names, name) {
			return Informational + Severity(index)
		}
	}
	return 0
}

// ParseSeverityOn returns the severity of a name as [ParseSeverity] does, or of a number on a scale. A number outside the
// scale is reported as a problem.
func ParseSeverityOn(scale Scale, text string) Severity {
	if known := ParseSeverity(text); known != 0 {
		return known
	}
	text = strings.TrimSpace(text)
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.") != "" {
		return 0
	}
	steps := scales[scale]
	if number > steps[4] {
		Problem(fmt.Sprintf("the severity %s is not on the scale %s; it is left out", text, scale))
		return 0
	}
	severity := Informational
	for _, least := range steps[:4] {
		if number >= least {
			severity++
		}
	}
	return severity
}
