package schema

import (
	"fmt"
	"strings"
)

// Bool is a boolean of an answer: 1 or 0 in JSON. It reads these, their texts, and JSON's own true and false; the empty
// text is false.
type Bool bool

// MarshalJSON writes 1 or 0.
func (b Bool) MarshalJSON() ([]byte, error) {
	if b {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// UnmarshalJSON reads a boolean as any version of PVE writes it.
func (b *Bool) UnmarshalJSON(data []byte) error {
	switch strings.Trim(string(data), `"`) {
	case "1", "true":
		*b = true
	case "0", "false", "":
		*b = false
	case "null":
	default:
		return fmt.Errorf("schema: %s is no boolean", data)
	}
	return nil
}
