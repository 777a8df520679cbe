package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
)

// tool runs the programs of ZFS for one pool.
type tool struct {
	zfs, zpool string
	pool       string
	logger     *slog.Logger
	kstat      string // where the kernel says how pools are
	step       func() // called before and after each command that changes the pool; tests end the process there
}

func newTool(zfs, zpool, pool string, l *slog.Logger) *tool {
	return &tool{zfs: zfs, zpool: zpool, pool: pool, logger: l, kstat: "/proc/spl/kstat/zfs", step: func() {}}
}

// Error is a command of ZFS that did not do what it should.
type Error struct {
	Argv   []string
	Exit   int    // exit status; -1: ended by a signal or not started
	Stderr string // the last 4 KiB
	Err    error  // the class: an error of package storage where one fits, else what the system said
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %v", strings.Join(e.Argv, " "), e.Err)
	if e.Stderr != "" {
		s += ": " + strings.ReplaceAll(e.Stderr, "\n", "; ")
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// command is one call of a program.
type command struct {
	program string
	args    []string
	stdin   io.Reader
	stdout  io.Writer         // nil: collected and returned
	line    func(line string) // lines of stderr, as they come; nil: not wanted
	started func()            // when the process exists
}

// reads reports whether a command changes nothing.
func (c command) reads() bool { return slices.Contains([]string{"list", "get", "send"}, c.args[0]) }

const (
	outputMax = 512 << 20       // a list of a million volumes
	grace     = 5 * time.Second // for a command that was killed, to end
	// outputDelay is how long the output of a command that has ended may take to be read: on a starved machine, seconds.
	// Given up, a command that did its work would count as failed.
	outputDelay = time.Minute
)

// run runs one zfs command and returns what it prints.
func (t *tool) run(ctx context.Context, args ...string) ([]byte, error) {
	return t.do(ctx, command{program: t.zfs, args: args})
}

// do runs one command to its end. ctx kills it, and so does the end of this process. One that does not die, because the kernel
// does not let it go, is left behind: the goroutine that waits for it ends when it does.
func (t *tool) do(ctx context.Context, c command) ([]byte, error) {
	argv := append([]string{c.program}, c.args...)
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if t.suspended() {
		return nil, fmt.Errorf("pool %s is suspended, its disks do not answer: %w", t.pool, storage.ErrUnavailable)
	}
	t.logger.DebugContext(ctx, "zfs", slog.Any("argv", argv))
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.WaitDelay = outputDelay
	if c.stdin != nil { // whose reader may be somebody who never answers
		cmd.WaitDelay = grace
	}
	stderr := &lines{each: c.line}
	cmd.Stdin, cmd.Stderr = c.stdin, stderr
	var out bytes.Buffer
	cmd.Stdout = c.stdout
	if c.stdout == nil {
		cmd.Stdout = &proc.Capped{W: &out, Left: outputMax}
	}
	step := t.step
	if c.reads() {
		step = func() {}
	}
	step()
	ended := make(chan error, 1)
	go func() {
		ended <- proc.RunTethered(cmd, func(int) error {
			if c.started != nil {
				c.started()
			}
			return nil
		})
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		patience := time.NewTimer(2 * grace)
		defer patience.Stop()
		select {
		case err = <-ended:
		case <-patience.C:
			return nil, &Error{Argv: argv, Exit: -1, Err: fmt.Errorf("%w (it does not die)", context.Cause(ctx))}
		}
	}
	step()
	if err != nil {
		e := &Error{Argv: argv, Exit: -1, Stderr: stderr.String(), Err: err}
		if cmd.ProcessState != nil {
			e.Exit = cmd.ProcessState.ExitCode()
		}
		e.Err = classify(ctx, e)
		return nil, e
	}
	return out.Bytes(), nil
}

// suspended reports whether the kernel has stopped all work on the pool. See zpool(8), failmode.
func (t *tool) suspended() bool {
	state, err := os.ReadFile(t.kstat + "/" + t.pool + "/state")
	return err == nil && strings.TrimSpace(string(state)) == "SUSPENDED"
}

// classes are the texts by which commands say what the matter is; their exit status says nothing. See lib/libzfs/libzfs_util.c
// and cmd/zfs/zfs_main.c of OpenZFS. The first that fits counts.
var classes = []struct {
	text  string
	class error
}{
	{"no such pool", storage.ErrUnavailable},
	{"I/O is currently suspended", storage.ErrUnavailable},
	{"modules are not loaded", storage.ErrUnavailable},
	{"modules cannot be auto-loaded", storage.ErrUnavailable},
	{"permission denied", fs.ErrPermission},
	{"does not apply to datasets of this type", storage.ErrUnsafe}, // what a stream holds
	{"dependent clones", storage.ErrInUse},
	{"more recent snapshots", storage.ErrInUse},
	{"has been modified", storage.ErrInUse},
	{"is busy", storage.ErrInUse},
	{"already exists", storage.ErrExists},
	{" exists\nmust specify -F", storage.ErrExists},
	{"could not find any snapshots to destroy", storage.ErrNotFound},
	{"does not exist", storage.ErrNotFound},
	{"out of space", storage.ErrNoSpace},
	{"No space left on device", storage.ErrNoSpace},
	{"no space left", storage.ErrNoSpace},
	{"greater than available space", storage.ErrNoSpace},
	{"space quota exceeded", storage.ErrNoSpace},
}

func classify(ctx context.Context, e *Error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(e.Err, exec.ErrNotFound):
		return fmt.Errorf("%w: %s is not installed", storage.ErrUnavailable, e.Argv[0])
	}
	for _, c := range classes {
		if strings.Contains(e.Stderr, c.text) {
			return c.class
		}
	}
	return e.Err
}

// lines keeps the end of what a command complains about, and hands out each line.
type lines struct {
	kept proc.Tail
	each func(string)
	part []byte
}

func (l *lines) Write(p []byte) (int, error) {
	if l.each == nil {
		return l.kept.Write(p)
	}
	l.part = append(l.part, p...)
	for {
		line, rest, ok := bytes.Cut(l.part, []byte("\n"))
		if !ok {
			break
		}
		l.each(string(line))
		_, _ = l.kept.Write(append(line, '\n'))
		l.part = append(l.part[:0:0], rest...)
	}
	return len(p), nil
}

func (l *lines) String() string {
	return strings.TrimSpace(l.kept.String() + "\n" + string(l.part)) // whole lines are kept, and then part is a line
}
