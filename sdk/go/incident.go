package hookmill

import (
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// The host's limits, see wit/plugin.wit.
const (
	refBytesMax   = 512
	titleBytesMax = 512
	tagBytesMax   = 128
)

// The host keeps no more than these. Comparing with more of them could exceed the mapper's deadline.
const (
	observablesComparedMax = 1000
	tagsComparedMax        = 200
	techniquesComparedMax  = 100
)

var (
	metadataAddress  = netip.AddrFrom4([4]byte{169, 254, 169, 254})
	broadcastAddress = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	builtInUsers     = []string{"", "system", "local service", "network service"}
)

// NewIncident returns an incident with the vendor's own stable id. The title is truncated to the host's limit of 512 bytes.
func NewIncident(sourceRef, title string) *Incident {
	return &Incident{SourceRef: sourceRef, Title: truncate(title, titleBytesMax)}
}

// Observe adds an observable unless the incident has it, and returns it.
//
// Returns nil and adds nothing if the value is absent or meaningless: an `ip` that is not an address or is unspecified,
// loopback, link-local, multicast or broadcast; a `hash` that is not a hexadecimal digest or has only zeros; a
// `user-account` that is built into Windows, such as `NT AUTHORITY\SYSTEM`. Hashes are stored in lower case. An address
// given as `domain`, `fqdn` or `hostname` is an `ip`.
func (i *Incident) Observe(dataType, value, message string) *Observable {
	value = present(value)
	switch dataType {
	case "domain", "fqdn", "hostname":
		if _, err := netip.ParseAddr(value); err == nil {
			dataType = "ip"
		}
	case "hash":
		value = strings.ToLower(value)
	}
	isMeaningless := value == "" || dataType == "ip" && !isMeaningfulIP(value) ||
		dataType == "hash" && !isMeaningfulHash(value) || dataType == "user-account" && !isMeaningfulUser(value)
	if isMeaningless {
		return nil
	}
	for _, known := range i.Observables[:min(len(i.Observables), observablesComparedMax)] {
		if known.DataType == dataType && known.Value == value {
			return known
		}
	}
	observable := &Observable{DataType: dataType, Value: value, Message: message}
	i.Observables = append(i.Observables, observable)
	return observable
}

// Tag adds a tag unless it is among the first 200, truncated to the host's limit of 128 bytes.
func (i *Incident) Tag(tag string) {
	tag = truncate(present(tag), tagBytesMax)
	if tag != "" && !slices.Contains(i.Tags[:min(len(i.Tags), tagsComparedMax)], tag) {
		i.Tags = append(i.Tags, tag)
	}
}

// The cloud's metadata address is link-local but meaningful: requests to it can be an attack.
func isMeaningfulIP(value string) bool {
	address, err := netip.ParseAddr(value)
	if err != nil || address.Zone() != "" {
		return false
	}
	address = address.Unmap()
	if address == metadataAddress {
		return true
	}
	isThisNetwork := address.Is4() && address.As4()[0] == 0
	return !isThisNetwork && !address.IsUnspecified() && !address.IsLoopback() && !address.IsLinkLocalUnicast() &&
		!address.IsMulticast() && address != broadcastAddress
}

// Requires 32 digits, the length of MD5, the shortest digest in use.
func isMeaningfulHash(value string) bool {
	return len(value) >= 32 && strings.Trim(value, "0") != "" && strings.Trim(value, "0123456789abcdef") == ""
}

func isMeaningfulUser(value string) bool {
	domain, name := "", strings.ToLower(value)
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		domain, name = name[:at], name[at+1:]
	}
	return domain != "nt authority" && !slices.Contains(builtInUsers, name)
}

// truncate returns the longest prefix without surrounding white space that has at most these bytes and ends at a
// character boundary.
func truncate(text string, bytesMax int) string {
	text = strings.TrimSpace(text)
	if len(text) <= bytesMax {
		return text
	}
	for bytesMax > 0 && !utf8.RuneStart(text[bytesMax]) {
		bytesMax--
	}
	return text[:bytesMax]
}
