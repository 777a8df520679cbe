package qimg

import (
	"errors"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup puts the command into a process group of its own and makes cancelling kill the whole group.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
}

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
