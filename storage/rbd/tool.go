package rbd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
)

// tool runs Ceph's programs.
type tool struct {
	opt  *Options
	conf *connection
	step func() // called after each command that may have changed something; tests end the process there
}

// Error is a command of Ceph that failed.
type Error struct {
	Argv   []string
	Exit   int    // exit status, for most failures the number of the system's error; -1: ended by a signal or not started
	Stderr string // the last 4 KiB
	Err    error  // the class: an error of package storage where one fits, else what the system said
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: exit %d: %v", strings.Join(e.Argv, " "), e.Exit, e.Err)
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// call is one command.
type call struct {
	args     []string
	in       io.Reader
	out      io.Writer           // nil: collected and returned
	progress func(percent int64) // of the "NN% complete" that rbd prints
}

const outputMax = 256 << 20 // a list of a million images

// rbd runs the program with the storage's configuration and user.
func (t *tool) rbd(ctx context.Context, c call) ([]byte, error) {
	defer t.step()
	return t.run(ctx, t.opt.Program, c)
}

func (t *tool) run(ctx context.Context, program string, c call) ([]byte, error) {
	conf, err := t.conf.own()
	if err != nil {
		return nil, err
	}
	args := append([]string{"--conf", conf, "--id", t.opt.User}, c.args...)
	t.opt.Logger.DebugContext(ctx, "ceph", "program", program, "args", args)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")} // no CEPH_ARGS: the storage alone decides
	cmd.Stdin = c.in
	cmd.WaitDelay = 5 * time.Second
	stderr := &stderrReader{report: c.progress}
	cmd.Stderr = stderr
	var out bytes.Buffer
	cmd.Stdout = c.out
	if c.out == nil {
		cmd.Stdout = &proc.Capped{W: &out, Left: outputMax}
	}
	if err := cmd.Run(); err != nil {
		e := &Error{Argv: append([]string{program}, args...), Exit: -1, Stderr: stderr.String(), Err: err}
		if cmd.ProcessState != nil {
			e.Exit = cmd.ProcessState.ExitCode()
		}
		e.Err = e.class(ctx)
		return nil, e
	}
	return out.Bytes(), nil
}

// class finds what a caller can branch on. rbd exits with the number of the system's error, also when it was not the image
// that is missing: then only the text tells.
func (e *Error) class(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(e.Err, exec.ErrNotFound) {
		return fmt.Errorf("%w: %s is not installed", storage.ErrUnavailable, e.Argv[0])
	}
	for _, unreachable := range []string{"couldn't connect", "error opening pool", "error opening data pool", "unable to find a keyring", "error connecting to the cluster"} {
		if strings.Contains(e.Stderr, unreachable) {
			return storage.ErrUnavailable
		}
	}
	switch errno := syscall.Errno(max(e.Exit, 0)); errno {
	case syscall.ENOENT:
		return storage.ErrNotFound
	case syscall.EEXIST:
		return storage.ErrExists
	case syscall.EBUSY, syscall.ENOTEMPTY:
		return storage.ErrInUse
	case syscall.ENOSPC, syscall.EDQUOT:
		return storage.ErrNoSpace
	case syscall.ETIMEDOUT, syscall.ESHUTDOWN, syscall.EACCES:
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, errno)
	}
	return e.Err
}

// decode runs a command that only looks, with --format json, and reads its answer.
func (t *tool) decode(ctx context.Context, v any, args ...string) error {
	out, err := t.run(ctx, t.opt.Program, call{args: append(args, "--format", "json")})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("answer of rbd %s: %w", args[0], err)
	}
	return nil
}

// pool are the options that name the pool.
func (t *tool) pool() []string {
	args := []string{"--pool", t.opt.Pool}
	if t.opt.Namespace != "" {
		args = append(args, "--namespace", t.opt.Namespace)
	}
	return args
}

// image are the options that name an image and perhaps a snapshot of it. Names go as options of their own, so no part of one
// is taken for another's.
func (t *tool) image(name, snapshot string) []string {
	args := append(t.pool(), "--image", name)
	if snapshot != "" {
		args = append(args, "--snap", snapshot)
	}
	return args
}

// dest are the options that name a new image.
func (t *tool) dest(name string) []string {
	args := []string{"--dest-pool", t.opt.Pool, "--dest", name}
	if t.opt.Namespace != "" {
		args = append(args, "--dest-namespace", t.opt.Namespace)
	}
	return args
}

// stderrReader keeps the end of what a command complains about, and takes out its progress.
type stderrReader struct {
	proc.Tail
	report func(percent int64)
	last   int64
}

func (r *stderrReader) Write(p []byte) (int, error) {
	if r.report != nil {
		r.progress(p)
	}
	return r.Tail.Write(p)
}

// progress finds "… 42% complete" in one piece of output; rbd writes each report at once.
func (r *stderrReader) progress(p []byte) {
	head, _, ok := bytes.Cut(p, []byte("% complete"))
	if !ok {
		return
	}
	digits := head[bytes.LastIndexAny(head, " \r")+1:]
	if n, err := strconv.ParseInt(string(digits), 10, 64); err == nil && n > r.last && n <= 100 {
		r.last = n
		r.report(n)
	}
}

// String is the output without progress: the lines that say something.
func (r *stderrReader) String() string {
	var keep []string
	for line := range strings.FieldsFuncSeq(r.Tail.String(), func(c rune) bool { return c == '\r' || c == '\n' }) {
		if !strings.Contains(line, "% complete...") || strings.Contains(line, "rbd:") {
			keep = append(keep, strings.TrimSpace(line))
		}
	}
	return cmp.Or(strings.Join(keep, "; "), r.Tail.String())
}
