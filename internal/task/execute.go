package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// execute brings an operation that left its queue to its end. False: the daemon ends first, and the next one recovers it.
func (e *Engine) execute(work context.Context, op *Op) bool {
	ctx, cancel := context.WithCancelCause(call.With(context.WithValue(work, opKeyType{}, op), call.Caller{AuthID: op.User()}))
	defer cancel(nil)
	h, known := e.handlers[op.rec.UPID.Type]
	e.mu.Lock()
	op.cancel = cancel
	cancelled, recovered := op.cancelled, op.recovered
	e.mu.Unlock()
	e.opts.FailPoint("started")

	failure := op.verdict(h, known, cancelled, recovered)
	if failure == nil {
		if recovered && h.Recovery == Resume {
			op.Logf("going on after a restart")
		}
		failure = e.run(ctx, h, op)
		e.mu.Lock()
		cancelled = op.cancelled
		e.mu.Unlock()
		switch {
		case op.hasEnded():
			return true
		case failure != nil && cancelled && errors.Is(failure, context.Canceled):
			failure = ErrCancelled
		case failure != nil && !cancelled && work.Err() != nil:
			op.suspend()
			return false
		}
	}
	if failure != nil && !e.unwind(work, h, op, failure) {
		op.suspend()
		return false
	}
	if err := e.finish(work, op, failure); err != nil {
		op.suspend()
		return false
	}
	return true
}

// verdict tells why an operation must not run, nil if it may.
func (o *Op) verdict(h Handler, known, cancelled, recovered bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	untouched := len(o.journal.Steps) == 0 && o.journal.Saved == nil
	switch {
	case o.journal.Failed != "":
		return errors.New(o.journal.Failed)
	case cancelled:
		return ErrCancelled
	case !known:
		return fmt.Errorf("%w '%s'", ErrUnknownType, o.rec.UPID.Type)
	case recovered && (h.Recovery == Fail || h.Recovery == Undo && !untouched):
		return ErrInterrupted
	default:
		return nil
	}
}

// run calls the handler and turns a panic into an error.
func (e *Engine) run(ctx context.Context, h Handler, op *Op) (err error) {
	defer e.catch(op, "run", &err)()
	return h.Run(ctx, op)
}

// catch returns the function to defer around a handler's code.
func (e *Engine) catch(op *Op, what string, err *error) func() {
	return func() {
		if r := recover(); r != nil {
			e.log.Error("panic", "in", what, "upid", op.rec.UPID.String(), "panic", r, "stack", string(debug.Stack()))
			*err = fmt.Errorf("%w in %s", ErrPanic, op.rec.UPID.Type)
		}
	}
}

// unwind undoes the journal in reverse order. That the operation has failed is journaled first, so that a restart goes
// on undoing instead of running it again. False: the daemon ends first.
func (e *Engine) unwind(work context.Context, h Handler, op *Op, cause error) bool {
	op.mu.Lock()
	j := op.journal
	op.mu.Unlock()
	steps := append(append([]Step(nil), op.rec.Undo...), j.Steps...)
	if len(steps) == 0 {
		return true
	}
	if j.Failed == "" {
		j.Failed = exitText(cause, 0)
		value, err := journalSchema.Encode(j)
		if err == nil {
			err = e.persist(work, op, cluster.Put(journalKey(op.rec.UPID), value))
		}
		if err != nil && !errors.Is(err, ErrLost) {
			return false
		}
		op.mu.Lock()
		op.journal = j
		op.mu.Unlock()
		e.opts.FailPoint("failure journaled")
	}
	op.Logf("undoing after: %s", j.Failed)
	for round := range 2 { // what failed may have depended on a step that is undone by now
		var left []Step
		for i := len(steps) - 1; i >= 0; i-- {
			err := e.undo(work, h, op, steps[i])
			if work.Err() != nil {
				return false
			}
			e.opts.FailPoint("undone")
			if err != nil {
				op.Logf("undo of %s: %v", steps[i].Kind, err)
				left = append([]Step{steps[i]}, left...)
			}
		}
		if steps = left; len(steps) == 0 {
			return true
		}
		if round == 1 {
			e.log.Error("operation leaves something behind", "upid", op.rec.UPID.String(), "steps", len(steps))
		}
	}
	return true
}

func (e *Engine) undo(work context.Context, h Handler, op *Op, s Step) (err error) {
	fn := h.Undo[s.Kind]
	if fn == nil {
		return fmt.Errorf("nothing known about it: %s", s.Data)
	}
	ctx, cancel := context.WithTimeout(call.With(context.WithValue(work, opKeyType{}, op), call.Caller{AuthID: op.User()}), e.opts.UndoTimeout)
	defer cancel()
	defer e.catch(op, "undo of "+s.Kind, &err)()
	return fn(ctx, op, s.Data)
}

// persist commits for an operation that cannot go on otherwise: it tries until it works, the operation is lost, or the daemon ends.
func (e *Engine) persist(work context.Context, op *Op, parts ...cluster.Part) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		_, err := e.store.Txn(work, append([]cluster.Part{cluster.If(op.guard())}, parts...)...)
		err = op.lost(err)
		if err == nil || errors.Is(err, ErrLost) || errors.Is(err, cluster.ErrClosed) || errors.Is(err, cluster.ErrInvalid) {
			return err
		}
		e.log.Warn("store refuses the state of an operation", "upid", op.rec.UPID.String(), "err", err)
		t := time.NewTimer(pause)
		select {
		case <-work.Done():
			t.Stop()
			return context.Cause(work)
		case <-t.C:
		}
	}
}

// finish ends an operation whose handler did not do so. An error: the daemon ends first.
func (e *Engine) finish(work context.Context, op *Op, failure error) error {
	err := op.conclude(work, failure, func(parts []cluster.Part) error {
		// The end is committed even if the daemon's is near: the work is done.
		if work.Err() != nil && failure == nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(work), 5*time.Second)
			defer cancel()
			_, err := e.store.Txn(ctx, append([]cluster.Part{cluster.If(op.guard())}, parts...)...)
			return op.lost(err)
		}
		return e.persist(work, op, parts...)
	})
	if errors.Is(err, ErrLost) {
		e.log.Error("operation was removed from the store while it ran", "upid", op.rec.UPID.String())
		op.complete(ErrLost, statusUnexpected, nil)
		return nil
	}
	return err
}

// Finish ends the operation successfully: the changes of parts, the outcome and the removal of the operation are one
// commit. After it, Run returns nil without doing anything more. If it fails, the operation has not ended.
func (o *Op) Finish(ctx context.Context, parts ...cluster.Part) error {
	return o.conclude(ctx, nil, func(own []cluster.Part) error {
		_, err := o.engine.store.Txn(ctx, append(append([]cluster.Part{cluster.If(o.guard())}, own...), parts...)...)
		return o.lost(err)
	})
}

// conclude commits the end of the operation by commit and makes it known.
func (o *Op) conclude(ctx context.Context, failure error, commit func([]cluster.Part) error) error {
	if err := o.takeTurn(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer o.endTurn()
	o.mu.Lock()
	ended, warnings := o.ended, o.warnings
	o.mu.Unlock()
	if ended {
		return ErrLost
	}
	e, id := o.engine, o.rec.UPID
	exit := exitText(failure, warnings)
	parts := []cluster.Part{cluster.Delete(opKey(id)), cluster.Delete(journalKey(id)), cluster.Delete(cancelKey(id))}
	var ent *entry
	if !o.rec.Hidden {
		var err error
		if ent, err = e.archive.prepare(Finished{UPID: id, End: e.opts.Clock().Unix(), Status: exit}); err != nil {
			return err
		}
		parts = append(parts, ent.parts...)
	}
	e.opts.FailPoint("finishing")
	if err := commit(parts); err != nil {
		if ent != nil {
			e.archive.abandon(ent)
		}
		return err
	}
	e.opts.FailPoint("finished")
	o.complete(failure, exit, ent)
	return nil
}

// complete makes a committed end known: to the log first, so that who sees the end also finds the log's last line.
func (o *Op) complete(failure error, exit string, ent *entry) {
	e := o.engine
	if o.log != nil {
		o.log.end(exit)
		if err := o.log.failure(); err != nil {
			e.log.Warn("log of a task is incomplete", "upid", o.rec.UPID.String(), "err", err)
		}
	}
	o.mu.Lock()
	o.ended = true
	o.err, o.exit, o.end = failure, exit, e.opts.Clock()
	o.mu.Unlock()
	if ent != nil {
		e.archive.add(ent)
	}
	e.mu.Lock()
	delete(e.live, o.rec.UPID)
	o.cancel = nil
	e.mu.Unlock()
	close(o.done)
	if ent != nil {
		e.dropLogs(ent.drops)
	}
	e.opts.FailPoint("logged")
}

func (o *Op) hasEnded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

// suspend leaves an operation to the next start.
func (o *Op) suspend() {
	if o.log != nil {
		o.log.close()
	}
}
