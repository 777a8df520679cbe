package qimg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
)

const (
	stdoutMax = 1 << 20 // JSON of info with many snapshots; more is an error
)

// command is one call of qemu-img: arguments after the program's name, and the files that they mention as fdPath(i).
type command struct {
	args   []string
	files  []*os.File
	limits Limits
	stdout io.Writer // nil: collected and returned
}

// fdPath is the name under which the child finds files[i].
func fdPath(i int) string { return fmt.Sprintf("/proc/self/fd/%d", 3+i) }

// run runs one command to its end. ctx kills its process group, and so does the end of this process, however it comes: a
// command that wrote on would write into what the next life of the daemon takes for abandoned.
func (t *Tool) run(ctx context.Context, c command) ([]byte, error) {
	argv := append([]string{t.binary}, c.args...)
	if t.observe != nil {
		t.observe(argv)
	}
	t.logger.DebugContext(ctx, "qemu-img", slogArgs(argv)...)

	cmd := exec.CommandContext(ctx, t.binary, c.args...)
	// One arena: each further one takes 64 MiB of address space, which is limited, and qemu-img has up to 64 worker threads.
	cmd.Env = []string{"LC_ALL=C", "MALLOC_ARENA_MAX=1", "PATH=" + os.Getenv("PATH")}
	cmd.ExtraFiles = c.files
	cmd.WaitDelay = 5 * time.Second
	stderr := &proc.Tail{}
	cmd.Stderr = stderr
	var out bytes.Buffer
	cmd.Stdout = c.stdout
	if c.stdout == nil {
		cmd.Stdout = &proc.Capped{W: &out, Left: stdoutMax}
	}
	err := proc.RunTethered(cmd, func(pid int) error { return limit(pid, c.limits) })
	if err != nil {
		return nil, commandError(ctx, argv, cmd, stderr.String(), err)
	}
	return out.Bytes(), nil
}

func commandError(ctx context.Context, argv []string, cmd *exec.Cmd, stderr string, err error) error {
	e := &Error{Argv: argv, Exit: -1, Stderr: strings.TrimSpace(stderr), Err: err}
	if cmd.ProcessState != nil {
		e.Exit = cmd.ProcessState.ExitCode()
	}
	switch {
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case missing(err):
		e.Err = ErrMissing
	case strings.Contains(e.Stderr, "No space left on device"): // LC_ALL=C; the only sign that qemu-img gives
		e.Err = storage.ErrNoSpace
	case strings.Contains(e.Stderr, "Failed to get ") && strings.Contains(e.Stderr, " lock"), strings.Contains(e.Stderr, "Failed to lock byte"):
		e.Err = storage.ErrInUse
	}
	return e
}

func slogArgs(argv []string) []any { return []any{"argv", argv} }
