package main

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

// keepFiles keeps what the starter of gpved has left open, beside the standard three, from guests and tools: they run as
// other users. Before Linux 5.11 it does nothing.
func keepFiles() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
