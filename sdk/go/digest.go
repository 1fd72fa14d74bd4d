package hookmill

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Fingerprint returns a digest of these parts, in this order, as 32 hexadecimal digits: an id for payloads that have none
// but several fields that together identify them.
func Fingerprint(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		// The length comes first, so that `ab`, `c` and `a`, `bc` differ.
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write([]byte(part))
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}
