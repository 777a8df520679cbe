package firewall

import (
	"errors"
	"fmt"
)

// Report is what an Apply did.
type Report struct {
	Steps  Steps    // of the transaction; empty if everything was as wanted
	Opened []string // ports that were closed until now
	Closed []string // ports that stay closed
}

// ErrUnverified is a ruleset that was accepted by the kernel but does not read back as it was written. The ports of filtered
// guests are closed.
var ErrUnverified = errors.New("the kernel does not hold what was written")

// OpError says which operation failed. Err is one of the package's errors, *netkit.UnsupportedError, or the kernel's errno.
type OpError struct {
	Op  string
	Err error
}

func (e *OpError) Error() string { return fmt.Sprintf("firewall: %s: %v", e.Op, e.Err) }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }
