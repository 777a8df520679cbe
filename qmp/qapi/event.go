package qapi

import (
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/qmp"
)

// ErrUnknownEvent says that the event is in neither of the schemas known here.
var ErrUnknownEvent = errclass.New("unknown event", errors.ErrUnsupported)

// ErrOtherEvent says that an event is not of the wanted type.
var ErrOtherEvent = errors.New("another event")

// Event is the data of an event: one of the structs whose names end in Event.
type Event interface {
	EventName() string // "SHUTDOWN"
}

// DecodeEvent returns the data of an event as a pointer to its struct, such as *ShutdownEvent.
func DecodeEvent(e qmp.Event) (Event, error) {
	data := newEvent(e.Name)
	if data == nil {
		return nil, fmt.Errorf("qapi: event %q: %w", e.Name, ErrUnknownEvent)
	}
	if err := e.Decode(data); err != nil {
		return nil, fmt.Errorf("qapi: event %s: %w", e.Name, err)
	}
	return data, nil
}

// EventAs returns the data of an event of a known type: EventAs[ShutdownEvent](e). An event of another name is
// ErrOtherEvent.
func EventAs[T Event](e qmp.Event) (T, error) {
	var data T
	if e.Name != data.EventName() {
		return data, fmt.Errorf("qapi: event %s where %s is wanted: %w", e.Name, data.EventName(), ErrOtherEvent)
	}
	if err := e.Decode(&data); err != nil {
		return data, fmt.Errorf("qapi: event %s: %w", e.Name, err)
	}
	return data, nil
}
