package qimg

import (
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"time"
)

// Options configure a Tool. The zero value of each field is the documented default.
type Options struct {
	Binary      string        // name or path; default "qemu-img"
	InfoTimeout time.Duration // of commands that only look at or change metadata; default 30 s
	Logger      *slog.Logger  // argv of each command at Debug; nil discards
	// Observe, if set, is called with the argv of each command before it starts. It must not keep the slice.
	Observe func(argv []string)
}

// Limits bound one process. Zero is no limit.
type Limits struct {
	AddressSpaceBytes uint64
	CPU               time.Duration // whole seconds
}

// untrustedLimits are for commands that read what a guest or user wrote (the numbers of OpenStack Nova).
var untrustedLimits = Limits{AddressSpaceBytes: 1 << 30, CPU: 30 * time.Second}

// Tool runs qemu-img.
type Tool struct {
	binary      string
	infoTimeout time.Duration
	logger      *slog.Logger
	observe     func([]string)
}

// New returns a Tool. The binary is looked up at the first command, so that a machine without it can start.
func New(o *Options) (*Tool, error) {
	if o == nil {
		o = &Options{}
	}
	if o.InfoTimeout < 0 {
		return nil, fmt.Errorf("qimg: negative InfoTimeout %v", o.InfoTimeout)
	}
	t := &Tool{binary: o.Binary, infoTimeout: o.InfoTimeout, logger: o.Logger, observe: o.Observe}
	if t.binary == "" {
		t.binary = "qemu-img"
	}
	if t.infoTimeout == 0 {
		t.infoTimeout = 30 * time.Second
	}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	return t, nil
}

// Error is a failed command.
type Error struct {
	Argv   []string
	Exit   int    // exit status; -1: ended by a signal or not started
	Stderr string // the last 4 KiB
	Err    error  // what os/exec said, the context's error, or a class such as storage.ErrNoSpace
}

func (e *Error) Error() string {
	s := fmt.Sprintf("qimg: %s: exit %d: %v", e.verb(), e.Exit, e.Err)
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) verb() string {
	if len(e.Argv) < 2 {
		return "qemu-img"
	}
	return "qemu-img " + e.Argv[1]
}

// ErrMissing is a machine without qemu-img.
var ErrMissing = errors.New("qemu-img is not installed")

func missing(err error) bool { return errors.Is(err, exec.ErrNotFound) }
