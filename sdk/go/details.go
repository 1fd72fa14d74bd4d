package hookmill

import (
	"slices"
	"strconv"
	"strings"
)

// The bounds of KeepUnread: the number of fields, and the bytes of JSON of one value and of all values.
const (
	keptMax           = 64
	keptBytesMax      = 2048
	keptTotalBytesMax = 16 * 1024
	notKept           = "fields_not_kept"
)

// Parts of names of fields that can contain secrets, which are not kept.
var secret = []string{"passw", "secret", "token", "apikey", "api_key", "authorization", "cookie"}

// Detail adds a vendor's field as text. Absent texts are ignored.
func (i *Incident) Detail(name, text string) {
	if text = present(text); text != "" {
		i.add(name, string(appendQuoted(nil, text)))
	}
}

// DetailJSON adds a vendor's field of any type, as JSON. Absent and empty values are ignored.
func (i *Incident) DetailJSON(name string, value *Value) {
	if !value.IsAbsent() {
		value.isRead = true
		i.add(name, value.String())
	}
}

func (i *Incident) add(name, json string) {
	i.Details = append(i.Details, Field{Name: name, Value: json})
}

// KeepUnread adds the members of an object that the mapper did not read, so that nothing of a payload is lost without
// notice. Call it last. Members of an object of which others were read have the names of both, such as `agent.id`; the
// prefix is put before all names.
//
// Keeps 64 fields and 16 KiB, and nothing at any depth whose name contains `password`, `secret`, `token` and the like; a
// longer value is cut. The detail `fields_not_kept` counts the others.
func (i *Incident) KeepUnread(value *Value, prefix string) {
	kept := kept{incident: i}
	kept.members(value.Unfold(), prefix)
	if kept.left == 0 {
		return
	}
	for index, detail := range i.Details {
		if detail.Name == notKept {
			before, _ := strconv.Atoi(detail.Value)
			i.Details[index].Value = strconv.Itoa(before + kept.left)
			return
		}
	}
	i.add(notKept, strconv.Itoa(kept.left))
}

// kept is what one call of KeepUnread adds.
type kept struct {
	incident *Incident
	count    int
	bytes    int
	left     int
}

func (k *kept) members(object *Value, prefix string) {
	if object == nil {
		return
	}
	for _, member := range object.members {
		value, inner := member.value, member.value.inner()
		switch {
		case value.IsAbsent() || value.isRead || inner.isRead:
		case inner.isPartlyRead() || inner.IsObject() && inner.hasSecret():
			k.members(inner, prefix+member.name+".")
		default:
			k.member(prefix+member.name, value)
		}
	}
}

func (k *kept) member(name string, value *Value) {
	json := value.String()
	size := min(len(json), keptBytesMax)
	if isSecret(name) || value.inner().hasSecret() || k.count == keptMax || k.bytes+size > keptTotalBytesMax {
		k.left++
		return
	}
	k.count++
	k.bytes += size
	if len(json) > keptBytesMax {
		short := json
		if value.kind == isText {
			short = value.text
		}
		json = string(appendQuoted(nil, truncate(short, keptBytesMax)+"…"))
	}
	isKnown := func(known Field) bool { return known.Name == name }
	if !slices.ContainsFunc(k.incident.Details, isKnown) {
		k.incident.add(name, json)
	}
}

// inner returns the object or list that was read in place of a text, or the value itself.
func (v *Value) inner() *Value {
	if v.unfolded != nil {
		return v.unfolded
	}
	return v
}

// isPartlyRead returns whether a member of the object was read, or a part of one. An object of which none was read is a
// detail as a whole.
func (v *Value) isPartlyRead() bool {
	return slices.ContainsFunc(v.members, func(member member) bool {
		inner := member.value.inner()
		return member.value.isRead || inner.isRead || inner.isPartlyRead()
	})
}

// hasSecret returns whether a name in the value, at any depth, is that of a secret.
func (v *Value) hasSecret() bool {
	return slices.ContainsFunc(v.list, (*Value).hasSecret) || slices.ContainsFunc(v.members, func(member member) bool {
		return isSecret(member.name) || member.value.hasSecret()
	})
}

func isSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secret, func(part string) bool { return strings.Contains(name, part) })
}
