package hookmill

import (
	_ "embed"
	"slices"
	"strings"
)

// Lines of a technique's name, as letters and digits, and its id, after comments that begin with `#`.
//
//go:embed techniques.txt
var techniques string

// The tactics of ATT&CK for Enterprise with their ids.
var tactics = map[string]string{
	"reconnaissance":      "TA0043",
	"resourcedevelopment": "TA0042",
	"initialaccess":       "TA0001",
	"execution":           "TA0002",
	"persistence":         "TA0003",
	"privilegeescalation": "TA0004",
	"defenseevasion":      "TA0005",
	"credentialaccess":    "TA0006",
	"discovery":           "TA0007",
	"lateralmovement":     "TA0008",
	"collection":          "TA0009",
	"commandandcontrol":   "TA0011",
	"exfiltration":        "TA0010",
	"impact":              "TA0040",
}

// TacticID returns the id of a tactic by name, ignoring case and separators: `initial-access`, `InitialAccess` and
// `Initial Access` are `TA0001`. Other text has none.
func TacticID(name string) string { return tactics[letters(name)] }

// TechniqueID returns the id of a technique by name, ignoring case and separators: `PowerShell`, `Command and Scripting
// Interpreter: PowerShell` and `power-shell` are `T1059.001`. Other text has none, and neither have names that several
// techniques share, such as `Local Account`.
func TechniqueID(name string) string {
	key := letters(name[strings.LastIndex(name, ": ")+1:])
	if key == "" {
		return ""
	}
	_, rest, _ := strings.Cut(techniques, "\n"+key+" ")
	id, _, _ := strings.Cut(rest, "\n")
	return id
}

// Attack adds every ATT&CK id in a text once: `T1059`, `T1059.001` or `TA0002`. Other ids are ignored.
func (i *Incident) Attack(text, tactic string) {
	for _, id := range attackIDs(text) {
		compared := i.Techniques[:min(len(i.Techniques), techniquesComparedMax)]
		if !slices.ContainsFunc(compared, func(known Technique) bool { return known.ID == id }) {
			i.Techniques = append(i.Techniques, Technique{ID: id, Tactic: tactic})
		}
	}
}

// AttackNamed adds the ATT&CK ids of a technique: those in `id` or, if there is none, the one of `name`. If neither is
// known, it adds the id of the tactic, unless the incident has a technique of this tactic.
func (i *Incident) AttackNamed(id, name, tactic string) {
	if len(attackIDs(id)) == 0 {
		id = TechniqueID(name)
	}
	if id != "" {
		i.Attack(id, tactic)
	} else if !slices.ContainsFunc(i.Techniques, func(known Technique) bool { return known.Tactic == tactic }) {
		i.Attack(TacticID(tactic), "")
	}
}

// attackIDs returns every ATT&CK id in a text.
func attackIDs(text string) []string {
	words := strings.FieldsFunc(text, func(sign rune) bool { return !isLetter(sign) && !isDigit(sign) && sign != '.' })
	var ids []string
	for _, word := range words {
		if id := strings.Trim(word, "."); isAttackID(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// isAttackID returns whether an id is `T` and four digits, with or without `.` and three more, or `TA` and four digits.
func isAttackID(id string) bool {
	if tactic, ok := strings.CutPrefix(id, "TA"); ok {
		return isDigits(tactic, 4)
	}
	rest, ok := strings.CutPrefix(id, "T")
	technique, sub, hasSub := strings.Cut(rest, ".")
	return ok && isDigits(technique, 4) && (!hasSub || isDigits(sub, 3))
}

func isDigits(text string, count int) bool { return len(text) == count && leadingDigits(text) == text }

func isLetter(sign rune) bool { return 'a' <= sign && sign <= 'z' || 'A' <= sign && sign <= 'Z' }

// letters returns the letters and digits of a name, in lower case.
func letters(name string) string {
	return strings.Map(func(sign rune) rune {
		if isLetter(sign) || isDigit(sign) {
			return sign
		}
		return -1
	}, strings.ToLower(name))
}
