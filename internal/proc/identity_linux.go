package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Identify returns the identity of the running process pid, or ErrGone. A zombie has ended.
func Identify(pid int) (Identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, fmt.Errorf("proc: %w", err)
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return Identity{}, fmt.Errorf("proc: pid %d: %w", pid, ErrGone)
	case err != nil:
		return Identity{}, fmt.Errorf("proc: %w", err)
	}
	st, err := parseStat(text)
	if err != nil {
		return Identity{}, fmt.Errorf("proc: pid %d: %w", pid, err)
	}
	if st.state == 'Z' || st.state == 'X' {
		return Identity{}, fmt.Errorf("proc: pid %d: %w", pid, ErrGone)
	}
	return Identity{PID: pid, Start: st.start, Boot: strings.TrimSpace(string(boot))}, nil
}
