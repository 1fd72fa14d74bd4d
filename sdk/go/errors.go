package hookmill

import "fmt"

// MappingError is the reason why a whole payload could not be mapped. The sender sees the text, which should name what
// was expected. Get one from [Malformed] or [Unsupported].
type MappingError struct {
	isUnsupported bool
	reason        string
}

// Error returns the reason.
func (e *MappingError) Error() string { return e.reason }

// Malformed returns the error for a broken payload of a known kind, such as invalid JSON.
func Malformed(reason string) error { return &MappingError{reason: reason} }

// Unsupported returns the error for a payload of an unknown kind. If the source has several mappers, the host calls the
// next one.
func Unsupported(reason string) error { return &MappingError{isUnsupported: true, reason: reason} }

// severalDocuments is the request of [Event.JSON] to call the mapper once for each JSON value of a body.
type severalDocuments struct {
	documents []string
	problems  []string
}

func (s *severalDocuments) Error() string {
	return fmt.Sprintf("the body has %d JSON values and %d parts that are not JSON", len(s.documents), len(s.problems))
}
