package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// Options of New.
type Options struct {
	Node   string // name of the node; required
	LogDir string // folder of the logs, made when needed; required
	// Clock tells the times of tasks. Default: time.Now.
	Clock func() time.Time
	// Uptime tells the time since boot in 1/100 s, for UPIDs. Default: the system's.
	Uptime func() uint64
	// Logger gets what is not a task's own. Nil discards.
	Logger *slog.Logger
	// MaxRunning bounds the operations that run at the same time. Default: 512.
	MaxRunning int
	// Retain is how many finished tasks are remembered, with their logs. Default: 10,000.
	Retain int
	// LogMax bounds the log of a task in bytes; what is beyond is dropped. Default: 16 MiB.
	LogMax int64
	// UndoTimeout bounds the undoing of one step. Default: 5 minutes.
	UndoTimeout time.Duration
	// FailPoint is called at each point where a crash must leave no trace, with its name. For tests.
	FailPoint func(where string)
}

// Engine runs the operations of one node. Make it with New, then Register the handlers, then Run. All methods but
// Register and Run may be called at any time; what is submitted before Run waits for it.
type Engine struct {
	store    cluster.Store
	opts     Options
	log      *slog.Logger
	handlers map[string]Handler
	ids      *ids
	archive  *archive

	ready     chan struct{} // closed when Run has read what was left over
	readyOnce sync.Once
	stopped   chan struct{} // closed when Run has ended

	mu       sync.Mutex // guards the fields below and those of Op that say so; never held across I/O
	ran      bool
	live     map[upid.UPID]*Op
	queues   map[string][]*Op // the first one runs or is runnable
	runnable []*Op
	running  int
	workers  sync.WaitGroup
}

// New returns an engine for the operations of opts.Node in store.
func New(store cluster.Store, opts Options) (*Engine, error) {
	probe := upid.UPID{Node: opts.Node, Type: "t", User: "u"}
	if err := probe.Check(); err != nil {
		return nil, fmt.Errorf("task: %w", err)
	}
	if opts.LogDir == "" || opts.MaxRunning < 0 || opts.Retain < 0 || opts.LogMax < 0 || opts.UndoTimeout < 0 {
		return nil, errors.New("task: no log folder, or a negative option")
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Uptime == nil {
		opts.Uptime = uptime
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.MaxRunning == 0 {
		opts.MaxRunning = 512
	}
	if opts.Retain == 0 {
		opts.Retain = 10_000
	}
	if opts.LogMax == 0 {
		opts.LogMax = 16 << 20
	}
	if opts.UndoTimeout == 0 {
		opts.UndoTimeout = 5 * time.Minute
	}
	if opts.FailPoint == nil {
		opts.FailPoint = func(string) {}
	}
	return &Engine{
		store: store, opts: opts, log: opts.Logger,
		handlers: map[string]Handler{},
		ids:      newIDs(store, opts.Node),
		archive:  newArchive(opts.Node, opts.Retain),
		ready:    make(chan struct{}),
		stopped:  make(chan struct{}),
		live:     map[upid.UPID]*Op{},
		queues:   map[string][]*Op{},
	}, nil
}

// Register says what operations of a type do. It must not be called after Run or Submit; it panics if the type is taken
// or the handler incomplete.
func (e *Engine) Register(typ string, h Handler) {
	if _, taken := e.handlers[typ]; taken || h.Run == nil || h.Recovery < Resume || h.Recovery > Fail {
		panic(fmt.Sprintf("task: handler of %q is registered twice or incomplete", typ))
	}
	if err := (upid.UPID{Node: e.opts.Node, Type: typ, User: "u"}).Check(); err != nil {
		panic("task: " + err.Error())
	}
	e.handlers[typ] = h
}

// Node returns the name of the node.
func (e *Engine) Node() string { return e.opts.Node }

// Ready is closed when Run has read what an earlier process left over, so that lists are complete.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run recovers what an earlier process has left, then works the queues until ctx ends, and waits for the operations
// that run. Those get ErrShutdown as the cause of their context's end and are recovered by the next start. The error is nil
// unless the store fails. Run works once.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	ran := e.ran
	e.ran = true
	e.mu.Unlock()
	if ran {
		return errors.New("task: engine runs only once")
	}
	defer close(e.stopped)
	skipped, err := e.archive.load(ctx, e.store)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if skipped > 0 {
		e.log.Warn("finished tasks that this program cannot read", "count", skipped)
	}
	e.repairLogs()

	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer e.workers.Wait()
	defer stop(ErrShutdown)
	for first := true; ; first = false {
		err := e.follow(ctx, work, first)
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, cluster.ErrCompacted) { // else we fell behind: read everything again
			return err
		}
	}
}

// follow watches the node's operations. The state found first is what an earlier process left, if this is the first watch.
func (e *Engine) follow(ctx, work context.Context, first bool) error {
	found := []cluster.Change{}
	synced := false
	for ev, err := range e.store.Watch(ctx, OpPrefix(e.opts.Node), 0) {
		switch {
		case err != nil:
			return err
		case ev.Synced:
			synced = true
			e.takeAll(work, found, first)
			found = nil
			e.readyOnce.Do(func() { close(e.ready) })
		case !synced:
			found = append(found, ev.Changes...)
		default:
			for _, c := range ev.Changes {
				e.observe(work, c)
			}
		}
	}
	return ctx.Err()
}

// repairLogs completes the logs of the tasks that may have ended when a kill came. The end of a task is committed before
// the last line is written, so only as many can lack it as ran at the same time.
func (e *Engine) repairLogs() {
	n := 0
	e.archive.newest(func(f Finished) bool {
		if err := repairLog(logPath(e.opts.LogDir, f.UPID), f.Status, e.opts.LogMax); err != nil {
			e.log.Warn("log of a finished task", "upid", f.UPID.String(), "err", err)
		}
		n++
		return n < e.opts.MaxRunning
	})
}

// dropLogs removes the logs of tasks that are forgotten.
func (e *Engine) dropLogs(rows []row) {
	for _, r := range rows {
		if err := os.Remove(logPath(e.opts.LogDir, r.UPID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			e.log.Warn("log of a forgotten task", "file", filepath.Base(logPath(e.opts.LogDir, r.UPID)), "err", err)
		}
	}
}
