package lvmcmd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// Error is a command of lvm2 that failed.
type Error struct {
	Argv   []string
	Exit   int    // exit status, 5 for nearly every failure; -1: ended by a signal or not started
	Stderr string // the last 4 KiB
	Err    error  // the class: an error of package storage where one fits, else what the system said
}

// Error says which command failed and how.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: exit %d: %v", strings.Join(e.Argv, " "), e.Exit, e.Err)
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

// Unwrap returns the class.
func (e *Error) Unwrap() error { return e.Err }

// texts are what lvm2 says, in the C locale, and what it means. Its exit status tells nothing, so there is no other way.
var texts = []struct {
	part  string
	class error
}{
	{"already exists in volume group", storage.ErrExists},
	{"Failed to find logical volume", storage.ErrNotFound},
	{"Pool ", storage.ErrUnavailable}, // … not found in Volume group
	{"not found in volume group", storage.ErrNotFound},
	{"not found in Volume group", storage.ErrNotFound},
	{"nsufficient free space", storage.ErrNoSpace},
	{"nsufficient suitable", storage.ErrNoSpace},
	{"nsufficient free extents", storage.ErrNoSpace},
	{"has reached threshold", storage.ErrNoSpace}, // free space of a thin pool's metadata
	{"needs data check", storage.ErrUnavailable},
	{" in use", storage.ErrInUse},
	{"Volume group", storage.ErrUnavailable}, // not found, inconsistent
	{"Cannot process volume group", storage.ErrUnavailable},
	{"are reserved", storage.ErrBadID},
	{"is invalid.", storage.ErrBadID},
	{"Cannot change VG", storage.ErrUnavailable}, // while physical volumes are missing
}

// class finds what a caller can branch on.
func (e *Error) class(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(e.Err, exec.ErrNotFound) {
		return fmt.Errorf("%w: %s is not installed", storage.ErrUnavailable, e.Argv[0])
	}
	for line := range strings.Lines(e.Stderr) {
		if strings.Contains(line, "WARNING") { // said beside an error, not the error
			continue
		}
		for _, t := range texts {
			if strings.Contains(line, t.part) {
				return t.class
			}
		}
	}
	return e.Err
}
