package qimg

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// limit sets the limits of a process that has just started. The kernel counts processor time from the start and checks
// memory at each new mapping, so what the process did in the moment before is not lost, only not yet refused.
func limit(pid int, l Limits) error {
	set := func(which int, v uint64) error {
		err := unix.Prlimit(pid, which, &unix.Rlimit{Cur: v, Max: v}, nil)
		if errors.Is(err, unix.ESRCH) { // already over
			return nil
		}
		return err
	}
	if l.AddressSpaceBytes > 0 {
		if err := set(unix.RLIMIT_AS, l.AddressSpaceBytes); err != nil {
			return err
		}
	}
	if l.CPU > 0 {
		return set(unix.RLIMIT_CPU, uint64(l.CPU/time.Second))
	}
	return nil
}
