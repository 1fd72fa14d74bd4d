package hookmill

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// The greatest time that the host accepts, 9999-12-30T22:00:00Z, in seconds since the Unix epoch.
	secondsMax = 253_402_207_200
	// The ends of the ranges of counts in each unit. Counts from filetimeEnd are nanoseconds.
	secondsEnd      = 100_000_000_000
	millisecondsEnd = 100_000_000_000_000
	microsecondsEnd = 100_000_000_000_000_000
	filetimeEnd     = 1_000_000_000_000_000_000
	// The Unix epoch as a Windows FILETIME, which counts steps of 100 ns from 1601.
	filetimeEpoch = 116_444_736_000_000_000
	// The FILETIME that stands for "never".
	filetimeNever = "9223372036854775807"
)

var (
	errOutOfRange = errors.New("it is not between the years 1970 and 9999")
	errNoTime     = errors.New("it is not a time")
	errNoSuchTime = errors.New("there is no such day or time of day")
	errZone       = errors.New("its time zone is not known")
)

var months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// Timestamp converts a vendor's time to a form that the host accepts: a number of seconds, milliseconds, microseconds,
// nanoseconds or FILETIME, or RFC 3339. It reads the usual spellings of dates; a missing offset is UTC.
//
// Returns nothing for absent text and for times that stand for "never": zero, the first days of the years 0, 1, 1601, 1900
// and 1970, and the last day of 9999. Any other text that is not a time between 1970 and 9999, such as one with an
// impossible day, is also reported as a problem.
func Timestamp(text string) string {
	text = present(text)
	if text == "" {
		return ""
	}
	converted, err := parseTime(text)
	if err != nil {
		Problem(fmt.Sprintf("the time `%s` is left out: %s", excerpt(text), err))
	}
	return converted
}

func parseTime(text string) (string, error) {
	if strings.Trim(strings.TrimPrefix(text, "-"), "0123456789.") == "" {
		return countOf(text)
	}
	if isNumber(text) {
		return countOf(plainNumber(text))
	}
	for _, spelling := range []func(string) (written, bool){basic, ordered, named, american} {
		if found, ok := spelling(text); ok {
			return found.format()
		}
	}
	return "", errNoTime
}

// countOf returns a number that the host reads as a time between 1970 and 9999.
func countOf(text string) (string, error) {
	whole, fraction, hasFraction := strings.Cut(text, ".")
	count, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || hasFraction && (fraction == "" || leadingDigits(fraction) != fraction) {
		return "", errNoTime
	}
	if count == 0 || whole == filetimeNever {
		return "", nil
	}
	seconds := count
	switch {
	case count < secondsEnd:
	case count < millisecondsEnd:
		seconds = count / 1_000
	case count < microsecondsEnd:
		seconds = count / 1_000_000
	case count < filetimeEnd:
		seconds = (count - filetimeEpoch) / 10_000_000
	default:
		seconds = count / 1_000_000_000
	}
	if seconds < 0 || seconds > secondsMax {
		return "", errOutOfRange
	}
	// Only seconds may have a fraction.
	if count < secondsEnd {
		return text, nil
	}
	return whole, nil
}

// written has the parts of a time as they are written.
type written struct {
	year, month, day, clock, zone string
	// `am`, `pm` or nothing.
	half string
}

// basic reads `20240605T091524Z`.
func basic(text string) (written, bool) {
	if len(text) < 15 || !isDigits(text[:8], 8) || text[8] != 'T' && text[8] != 't' || !isDigits(text[9:15], 6) {
		return written{}, false
	}
	clock := text[9:11] + ":" + text[11:13] + ":" + text[13:15]
	fraction := ""
	if strings.HasPrefix(text[15:], ".") {
		fraction = "." + leadingDigits(text[16:])
	}
	zone := text[15+len(fraction):]
	return written{year: text[:4], month: text[4:6], day: text[6:8], clock: clock + fraction, zone: zone}, true
}

// ordered reads `2024-06-05T09:15:24.5+02:00`, with any of its parts after the date missing.
func ordered(text string) (written, bool) {
	if len(text) < 10 || text[4] != text[7] || text[4] != '-' && text[4] != '/' {
		return written{}, false
	}
	found := written{year: text[:4], month: text[5:7], day: text[8:10]}
	if !isDigits(found.year, 4) || !isDigits(found.month, 2) || !isDigits(found.day, 2) {
		return written{}, false
	}
	rest := text[10:]
	if rest == "" {
		return found, true
	}
	if !strings.ContainsRune("Tt _", rune(rest[0])) {
		return written{}, false
	}
	rest = strings.TrimSpace(rest[1:])
	zone := strings.TrimLeft(rest, "0123456789:.,")
	found.clock, found.zone = rest[:len(rest)-len(zone)], strings.TrimSpace(zone)
	return found, found.clock != ""
}

// named reads a time with the name of its month.
func named(text string) (written, bool) {
	var found written
	for _, word := range strings.FieldsFunc(text, func(sign rune) bool { return strings.ContainsRune(" ,/()", sign) }) {
		isNumber := leadingDigits(word) == word
		switch lower := strings.ToLower(word); {
		case found.month == "" && monthOf(word) > 0:
			found.month = word
		case len(word) == 13 && word[4] == ':': // 2024:09:15:24
			found.year, found.clock = word[:4], word[5:]
		case found.clock == "" && strings.Contains(word, ":") && word[0] != '+' && word[0] != '-':
			found.clock = word
		case isNumber && len(word) == 4:
			found.year = word
		case isNumber && len(word) <= 2:
			found.day = word
		case lower == "am" || lower == "pm":
			found.half = lower
		case found.clock == "": // The day of the week comes first.
		default:
			found.zone = word
		}
	}
	return found, found.month != "" && found.year != "" && found.day != ""
}

// american reads `6/5/2024 9:15:24 AM`. Without AM or PM, the order of day and month is not certain.
func american(text string) (written, bool) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return written{}, false
	}
	date := strings.Split(strings.TrimSuffix(words[0], ","), "/")
	half := strings.ToLower(words[2])
	if len(date) != 3 || len(date[2]) != 4 || half != "am" && half != "pm" {
		return written{}, false
	}
	zone := strings.Join(words[3:], " ")
	return written{year: date[2], month: date[0], day: date[1], clock: words[1], half: half, zone: zone}, true
}

func (w written) format() (string, error) {
	year, yearErr := strconv.Atoi(w.year)
	day, dayErr := strconv.Atoi(w.day)
	month, monthErr := strconv.Atoi(w.month)
	if monthErr != nil {
		month = monthOf(w.month)
	}
	clock, fraction, _ := strings.Cut(strings.Replace(w.clock, ",", ".", 1), ".")
	if yearErr != nil || dayErr != nil || leadingDigits(fraction) != fraction {
		return "", errNoTime
	}
	hour, minute, second, err := timeOfDay(clock, w.half)
	if err != nil {
		return "", err
	}
	zone, offset, err := zoneOf(w.zone)
	if err != nil {
		return "", err
	}
	isNever := slices.Contains([]int{0, 1, 1601, 1900}, year) && month <= 1 && day <= 1
	if isNever || year == 9999 && month == 12 && day == 31 {
		return "", nil
	}
	// A day that does not exist becomes another one.
	date := time.Date(year, time.Month(month), day, hour, minute, min(second, 59), 0, time.UTC)
	if date.Month() != time.Month(month) || date.Day() != day || hour > 23 || minute > 59 || second > 60 {
		return "", errNoSuchTime
	}
	seconds := date.Unix() - int64(offset)*60
	if seconds == 0 {
		return "", nil
	}
	if seconds < 0 || seconds > secondsMax {
		return "", errOutOfRange
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return date.Format("2006-01-02T15:04:05") + fraction + zone, nil
}

// timeOfDay returns hour, minute and second.
func timeOfDay(clock, half string) (hour, minute, second int, err error) {
	var parts [3]int
	texts := strings.Split(clock, ":")
	if clock != "" && (len(texts) < 2 || len(texts) > 3) {
		return 0, 0, 0, errNoTime
	}
	for index, text := range texts {
		if clock == "" {
			break
		}
		if text == "" || len(text) > 2 || leadingDigits(text) != text {
			return 0, 0, 0, errNoTime
		}
		parts[index], _ = strconv.Atoi(text)
	}
	hour = parts[0]
	if half != "" {
		if hour < 1 || hour > 12 {
			return 0, 0, 0, errNoSuchTime
		}
		hour %= 12
		if half == "pm" {
			hour += 12
		}
	}
	return hour, parts[1], parts[2], nil
}

// zoneOf returns an offset in the form of RFC 3339 and in minutes.
func zoneOf(text string) (string, int, error) {
	name := strings.ToUpper(strings.Trim(text, "()[] "))
	switch name {
	case "", "Z", "UTC", "GMT", "Z UTC", "Z[UTC":
		return "Z", 0, nil
	}
	digits := strings.Replace(name[1:], ":", "", 1)
	if len(digits) == 2 {
		digits += "00"
	}
	if name[0] != '+' && name[0] != '-' || !isDigits(digits, 4) {
		return "", 0, errZone
	}
	hours, _ := strconv.Atoi(digits[:2])
	minutes, _ := strconv.Atoi(digits[2:])
	if hours > 23 || minutes > 59 {
		return "", 0, errZone
	}
	offset := hours*60 + minutes
	if name[0] == '-' {
		offset = -offset
	}
	return name[:1] + digits[:2] + ":" + digits[2:], offset, nil
}

// monthOf returns the number of a month by its name, or 0.
func monthOf(text string) int {
	if len(text) < 3 || strings.TrimFunc(text, isLetter) != "" {
		return 0
	}
	return slices.Index(months, strings.ToLower(text[:3])) + 1
}
