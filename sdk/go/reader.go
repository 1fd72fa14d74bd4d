package hookmill

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

var errCutOff = errors.New(cutOff)

var escapes = map[byte]byte{
	'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f', '"': '"', '\\': '\\', '/': '/',
}

// reader is a parser that repairs faults in their place.
type reader struct {
	text string
	at   int
	// The values that are not JSON although their places are known.
	problems []string
}

// isAtEnd passes over what may stand between two JSON values. RFC 7464 begins each with 0x1E.
func (r *reader) isAtEnd() bool {
	r.skip(func(sign rune) bool {
		return unicode.IsSpace(sign) || sign == ',' || sign == 0 || sign == '\x1e' || sign == '\ufeff'
	})
	return r.at == len(r.text)
}

// skipValue moves to where to read on after what cannot be read: to the next bracket after a word; else after the last
// bracket of the object or list or, if that is missing, to the next line that begins with a value.
func (r *reader) skipValue(start int) {
	if sign := r.text[start]; sign != '{' && sign != '[' {
		r.at = len(r.text)
		if bracket := strings.IndexAny(r.text[start+1:], "[{]"); bracket >= 0 {
			r.at = start + 1 + bracket
		}
		return
	}
	end := len(r.text)
	for _, line := range []string{"\n{", "\n["} {
		if found := strings.Index(r.text[start:end], line); found >= 0 {
			end = start + found + 1
		}
	}
	r.at = start
	if _, err := r.nestedText(); err != nil || r.at > end {
		r.at = end
	}
}

func (r *reader) value(depth int) (*Value, error) {
	switch sign := r.peek(); {
	case (sign == '{' || sign == '[') && depth == depthMax:
		text, err := r.nestedText()
		return &Value{kind: isText, text: text}, err
	case sign == '{':
		return r.object(depth)
	case sign == '[':
		return r.array(depth)
	case sign == '"':
		text, err := r.string()
		return &Value{kind: isText, text: text}, err
	default:
		return r.word(depth)
	}
}

// peek returns the next byte after white space, or 0 at the end.
func (r *reader) peek() byte {
	r.skip(unicode.IsSpace)
	if r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// skip passes over characters and returns them.
func (r *reader) skip(is func(rune) bool) string {
	start := r.at
	for r.at < len(r.text) {
		sign, size := rune(r.text[r.at]), 1
		if sign >= utf8.RuneSelf {
			sign, size = utf8.DecodeRuneInString(r.text[r.at:])
		}
		if !is(sign) {
			break
		}
		r.at += size
	}
	return r.text[start:r.at]
}

func (r *reader) fault() error {
	if r.at == len(r.text) {
		return errCutOff
	}
	sign, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return fmt.Errorf("is not JSON: unexpected `%c` at character %d", sign, r.at)
}

func (r *reader) object(depth int) (*Value, error) {
	object := &Value{kind: isObject}
	r.at++
	for r.peek() != '}' {
		if r.peek() != '"' {
			return nil, r.fault()
		}
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		if r.peek() != ':' {
			return nil, r.fault()
		}
		r.at++
		member, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		object.set(name, member)
		if err := r.separator('}'); err != nil {
			return nil, err
		}
	}
	r.at++
	return object, nil
}

func (r *reader) array(depth int) (*Value, error) {
	array := &Value{kind: isList}
	r.at++
	for r.peek() != ']' {
		element, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array.list = append(array.list, element)
		if err := r.separator(']'); err != nil {
			return nil, err
		}
	}
	r.at++
	return array, nil
}

// separator passes over the comma after an element. A comma before the end is ignored.
func (r *reader) separator(end byte) error {
	switch r.peek() {
	case ',':
		r.at++
	case end:
	default:
		return r.fault()
	}
	return nil
}

// nestedText returns the value at the position as the text of its JSON. It does not recurse, however deep the value is.
func (r *reader) nestedText() (string, error) {
	start, depth := r.at, 0
	for {
		found := strings.IndexAny(r.text[r.at:], `"{}[]`)
		if found < 0 {
			r.at = len(r.text)
			return "", errCutOff
		}
		r.at += found
		switch r.text[r.at] {
		case '"':
			if _, err := r.string(); err != nil {
				return "", err
			}
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		r.at++
		if depth == 0 {
			return r.text[start:r.at], nil
		}
	}
}

func (r *reader) string() (string, error) {
	r.at++
	var text []byte
	for {
		plain := r.text[r.at:]
		end := strings.IndexAny(plain, `"\`)
		if end < 0 {
			r.at = len(r.text)
			return "", errCutOff
		}
		plain = plain[:end]
		r.at += end + 1
		if r.text[r.at-1] == '"' {
			if text == nil {
				return plain, nil
			}
			return string(append(text, plain...)), nil
		}
		text = append(text, plain...)
		if r.at == len(r.text) {
			return "", errCutOff
		}
		text = r.escaped(text)
	}
}

// escaped appends the character of an escape, or the backslash of an unknown one.
func (r *reader) escaped(text []byte) []byte {
	if known, ok := escapes[r.text[r.at]]; ok {
		r.at++
		return append(text, known)
	}
	sign, ok := r.unit()
	if !ok {
		return append(text, '\\')
	}
	r.at += len("u0000")
	if utf16.IsSurrogate(sign) {
		sign = r.pair(sign)
	}
	return utf8.AppendRune(text, sign)
}

// pair returns the character of two halves that stand together, or U+FFFD for half of one.
func (r *reader) pair(high rune) rune {
	if !strings.HasPrefix(r.text[r.at:], `\u`) {
		return utf8.RuneError
	}
	rest := reader{text: r.text, at: r.at + 1}
	low, _ := rest.unit()
	sign := utf16.DecodeRune(high, low)
	if sign != utf8.RuneError {
		r.at += len(`\u0000`)
	}
	return sign
}

// unit reads `u` and four hexadecimal digits, without passing over them.
func (r *reader) unit() (rune, bool) {
	if len(r.text)-r.at < len("u0000") || r.text[r.at] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(r.text[r.at+1:r.at+len("u0000")], 16, 16)
	return rune(unit), err == nil
}

// word reads a number, `true`, `false` or `null`, also as Python and JavaScript write them.
func (r *reader) word(depth int) (*Value, error) {
	start := r.at
	word := r.skip(func(sign rune) bool {
		return isLetter(sign) || isDigit(sign) || strings.ContainsRune("_+.-", sign)
	})
	switch word {
	case "null", "None", "NaN", "nan", "undefined":
		return &Value{kind: isNull}, nil
	case "true", "True", "false", "False":
		return &Value{kind: isBool, text: strings.ToLower(word)}, nil
	}
	if word == "" || !strings.ContainsRune("0123456789+.-", rune(word[0])) {
		r.at = start
		return r.bare(depth)
	}
	if isNumber(word) {
		return &Value{kind: isNumeric, text: word}, nil
	}
	return &Value{kind: isText, text: word}, nil
}

// bare returns a word without quotes as text, and null in place of nothing, as templates write them.
func (r *reader) bare(depth int) (*Value, error) {
	start := r.at
	word := strings.TrimSpace(r.skip(func(sign rune) bool { return !strings.ContainsRune(",}]{[\":\n", sign) }))
	isEnded := r.at < len(r.text) && strings.IndexByte(",}]\n", r.text[r.at]) >= 0
	if depth == 0 || !isEnded || len(r.problems) == faultsMax {
		r.at = start
		return nil, r.fault()
	}
	if word == "" {
		r.problems = append(r.problems, fmt.Sprintf("the value at character %d is missing", start))
		return &Value{kind: isNull}, nil
	}
	r.problems = append(r.problems, fmt.Sprintf("`%s` at character %d has no quotes", excerpt(word), start))
	return &Value{kind: isText, text: word}, nil
}

// isNumber returns whether a word is a number of JSON: an integer of 64 bits, or a finite decimal number.
func isNumber(word string) bool {
	rest := strings.TrimPrefix(word, "-")
	whole := leadingDigits(rest)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	rest = rest[len(whole):]
	if rest == "" {
		_, signed := strconv.ParseInt(word, 10, 64)
		_, unsigned := strconv.ParseUint(word, 10, 64)
		return signed == nil || unsigned == nil
	}
	if fraction, ok := strings.CutPrefix(rest, "."); ok {
		digits := leadingDigits(fraction)
		if digits == "" {
			return false
		}
		rest = fraction[len(digits):]
	}
	if rest != "" {
		if rest[0] != 'e' && rest[0] != 'E' {
			return false
		}
		exponent := strings.TrimLeft(rest[1:], "+-")
		if len(rest)-1-len(exponent) > 1 || exponent == "" || leadingDigits(exponent) != exponent {
			return false
		}
	}
	number, err := strconv.ParseFloat(word, 64)
	return err == nil && !math.IsInf(number, 0)
}

func leadingDigits(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
}

func isDigit(sign rune) bool { return '0' <= sign && sign <= '9' }
