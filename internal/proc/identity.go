package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

var (
	ErrGone   = errclass.New("process has ended", fs.ErrNotExist)
	ErrClosed = errclass.New("process handle closed", fs.ErrClosed)
	ErrLocked = errors.New("lock is held")
)

// Identity names one process for good: a pid alone is used again.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since the boot. See proc_pid_stat(5): starttime
	Boot  string `json:"boot"`  // /proc/sys/kernel/random/boot_id
}

// stat is what we need of /proc/PID/stat.
type stat struct {
	state byte
	start uint64
}

// parseStat reads the text of /proc/PID/stat. The second field is the command's name in parentheses, which is any text.
func parseStat(text []byte) (stat, error) {
	i := bytes.LastIndexByte(text, ')')
	if i < 0 {
		return stat{}, fmt.Errorf("stat %q: no command", text)
	}
	fields := bytes.Fields(text[i+1:]) // from field 3 on
	const startField = 22 - 3
	if len(fields) <= startField || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("stat %q: too short", text)
	}
	start, err := strconv.ParseUint(string(fields[startField]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("stat: start time: %w", err)
	}
	return stat{state: fields[0][0], start: start}, nil
}
