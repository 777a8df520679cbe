package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// Submit commits an operation together with the caller's parts in one transaction, and returns its UPID. It runs when
// its queue lets it. A condition of the caller that fails is a *cluster.ConflictError, and nothing has happened.
func (e *Engine) Submit(ctx context.Context, s Spec, parts ...cluster.Part) (upid.UPID, error) {
	op, err := e.submit(ctx, s, parts)
	if err != nil {
		return upid.UPID{}, err
	}
	return op.rec.UPID, nil
}

// SubmitWait submits an operation and waits for its end. The error of the operation comes back as the value that its
// handler returned. If ctx or StartWithin ends before the operation has begun, it is withdrawn (ErrWithdrawn, and the
// context's error); if ctx ends later, the operation goes on without its caller. It refuses to wait inside an operation
// for another of the same queue.
func (e *Engine) SubmitWait(ctx context.Context, s Spec, parts ...cluster.Part) (Result, error) {
	if outer, _ := ctx.Value(opKeyType{}).(*Op); outer != nil && s.Queue != "" && outer.rec.Queue == s.Queue {
		return Result{}, fmt.Errorf("task: %s would wait for itself in queue %s", outer.rec.UPID, s.Queue)
	}
	op, err := e.submit(ctx, s, parts)
	if err != nil {
		return Result{}, err
	}
	var late <-chan time.Time
	if s.StartWithin > 0 {
		t := time.NewTimer(s.StartWithin)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-op.began:
		return op.await(ctx)
	case <-op.done:
		return op.await(ctx)
	case <-ctx.Done():
		return Result{UPID: op.rec.UPID}, e.withdraw(ctx, op, ctx.Err())
	case <-e.stopped:
		return op.await(ctx)
	case <-late:
		return Result{UPID: op.rec.UPID}, e.withdraw(ctx, op, context.DeadlineExceeded)
	}
}

// withdraw cancels an operation for a caller that does not want to wait longer. One that begins before the cancellation is
// committed is interrupted.
func (e *Engine) withdraw(ctx context.Context, op *Op, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := e.Cancel(ctx, op.rec.UPID)
	return errors.Join(fmt.Errorf("%w: %w", ErrWithdrawn, cause), err)
}

// atStop returns the outcome of an operation after the engine has ended: its own, or ErrShutdown if it goes on later.
func (o *Op) atStop() error {
	select {
	case <-o.done:
		return o.err
	default:
		return ErrShutdown
	}
}

// await waits for the end of an operation of this process.
func (o *Op) await(ctx context.Context) (Result, error) {
	select {
	case <-o.done:
		return Result{UPID: o.rec.UPID, Data: o.result}, o.err
	case <-ctx.Done():
		return Result{UPID: o.rec.UPID}, ctx.Err()
	case <-o.engine.stopped:
		return Result{UPID: o.rec.UPID}, o.atStop()
	}
}

func (e *Engine) submit(ctx context.Context, s Spec, parts []cluster.Part) (*Op, error) {
	h, known := e.handlers[s.Type]
	if !known {
		return nil, fmt.Errorf("task: %w %q", ErrUnknownType, s.Type)
	}
	rec, err := e.record(ctx, s, h)
	if err != nil {
		return nil, err
	}
	value, err := recordSchema.Encode(rec)
	if err != nil {
		return nil, err
	}
	// The watch may see the operation before Txn returns, so it is made known first, and becomes visible with its revision.
	op := newOp(e, rec)
	op.local = true
	e.mu.Lock()
	e.live[rec.UPID] = op
	e.mu.Unlock()
	key := opKey(rec.UPID)
	rev, err := e.store.Txn(ctx, append([]cluster.Part{cluster.If(cluster.Absent(key)), cluster.Put(key, value)}, parts...)...)
	e.mu.Lock()
	if err != nil {
		delete(e.live, rec.UPID)
	} else {
		op.rev = rev
	}
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	e.opts.FailPoint("submitted")
	return op, nil
}

// record turns a Spec into what is stored.
func (e *Engine) record(ctx context.Context, s Spec, h Handler) (Record, error) {
	rec := Record{Queue: s.Queue, Hidden: s.Hidden}
	var err error
	if rec.Params, err = encodeJSON(s.Params); err != nil {
		return rec, fmt.Errorf("task: parameters of %s: %w", s.Type, err)
	}
	for _, u := range s.Undo {
		step, err := h.step(u.Kind, u.Data)
		if err != nil {
			return rec, err
		}
		rec.Undo = append(rec.Undo, step)
	}
	pid, err := e.ids.take(ctx)
	if err != nil {
		return rec, err
	}
	rec.UPID = upid.UPID{
		Node: e.opts.Node, PID: pid, PStart: e.opts.Uptime(), Start: e.opts.Clock().Unix(),
		Type: s.Type, ID: s.ID, User: s.User,
	}
	if err := rec.UPID.Check(); err != nil {
		return rec, fmt.Errorf("task: %w", err)
	}
	if n := len(rec.UPID.String()); n > maxUPID {
		return rec, fmt.Errorf("task: %w: %d bytes", upid.ErrInvalid, n)
	}
	return rec, nil
}

// Cancel asks an operation to stop: one that runs gets ErrCancelled as the cause of its context's end, one that waits
// will not run; what was done is undone. The request is committed when Cancel returns, and survives a restart. An
// operation that has ended is left alone. ErrNotFound: no such task.
func (e *Engine) Cancel(ctx context.Context, id upid.UPID) error {
	e.mu.Lock()
	op := e.live[id]
	e.mu.Unlock()
	if op == nil {
		if _, ended := e.archive.find(id); ended {
			return nil
		}
		return ErrNotFound
	}
	_, err := e.store.Txn(ctx, cluster.If(cluster.Exists(opKey(id))), cluster.Put(cancelKey(id), nil))
	switch {
	case err == nil: // the watch will tell, but it must not begin in between
		e.mu.Lock()
		op.cancelled = true
		e.mu.Unlock()
	case cluster.ConflictOn(err, opKey(id)): // ended meanwhile
		return nil
	}
	return err
}

// Wait waits for the end of a task. ErrNotFound: no such task, or a hidden one that has ended.
func (e *Engine) Wait(ctx context.Context, id upid.UPID) (Status, error) {
	e.mu.Lock()
	op := e.live[id]
	e.mu.Unlock()
	if op != nil {
		select {
		case <-op.done:
			return op.status(), nil
		case <-ctx.Done():
			return Status{}, ctx.Err()
		case <-e.stopped:
			return op.status(), op.atStop()
		}
	}
	return e.Status(id)
}

// Status returns the state of a task. ErrNotFound: no such task, or a hidden one that has ended.
func (e *Engine) Status(id upid.UPID) (Status, error) {
	e.mu.Lock()
	op := e.live[id]
	if op != nil && op.rev == 0 { // not committed yet
		op = nil
	}
	e.mu.Unlock()
	if op != nil {
		return op.status(), nil
	}
	if f, ok := e.archive.find(id); ok {
		return Status{UPID: id, End: time.Unix(f.End, 0), Exit: f.Status}, nil
	}
	return Status{}, ErrNotFound
}

// Log returns limit lines of a task's log from line start (0 is the first) on, and the number of all lines; limit 0
// means all. A task that has not logged yet has none. ErrNotFound: no such task, or a hidden one.
func (e *Engine) Log(id upid.UPID, start, limit int) ([]LogLine, int, error) {
	path, err := e.LogPath(id)
	if err != nil {
		return nil, 0, err
	}
	lines, total, err := readLog(path, start, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return []LogLine{}, 0, nil
	}
	return lines, total, err
}

// LogPath returns the file of a known task's log, which may not exist yet.
func (e *Engine) LogPath(id upid.UPID) (string, error) {
	e.mu.Lock()
	op := e.live[id]
	known := op != nil && !op.rec.Hidden && op.rev != 0
	e.mu.Unlock()
	if !known {
		if _, known = e.archive.find(id); !known {
			return "", ErrNotFound
		}
	}
	return logPath(e.opts.LogDir, id), nil
}
