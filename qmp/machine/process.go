package machine

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp"
)

// Process is a running QEMU: its process, its control monitor and, in the end, why it ended. It belongs to whoever called
// Start or Attach; the QEMU does not: it lives on when its owner closes the Process, exits or is killed, and is found again
// by Attach. It is safe for concurrent use.
//
// A Process owns two goroutines, and its QMP session two more.
type Process struct {
	paths paths
	rec   record
	proc  *proc.Process
	group *proc.Group // or nil
	opts  AttachOptions

	mu     sync.Mutex // guards what follows; never held across I/O
	client *qmp.Client
	fresh  chan struct{} // closed and replaced when client changes
	words  words

	stop context.CancelFunc // ends attend
	gone chan struct{}      // closed by Close
	once sync.Once
	wg   sync.WaitGroup
	done chan struct{} // closed when exit is set
	exit Exit
}

// AttachOptions adjust how a process is attended. Nil, and every zero field, means the stated default.
type AttachOptions struct {
	// LogMax is the size in bytes beyond which QEMU's standard error is cut to its last lines: 1 MiB.
	LogMax int64
	// ReadyTimeout bounds the wait for QMP: 30 s at a start, 3 s in Attach, which goes on without.
	ReadyTimeout time.Duration
	// KeepShutDown leaves a QEMU under -no-shutdown alone after its guest has shut down, to be resumed or read from.
	// Otherwise it is told to quit.
	KeepShutDown bool
	// QMP adjusts the control session.
	QMP *qmp.Options
	// Logger receives debugging messages, and warnings about trouble that was overcome. Nil discards them.
	Logger *slog.Logger
}

func (o *AttachOptions) withDefaults(ready time.Duration) (AttachOptions, error) {
	var v AttachOptions
	if o != nil {
		v = *o
	}
	if v.LogMax < 0 || v.ReadyTimeout < 0 {
		return v, fmt.Errorf("machine: options: a limit is negative")
	}
	if v.LogMax == 0 {
		v.LogMax = 1 << 20
	}
	if v.ReadyTimeout == 0 {
		v.ReadyTimeout = ready
	}
	if v.Logger == nil {
		v.Logger = slog.New(slog.DiscardHandler)
	}
	return v, nil
}

// paths are the files of a run directory. All belong to the caller of Start, whatever user QEMU runs as.
type paths struct{ dir string }

func (p paths) lock() string    { return filepath.Join(p.dir, "lock") }         // held by QEMU, never deleted
func (p paths) record() string  { return filepath.Join(p.dir, "process.json") } // there from before the start to after the end
func (p paths) control() string { return filepath.Join(p.dir, "qmp.sock") }
func (p paths) spare() string   { return filepath.Join(p.dir, "spare.sock") }
func (p paths) log() string     { return filepath.Join(p.dir, "stderr.log") }

// removeLeftovers deletes what a run leaves behind, but for the lock and the log.
func (p paths) removeLeftovers() {
	for _, path := range []string{p.control(), p.spare(), p.record()} {
		_ = os.Remove(path) // absent is fine; what cannot be removed makes the next start fail
	}
}

func newProcess(dir string, rec record, pr *proc.Process, group *proc.Group, opts AttachOptions) *Process {
	return &Process{
		paths: paths{dir}, rec: rec, proc: pr, group: group, opts: opts,
		client: qmp.Dead(qmp.ErrDisconnected),
		fresh:  make(chan struct{}), gone: make(chan struct{}), done: make(chan struct{}),
	}
}

// run starts the goroutines; c is the first session, or nil.
func (p *Process) run(c *session) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	attended := make(chan struct{})
	p.wg.Go(func() {
		defer close(attended)
		p.attend(ctx, c)
	})
	p.wg.Go(func() { p.await(attended) })
}

// lastWords is how long the session may take to tell the end after the process has gone.
const lastWords = 2 * time.Second

// await waits for the end of the process and then of its session, and settles the exit.
func (p *Process) await(attended <-chan struct{}) {
	defer p.stop()
	select {
	case <-p.proc.Done():
	case <-p.gone:
		return
	}
	timer := time.AfterFunc(lastWords, p.stop)
	defer timer.Stop()
	select {
	case <-attended:
	case <-p.gone:
		return
	}
	p.settle()
}

// PID returns QEMU's process id.
func (p *Process) PID() int { return p.proc.PID() }

// RunDir returns the directory given to Start.
func (p *Process) RunDir() string { return p.paths.dir }

// Spare returns the path of the second monitor socket. It serves one client at a time, as the first does.
func (p *Process) Spare() string { return p.paths.spare() }

// QMP returns the control session. It belongs to the process: do not close it. After a session has broken off a new one is
// dialled; until then, and after the end of the process, commands of this one fail at once with the reason.
func (p *Process) QMP() *qmp.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// Client returns a live control session. It waits within ctx for one, and fails with ErrNotRunning once the process has
// ended.
func (p *Process) Client(ctx context.Context) (*qmp.Client, error) {
	for {
		p.mu.Lock()
		c, fresh := p.client, p.fresh
		p.mu.Unlock()
		select {
		case <-c.Done():
		default:
			return c, nil
		}
		select {
		case <-fresh:
		case <-p.proc.Done():
			return nil, fmt.Errorf("machine: %w", ErrNotRunning)
		case <-p.gone:
			return nil, fmt.Errorf("machine: %w", qmp.ErrClosed)
		case <-ctx.Done():
			return nil, fmt.Errorf("machine: wait for QMP: %w", ctx.Err())
		}
	}
}

// Done is closed when QEMU has ended and Exit tells why.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how QEMU ended; before that, the zero Exit.
func (p *Process) Exit() Exit {
	select {
	case <-p.done:
		return p.exit
	default:
		return Exit{}
	}
}

// Wait waits for QEMU's end.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.exit, nil
	default:
	}
	select {
	case <-p.done:
		return p.exit, nil
	case <-p.gone:
		return Exit{}, fmt.Errorf("machine: wait for QEMU: %w", qmp.ErrClosed)
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("machine: wait for QEMU: %w", ctx.Err())
	}
}

// Stderr returns the last lines that QEMU wrote to its standard error, at most 4 KiB.
func (p *Process) Stderr() string { return lastLines(p.paths.log()) }

// SetLimits changes the limits of the control group. Without a group, or without the controller in question, it is
// errors.ErrUnsupported.
func (p *Process) SetLimits(l Limits) error { return setLimits(p.group, l) }

// Close gives QEMU out of hand: it runs on, and a later Attach takes it up. After QEMU's end there is nothing left to
// close. It is idempotent.
func (p *Process) Close() error {
	p.once.Do(func() {
		close(p.gone)
		p.stop()
	})
	p.wg.Wait()
	p.QMP().Close()
	return p.proc.Close()
}
