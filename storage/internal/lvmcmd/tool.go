package lvmcmd

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// Options configure a Tool. The zero value of each field is the documented default.
type Options struct {
	Program string        // lvm2's one program; default "lvm"
	Timeout time.Duration // of one command; default 5 min
	// Filter are further patterns of lvm.conf's devices/global_filter, such as "r|^/dev/loop|".
	Filter []string
	Runner Runner       // default: a process
	Logger *slog.Logger // argv of each command at Debug; nil discards
	Step   func()       // called before and after each change, where tests end the process; nil: nothing
}

// Runner runs one command to its end, argv[0] being a program in PATH. exit is -1 if it did not end by itself. It must be
// safe for concurrent use.
type Runner func(ctx context.Context, argv []string, stdout io.Writer) (stderr string, exit int, err error)

// Tool runs commands of lvm2. It is safe for concurrent use.
type Tool struct {
	opt     Options
	changes chan struct{} // one change at a time
	reports chan struct{} // a few reports at a time: each reads all metadata

	mu     sync.Mutex // guards config, not the command that finds it
	config string     // for --config; empty: not known yet
}

// reportsAtOnce bounds the reports that run together.
const reportsAtOnce = 2

// New returns a Tool. The program is looked up at the first command.
func New(o *Options) (*Tool, error) {
	if o == nil {
		o = &Options{}
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("lvmcmd: negative Timeout %v", o.Timeout)
	}
	for _, f := range o.Filter {
		if !validPattern(f) {
			return nil, fmt.Errorf("lvmcmd: filter %q", f)
		}
	}
	t := &Tool{opt: *o, changes: make(chan struct{}, 1), reports: make(chan struct{}, reportsAtOnce)}
	t.opt.Program = cmp.Or(o.Program, "lvm")
	t.opt.Timeout = cmp.Or(o.Timeout, 5*time.Minute)
	if o.Runner == nil {
		t.opt.Runner = process
	}
	if o.Logger == nil {
		t.opt.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Step == nil {
		t.opt.Step = func() {}
	}
	return t, nil
}

// Change runs a command that changes something, such as "lvcreate". It waits for its turn as long as ctx lasts, and then runs
// to its end: an error tells that the command failed, never that it was given up half way, unless it is
// context.DeadlineExceeded after Options.Timeout.
func (t *Tool) Change(ctx context.Context, verb string, args ...string) error {
	config, err := t.settings(ctx)
	if err != nil {
		return err
	}
	if err := take(ctx, t.changes); err != nil {
		return err
	}
	defer func() { <-t.changes }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opt.Timeout)
	defer cancel()
	t.opt.Step()
	err = t.run(ctx, io.Discard, append([]string{t.opt.Program, verb, "--config", config, "--yes"}, args...))
	t.opt.Step()
	return err
}

// report runs a command that only looks.
func (t *Tool) report(ctx context.Context, verb string, args ...string) ([]byte, error) {
	config, err := t.settings(ctx)
	if err != nil {
		return nil, err
	}
	if err := take(ctx, t.reports); err != nil {
		return nil, err
	}
	defer func() { <-t.reports }()
	ctx, cancel := context.WithTimeout(ctx, t.opt.Timeout)
	defer cancel()
	var out bytes.Buffer
	argv := append([]string{t.opt.Program, verb, "--config", config, "--reportformat", "json", "--units", "b", "--nosuffix"}, args...)
	err = t.run(ctx, &proc.Capped{W: &out, Left: outputMax}, argv)
	return out.Bytes(), err
}

func take(ctx context.Context, slot chan struct{}) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *Tool) run(ctx context.Context, stdout io.Writer, argv []string) error {
	t.opt.Logger.DebugContext(ctx, "lvm", "argv", argv)
	stderr, exit, err := t.opt.Runner(ctx, argv, stdout)
	if err == nil {
		return nil
	}
	e := &Error{Argv: argv, Exit: exit, Stderr: strings.TrimSpace(stderr), Err: err}
	e.Err = e.class(ctx)
	return e
}

const (
	outputMax = 256 << 20 // half a million volumes
	killAfter = 30 * time.Second
)

// process is the Runner of real commands. The end of ctx interrupts: lvm2 then stops where it is safe to. Only one that does
// not end for long is killed.
func process(ctx context.Context, argv []string, stdout io.Writer) (string, int, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"), "LVM_SUPPRESS_FD_WARNINGS=1"}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = killAfter
	stderr := &proc.Tail{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	exit := -1
	if cmd.ProcessState != nil {
		exit = cmd.ProcessState.ExitCode()
	}
	return stderr.String(), exit, err
}
