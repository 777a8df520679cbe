package qmp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// Errors by QMP class. See qapi/error.json: QapiErrorClass. The class GenericError says nothing and has no sentinel.
var (
	ErrCommandNotFound = errclass.New("command not found", errors.ErrUnsupported)
	ErrDeviceNotFound  = errclass.New("device not found", fs.ErrNotExist)
	ErrDeviceNotActive = errors.New("device not active")
	ErrKVMMissingCap   = errclass.New("KVM lacks a capability", errors.ErrUnsupported)
)

// Errors of a session.
var (
	ErrClosed       = errclass.New("session closed", net.ErrClosed)            // by our own Close
	ErrDisconnected = errclass.New("peer ended the session", io.EOF)           // QEMU quits, or lost its monitor
	ErrNoGreeting   = errclass.New("no greeting", os.ErrDeadlineExceeded)      // another client holds the monitor, or QEMU is stopped
	ErrBackoff      = errors.New("dialling failed moments ago")                // see Pool.Get
	ErrUnanswered   = errors.New("the session ended before the command's end") // it may have been executed
)

// Error is an error that QEMU answered to a command.
type Error struct {
	Command string // as it was sent
	Class   string // "GenericError", "DeviceNotFound", …
	Desc    string // QEMU's text for people; it changes between versions
}

// Error prints QEMU's text: "qmp: device_del: Device 'x' not found".
func (e *Error) Error() string {
	if e.Command == "" {
		return "qmp: " + e.Desc
	}
	return "qmp: " + e.Command + ": " + e.Desc
}

// Unwrap returns the sentinel of the class, or nil.
func (e *Error) Unwrap() error {
	switch e.Class {
	case "CommandNotFound":
		return ErrCommandNotFound
	case "DeviceNotFound":
		return ErrDeviceNotFound
	case "DeviceNotActive":
		return ErrDeviceNotActive
	case "KVMMissingCap":
		return ErrKVMMissingCap
	}
	return nil
}

// ProtocolError ends a session: the peer sent what is not QMP.
type ProtocolError struct {
	Reason string
	Err    error // the decoder's, or nil
}

func (e *ProtocolError) Error() string {
	if e.Err == nil {
		return "protocol violated: " + e.Reason
	}
	return fmt.Sprintf("protocol violated: %s: %v", e.Reason, e.Err)
}

func (e *ProtocolError) Unwrap() error { return e.Err }

// OverflowError is what a subscription returns in place of the events that it had no room for.
type OverflowError struct {
	Dropped uint64
}

func (e *OverflowError) Error() string {
	return fmt.Sprintf("qmp: %d events dropped", e.Dropped)
}
