package qmp

import (
	"encoding/json"
	"time"
)

// Event is a message that QEMU sent unasked.
type Event struct {
	Name string          // "SHUTDOWN"
	Data json.RawMessage // an object, or empty; shared between subscriptions: not to be changed
	Time time.Time       // of the host's clock; zero when QEMU could not tell
}

// Decode stores the event's data in v as encoding/json does. Without data it leaves v alone.
func (e Event) Decode(v any) error {
	if len(e.Data) == 0 {
		return nil
	}
	return json.Unmarshal(e.Data, v)
}

// Str returns the member key of the data, or "" when it is absent or no string.
func (e Event) Str(key string) string { return member[string](e, key) }

// Int returns the member key of the data, or 0 when it is absent or no integer.
func (e Event) Int(key string) int64 { return member[int64](e, key) }

// Bool returns the member key of the data, or false when it is absent or no boolean.
func (e Event) Bool(key string) bool { return member[bool](e, key) }

func member[T any](e Event, key string) T {
	var fields map[string]json.RawMessage
	var v, zero T
	if e.Decode(&fields) != nil {
		return zero
	}
	if raw, ok := fields[key]; !ok || json.Unmarshal(raw, &v) != nil {
		return zero
	}
	return v
}
