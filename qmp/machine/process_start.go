package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/internal/undo"
	"github.com/turtacn/go-proxmox/qmp"
)

var (
	// ErrRunning says that a QEMU runs in the run directory already.
	ErrRunning = errclass.New("QEMU is running", fs.ErrExist)
	// ErrNotRunning says that no QEMU runs there, or not any more.
	ErrNotRunning = errclass.New("QEMU is not running", fs.ErrNotExist)
)

// StartOptions say what to start and as whom.
type StartOptions struct {
	Binary    string   // absolute path of qemu-system-…
	Args      []string // the machine, as of Machine.Args; without monitors, pid file, sandbox, user, daemonize
	ExtraArgs []string // after Args
	RunDir    string   // one machine's alone; made (mode 0711) when its parent is there
	Name      string   // in messages; "" is the last element of RunDir

	// UID and GID are the user that QEMU runs as; 0 is the caller's. With a UID and no GID the gid is the uid. Groups are
	// its supplementary groups, such as that of /dev/kvm.
	UID, GID int
	Groups   []int
	// Cgroup names a control group to run in, such as "gpve/100"; "" is the caller's. Where no hierarchy can be written it
	// runs without, with a warning in the log.
	Cgroup string
	Limits Limits // of Cgroup
	// Sandbox turns on QEMU's system call filter. A QEMU built without one refuses to start: see SandboxSupported.
	Sandbox bool
	Env     []string   // nil is a search path and the C locale
	Files   []*os.File // become QEMU's descriptors from FirstFile on: tap devices, images

	// As in AttachOptions.
	LogMax       int64
	ReadyTimeout time.Duration
	KeepShutDown bool
	QMP          *qmp.Options
	Logger       *slog.Logger

	failPoint func(where string) // of tests: called between the steps
}

// Limits of a control group. Zero leaves the kernel's or the former value.
type Limits struct {
	MemoryMaxBytes int64   // beyond it the kernel kills QEMU
	CPUWeight      int     // 1 … 10000; 100 is the kernel's default
	CPUCores       float64 // how many cores' time at most; negative is no limit
}

// FirstFile is the descriptor that the first of StartOptions.Files gets.
const FirstFile = 6

// The descriptors that QEMU gets beside standard input, output and error.
const (
	fdLock = 3 + iota
	fdControl
	fdSpare
)

// StartError says that QEMU did not come up.
type StartError struct {
	Name     string
	ExitCode int    // of QEMU; -1 when it was killed or never ran
	Stderr   string // its last lines; not for users' eyes: it holds paths
	Err      error  // what went wrong, when QEMU did not just exit: a timeout, a cancelled context, a missing file
}

func (e *StartError) Error() string {
	text := fmt.Sprintf("machine: start %s: QEMU exited with code %d", e.Name, e.ExitCode)
	if e.Err != nil {
		text = fmt.Sprintf("machine: start %s: %v", e.Name, e.Err)
	}
	if lines := strings.Split(strings.TrimSpace(e.Stderr), "\n"); lines[len(lines)-1] != "" {
		text += ": " + lines[len(lines)-1]
	}
	return text
}

func (e *StartError) Unwrap() error { return e.Err }

// CommandLine returns the whole command line, binary first, with the options that Start adds. It touches nothing.
func (o *StartOptions) CommandLine() []string {
	argv := slices.Concat([]string{o.Binary}, o.Args, o.ExtraArgs)
	// The sockets are made and listened at by us, and handed over: so their files are ours with mode 0600, and QEMU needs no
	// right to the directory.
	for _, m := range []struct {
		id string
		fd int
	}{{"gpve-qmp", fdControl}, {"gpve-spare", fdSpare}} {
		argv = append(argv,
			"-chardev", fmt.Sprintf("socket,id=%s,fd=%d,server=on,wait=off", m.id, m.fd),
			"-mon", "chardev="+m.id+",mode=control")
	}
	if o.Sandbox {
		argv = append(argv, "-sandbox", sandbox)
	}
	return argv
}

// Start starts QEMU and returns once it answers on its control monitor. ctx bounds the start, not QEMU's life: the process
// gets a session of its own and survives its parent. A failed start leaves no process and no socket; the error then is a
// *StartError, or ErrRunning.
//
// # Crashes
//
// The caller may be killed at any moment of a start. What makes that safe is one lock (flock) on a file of the run directory.
// The caller takes it first, and QEMU inherits the locked descriptor: from the fork on the lock is held exactly as long as
// QEMU lives, whoever else dies. A record of the intent is written before the fork, the process's identity after it. So in
// a later life of the caller: lock free means that no QEMU runs, and the record is a left-over; lock held means that one runs,
// and the record names it, or, when the crash came between fork and record, the process that has the lock's file as
// descriptor 3 is it. A second start cannot begin in either case.
//
// QEMU could drop the lock if its guest had taken it over, and never more than its own: the record, which QEMU cannot write,
// is looked at even when the lock is free.
func Start(ctx context.Context, o *StartOptions) (p *Process, err error) {
	opts, err := o.check()
	if err != nil {
		return nil, err
	}
	paths := paths{filepath.Clean(o.RunDir)}
	if err := os.Mkdir(paths.dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("machine: %w", err)
	}
	lock, err := reserve(ctx, paths)
	if err != nil {
		return nil, err
	}
	defer lock.Close()

	var steps undo.Stack
	defer func() { err = steps.Unwind(ctx, err) }()
	steps.Push(func(context.Context) error { paths.removeLeftovers(); return nil })
	group, rec, err := o.prepare(paths, opts, &steps)
	if err != nil {
		return nil, err
	}
	o.fail("intent")
	pr, err := o.launch(paths, lock, group, opts)
	if err != nil {
		return nil, &StartError{Name: o.name(), ExitCode: -1, Err: err}
	}
	steps.Push(func(ctx context.Context) error { return errors.Join(pr.Kill(ctx), pr.Close()) })
	o.fail("fork")
	rec.Process = pr.Identity()
	if err := rec.write(paths); err != nil {
		return nil, err
	}
	o.fail("record")
	p = newProcess(paths.dir, rec, pr, group, opts)
	c, err := p.firstSession(ctx)
	if err != nil {
		return nil, startError(ctx, o.name(), pr, paths, err)
	}
	steps.Commit()
	p.run(c)
	return p, nil
}

func (o *StartOptions) check() (AttachOptions, error) {
	attend := AttachOptions{LogMax: o.LogMax, ReadyTimeout: o.ReadyTimeout, KeepShutDown: o.KeepShutDown, QMP: o.QMP, Logger: o.Logger}
	opts, err := attend.withDefaults(30 * time.Second)
	switch {
	case err != nil:
	case !filepath.IsAbs(o.Binary) || !filepath.IsAbs(o.RunDir):
		err = errors.New("machine: start: Binary and RunDir must be absolute paths")
	case o.UID < 0 || o.GID < 0:
		err = errors.New("machine: start: negative user or group id")
	case slices.Contains(o.Args, "-daemonize") || slices.Contains(o.ExtraArgs, "-daemonize"):
		err = errors.New("machine: start: -daemonize would part QEMU from its process")
	}
	return opts, err
}

func (o *StartOptions) name() string {
	if o.Name != "" {
		return o.Name
	}
	return filepath.Base(o.RunDir)
}

func (o *StartOptions) fail(where string) {
	if o.failPoint != nil {
		o.failPoint(where)
	}
}

// reserve takes the lock of the run directory, or finds that a QEMU is running.
func reserve(ctx context.Context, p paths) (*os.File, error) {
	for deadline := time.Now().Add(time.Second); ; {
		rec, err := readRecord(p)
		if err == nil && rec.alive() { // whatever the lock says: somebody may have unlocked what was not theirs
			return nil, fmt.Errorf("machine: start in %s: %w", p.dir, ErrRunning)
		}
		lock, err := proc.Lock(p.lock())
		switch {
		case err == nil:
			return lock, nil
		case !errors.Is(err, proc.ErrLocked):
			return nil, fmt.Errorf("machine: %w", err)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("machine: start in %s: %w", p.dir, ErrRunning)
		}
		// Between fork and exec any child of ours has a copy of all we have open, so of the lock of a start that just failed.
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("machine: start in %s: %w", p.dir, ctx.Err())
		}
	}
}

// prepare makes the control group and writes down what is going to be started.
func (o *StartOptions) prepare(p paths, opts AttachOptions, steps *undo.Stack) (*proc.Group, record, error) {
	rec := record{Name: o.name(), Binary: o.Binary, Started: time.Now().UTC()}
	var group *proc.Group
	if o.Cgroup != "" {
		var err error
		if group, err = makeGroup(o.Cgroup); err != nil {
			opts.Logger.Warn("QEMU runs without a control group", "name", o.name(), "error", err)
		} else {
			steps.Push(func(context.Context) error { _ = group.Remove(); return nil })
			rec.Cgroup = group.Name()
			rec.OOMBase, _ = group.OOMKills() // no controller: no count then either
			if err := setLimits(group, o.Limits); err != nil {
				return nil, rec, fmt.Errorf("machine: start %s: %w", o.name(), err)
			}
		}
	}
	return group, rec, rec.write(p)
}

func makeGroup(name string) (*proc.Group, error) {
	c, err := proc.FindCgroups()
	if err != nil {
		return nil, err
	}
	return c.Create(name)
}

func setLimits(g *proc.Group, l Limits) error {
	if l == (Limits{}) {
		return nil
	}
	if g == nil {
		return fmt.Errorf("machine: limits without a control group: %w", errors.ErrUnsupported)
	}
	return g.Set(proc.GroupLimits{MemoryMax: l.MemoryMaxBytes, CPUWeight: l.CPUWeight, CPUQuota: l.CPUCores})
}

// launch makes the sockets and forks.
func (o *StartOptions) launch(p paths, lock *os.File, group *proc.Group, opts AttachOptions) (*proc.Process, error) {
	log, err := proc.OpenLog(p.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if err := log.Truncate(0); err != nil { // of the run before
		return nil, err
	}
	control, err := Listen(p.control())
	if err != nil {
		return nil, err
	}
	defer control.Close()
	spare, err := Listen(p.spare())
	if err != nil {
		return nil, err
	}
	defer spare.Close()
	argv := o.CommandLine()
	pr, err := proc.Start(&proc.Spec{
		Path: argv[0], Args: argv[1:], Env: o.Env,
		UID: o.UID, GID: o.GID, Groups: o.Groups,
		Stdout: log, Stderr: log, Files: append([]*os.File{lock, control, spare}, o.Files...),
		Group: group,
	})
	if err != nil {
		return nil, err
	}
	for _, l := range processLimits() {
		if err := pr.Limit(l); err != nil {
			opts.Logger.Debug("resource limit stays as it is", "name", o.name(), "error", err)
		}
	}
	return pr, nil
}

// startError finds out what became of a QEMU that does not answer. The caller's undo kills it if it is still there.
func startError(ctx context.Context, name string, pr *proc.Process, p paths, err error) error {
	e := &StartError{Name: name, ExitCode: -1, Err: err}
	// A QEMU that gives up closes its sockets just before it exits.
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		if st, werr := pr.Wait(short); werr == nil {
			e.Err = nil
			if e.ExitCode = st.Code; st.Signal != 0 {
				e.ExitCode, e.Err = -1, fmt.Errorf("QEMU was killed by signal %v", st.Signal)
			}
		}
	}
	e.Stderr = lastLines(p.log())
	return e
}

func lastLines(path string) string {
	tail, err := proc.TailLog(path, 4<<10)
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(string(tail), "\uFFFD")
}
