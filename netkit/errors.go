package netkit

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// What callers branch on; errors.Is finds them in an [OpError].
var (
	ErrNotFound    = errclass.New("no such link", fs.ErrNotExist)
	ErrExists      = errclass.New("link exists with another kind", fs.ErrExist)
	ErrBadLink     = errors.New("bad link")
	ErrInterrupted = errors.New("kernel list was interrupted by changes, repeatedly")
	ErrBridgeFull  = fmt.Errorf("the bridge is full: the kernel gives one at most %d ports", maxPorts)
)

// OpError says which operation failed on which link. Err is one of the package's errors or the kernel's errno.
type OpError struct {
	Op, Link string
	Err      error
}

func (e *OpError) Error() string {
	return strings.Join([]string{"netkit", e.Op, e.Link, e.Err.Error()}, ": ")
}

func (e *OpError) Unwrap() error { return e.Err }

// UnsupportedError says that the kernel lacks a feature. It is errors.ErrUnsupported.
type UnsupportedError struct {
	Feature string // what is missing, in the kernel's words
	Err     error  // how the kernel said so
}

func (e *UnsupportedError) Error() string {
	return "kernel lacks " + e.Feature + ": " + e.Err.Error()
}

func (e *UnsupportedError) Unwrap() []error { return []error{errors.ErrUnsupported, e.Err} }
