package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// Op is an operation that runs, as its handler sees it. Its methods may be used from several goroutines; Run waits for
// those before it returns.
type Op struct {
	engine *Engine
	rec    Record
	log    *logFile      // nil if hidden
	began  chan struct{} // closed when it leaves its queue
	done   chan struct{} // closed when it has ended; the outcome below is set before

	// Guarded by Engine.mu.
	rev       int64 // that made its key; 0 until committed
	local     bool  // submitted by this process
	recovered bool  // left over by an earlier process
	enqueued  bool
	started   bool
	cancelled bool
	cancel    context.CancelCauseFunc // while it runs

	turn chan struct{} // one token: changes of the journal, and the end, one after the other

	mu         sync.Mutex // guards the fields below; never held across I/O
	journal    journal
	lastStep   int // index in journal.Steps of the last Step, -1 for none
	ended      bool
	warnings   int
	result     json.RawMessage
	fraction   float64
	progress   string
	progressAt time.Time

	// The outcome.
	err  error
	exit string
	end  time.Time
}

type opKeyType struct{}

func newOp(e *Engine, rec Record) *Op {
	o := &Op{engine: e, rec: rec, began: make(chan struct{}), done: make(chan struct{}), turn: make(chan struct{}, 1), lastStep: -1}
	if !rec.Hidden {
		o.log = &logFile{path: logPath(e.opts.LogDir, rec.UPID), max: e.opts.LogMax}
	}
	return o
}

// UPID returns the name of the operation.
func (o *Op) UPID() upid.UPID { return o.rec.UPID }

// User returns who wants it: user@realm, or user@realm!token.
func (o *Op) User() string { return o.rec.UPID.User }

// ID returns what it is about.
func (o *Op) ID() string { return o.rec.UPID.ID }

// Decode reads the parameters of the submission into v.
func (o *Op) Decode(v any) error {
	if o.rec.Params == nil {
		return fmt.Errorf("task: %s has no parameters", o.rec.UPID)
	}
	if err := json.Unmarshal(o.rec.Params, v); err != nil {
		return fmt.Errorf("task: parameters of %s: %w", o.rec.UPID, err)
	}
	return nil
}

// Logf adds to the log of the task; line breaks make several lines, control characters become blanks. Do not log secrets.
// A hidden operation logs to the engine's logger.
func (o *Op) Logf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if o.log == nil {
		o.engine.log.Debug("operation", "upid", o.rec.UPID.String(), "text", text)
		return
	}
	o.log.line(text)
}

// Warnf logs a warning. An operation that succeeds with warnings ends as "WARNINGS: n".
func (o *Op) Warnf(format string, args ...any) {
	o.mu.Lock()
	o.warnings++
	o.mu.Unlock()
	o.Logf("WARN: "+format, args...)
}

// Progress tells how far the operation is, 0…1, and in words. The words go to the log at most once a second, and when done.
func (o *Op) Progress(fraction float64, text string) {
	now := o.engine.opts.Clock()
	o.mu.Lock()
	o.fraction, o.progress = min(max(fraction, 0), 1), text
	say := text != "" && (fraction >= 1 || now.Sub(o.progressAt) >= time.Second)
	if say {
		o.progressAt = now
	}
	o.mu.Unlock()
	if say {
		o.Logf("%s", text)
	}
}

// SetResult sets what SubmitWait returns. It is not stored.
func (o *Op) SetResult(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("task: result of %s: %w", o.rec.UPID, err)
	}
	o.mu.Lock()
	o.result = data
	o.mu.Unlock()
	return nil
}

// guard is the condition of every write: the operation is still there, and is this one.
func (o *Op) guard() cluster.Cond {
	o.engine.mu.Lock()
	defer o.engine.mu.Unlock()
	return cluster.ModRev(opKey(o.rec.UPID), o.rev)
}

// Commit makes changes in the store, guarded by the operation still being there (else ErrLost).
func (o *Op) Commit(ctx context.Context, parts ...cluster.Part) error {
	_, err := o.engine.store.Txn(ctx, append([]cluster.Part{cluster.If(o.guard())}, parts...)...)
	o.engine.opts.FailPoint("committed")
	return o.lost(err)
}

// lost names a conflict on the guard.
func (o *Op) lost(err error) error {
	if cluster.ConflictOn(err, opKey(o.rec.UPID)) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// step checks and encodes a step.
func (h Handler) step(kind string, data any) (Step, error) {
	if h.Undo[kind] == nil {
		return Step{}, fmt.Errorf("task: no undo for a step of kind %q", kind)
	}
	raw, err := encodeJSON(data)
	if err != nil {
		return Step{}, fmt.Errorf("task: data of a step of kind %q: %w", kind, err)
	}
	return Step{Kind: kind, Data: raw}, nil
}

// Step journals how to undo what the caller is about to do: kind names a function of Handler.Undo, data is its argument.
// Parts are changes that belong to the same commit. A step that is journaled already, as after a restart, is not again.
func (o *Op) Step(ctx context.Context, kind string, data any, parts ...cluster.Part) error {
	step, err := o.engine.handlers[o.rec.UPID.Type].step(kind, data)
	if err != nil {
		return err
	}
	return o.change(ctx, func(j *journal) (int, bool) {
		at := slices.IndexFunc(j.Steps, func(s Step) bool { return s.Kind == step.Kind && bytes.Equal(s.Data, step.Data) })
		if at >= 0 {
			return at, len(parts) > 0
		}
		j.Steps = append(j.Steps, step)
		return len(j.Steps) - 1, true
	}, parts)
}

// Retract drops the last Step from the journal: nothing was done after all.
func (o *Op) Retract(ctx context.Context) error {
	return o.change(ctx, func(j *journal) (int, bool) {
		if o.lastStep < 0 {
			return -1, false
		}
		j.Steps = slices.Delete(j.Steps, o.lastStep, o.lastStep+1)
		return -1, true
	}, nil)
}

// Save stores v for Load after a restart, in place of what was saved before. Parts are changes that belong to the same commit.
func (o *Op) Save(ctx context.Context, v any, parts ...cluster.Part) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("task: state of %s: %w", o.rec.UPID, err)
	}
	return o.change(ctx, func(j *journal) (int, bool) {
		j.Saved = data
		return o.lastStep, true
	}, parts)
}

// Load reads what was saved into v; false if nothing was.
func (o *Op) Load(v any) (bool, error) {
	o.mu.Lock()
	saved := o.journal.Saved
	o.mu.Unlock()
	if saved == nil {
		return false, nil
	}
	return true, json.Unmarshal(saved, v)
}

var errUndoing = errors.New("task: operation is being undone")

// change commits a new journal. fn edits a copy and tells the index of the last step, and whether there is something to write.
func (o *Op) change(ctx context.Context, fn func(*journal) (lastStep int, write bool), parts []cluster.Part) error {
	if err := o.takeTurn(ctx); err != nil {
		return err
	}
	defer o.endTurn()
	o.mu.Lock()
	next := o.journal
	next.Steps = slices.Clone(next.Steps)
	refused := o.ended || next.Failed != ""
	last, write := fn(&next)
	o.mu.Unlock()
	switch {
	case refused:
		return errUndoing
	case write:
		value, err := journalSchema.Encode(next)
		if err != nil {
			return err
		}
		if err := o.Commit(ctx, append([]cluster.Part{cluster.Put(journalKey(o.rec.UPID), value)}, parts...)...); err != nil {
			return err
		}
	}
	o.mu.Lock()
	o.journal, o.lastStep = next, last
	o.mu.Unlock()
	return nil
}

func (o *Op) takeTurn(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *Op) endTurn() { <-o.turn }

// status returns the operation's state.
func (o *Op) status() Status {
	select {
	case <-o.done:
		return Status{UPID: o.rec.UPID, End: o.end, Exit: o.exit, Err: o.err}
	default:
	}
	s := Status{UPID: o.rec.UPID, Running: true, Position: o.engine.position(o)}
	o.mu.Lock()
	defer o.mu.Unlock()
	s.Progress, s.ProgressText = o.fraction, o.progress
	return s
}
