package call

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Error is an error whose text may be shown to the client. Everything else becomes "internal error (id …)".
type Error struct {
	Status int    // HTTP status, 500 for the errors of Proxmox VE's code
	Text   string // one line without line feed; the reason phrase and the body's message
	Err    error  // the cause, may be nil; never shown
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error with status 500, which is what Proxmox VE answers for every refusal of its code, a missing
// object among them. A wrapped error (%w) becomes the cause, and its text is shown as part of the message.
func Errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	var cause error
	if w, ok := err.(interface{ Unwrap() error }); ok {
		cause = w.Unwrap()
	}
	return &Error{Status: http.StatusInternalServerError, Text: err.Error(), Err: cause}
}

// Status returns an Error with a status of its own.
func Status(status int, format string, args ...any) error {
	return &Error{Status: status, Text: fmt.Sprintf(format, args...)}
}

// Forbidden returns the 403 of a permission check; what names path and privilege, such as "/vms/100, VM.Audit", and may be empty.
func Forbidden(what string) error {
	text := "Permission check failed"
	if what != "" {
		text += " (" + what + ")"
	}
	return &Error{Status: http.StatusForbidden, Text: text}
}

// ParamErrors is a refusal of parameters (400): the reason by parameter name.
type ParamErrors map[string]string

// Param returns ParamErrors for one parameter.
func Param(name, format string, args ...any) error {
	return ParamErrors{name: fmt.Sprintf(format, args...)}
}

func (p ParamErrors) Error() string {
	lines := make([]string, 0, len(p))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		lines = append(lines, name+": "+p[name])
	}
	return "parameter verification failed: " + strings.Join(lines, "; ")
}
