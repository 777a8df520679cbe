package task

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// takeAll enqueues the operations found by a watch that begins, in the order of their submission.
func (e *Engine) takeAll(work context.Context, found []cluster.Change, recovering bool) {
	journals := map[upid.UPID][]byte{}
	cancels := map[upid.UPID]bool{}
	var ops []cluster.Change
	for _, c := range found {
		switch id, part, ok := ParseKey(c.Key); {
		case !ok:
			e.log.Warn("foreign key among the operations", "key", c.Key)
		case part == "":
			ops = append(ops, c)
		case part == "journal":
			journals[id] = c.Value
		case part == "cancel":
			cancels[id] = true
		}
	}
	slices.SortFunc(ops, func(a, b cluster.Change) int { return cmp.Compare(a.CreateRev, b.CreateRev) })
	for _, c := range ops {
		op := e.take(work, c.KV)
		if op == nil {
			continue
		}
		id := op.rec.UPID
		e.mu.Lock()
		fresh := !op.enqueued
		if fresh && !op.local && recovering {
			op.recovered = true
		}
		op.cancelled = op.cancelled || cancels[id]
		e.mu.Unlock()
		if value := journals[id]; value != nil && fresh && !op.local {
			j, err := journalSchema.Decode(value)
			if err != nil { // neither undone nor run, since nobody knows what it has done
				e.log.Error("journal of an operation", "upid", id.String(), "err", err)
				continue
			}
			op.journal = j
		}
		e.enqueue(work, op)
		if cancels[id] {
			e.interrupt(work, op)
		}
	}
}

// observe handles a change below the node's operations.
func (e *Engine) observe(work context.Context, c cluster.Change) {
	id, part, ok := ParseKey(c.Key)
	switch {
	case !ok || c.Deleted:
	case part == "" && c.CreateRev == c.ModRev:
		if op := e.take(work, c.KV); op != nil {
			e.enqueue(work, op)
		}
	case part == "cancel":
		e.mu.Lock()
		op := e.live[id]
		e.mu.Unlock()
		if op != nil {
			e.interrupt(work, op)
		}
	}
}

// take returns the operation of a key: the one that this process knows, or a new one. Nil: there is nothing to do.
//
// What a watch reports may have ended since, if it is a watch that began anew. An operation is removed from the store before
// it is forgotten here. So one that is not known here, and then still found in the store, has not been known before.
func (e *Engine) take(ctx context.Context, kv cluster.KV) *Op {
	rec, err := DecodeRecord(kv.Value)
	if err != nil {
		e.log.Error("operation", "key", kv.Key, "err", err)
		return nil
	}
	e.mu.Lock()
	op := e.live[rec.UPID]
	e.mu.Unlock()
	if op == nil {
		if _, err := e.store.Get(ctx, kv.Key); errors.Is(err, cluster.ErrNotFound) {
			return nil
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if op == nil {
		op = newOp(e, rec)
		e.live[rec.UPID] = op
	}
	op.rev = kv.CreateRev
	return op
}

// enqueue puts an operation at the end of its queue. A second time has no effect.
func (e *Engine) enqueue(work context.Context, op *Op) {
	e.mu.Lock()
	if op.enqueued {
		e.mu.Unlock()
		return
	}
	op.enqueued = true
	var before *Op
	name := op.rec.Queue
	if q := e.queues[name]; name != "" {
		if len(q) > 0 {
			before = q[len(q)-1]
		}
		e.queues[name] = append(q, op)
	}
	if before == nil {
		e.runnable = append(e.runnable, op)
	}
	e.dispatchLocked(work)
	e.mu.Unlock()
	if before != nil && !before.rec.Hidden {
		op.Logf("waiting for %s", before.rec.UPID)
	}
}

// dispatchLocked starts what may run.
func (e *Engine) dispatchLocked(work context.Context) {
	for e.running < e.opts.MaxRunning && len(e.runnable) > 0 && work.Err() == nil {
		op := e.runnable[0]
		e.runnable = slices.Delete(e.runnable, 0, 1)
		e.startLocked(work, op)
	}
}

func (e *Engine) startLocked(work context.Context, op *Op) {
	e.running++
	op.started = true
	close(op.began)
	e.workers.Go(func() {
		ended := e.execute(work, op)
		e.mu.Lock()
		e.running--
		if ended {
			e.advanceLocked(op)
		}
		e.dispatchLocked(work)
		e.mu.Unlock()
	})
}

// advanceLocked takes an operation that has ended from its queue.
func (e *Engine) advanceLocked(op *Op) {
	name := op.rec.Queue
	q := e.queues[name]
	i := slices.Index(q, op)
	if name == "" || i < 0 {
		return
	}
	q = slices.Delete(q, i, i+1)
	switch {
	case len(q) == 0:
		delete(e.queues, name)
	default:
		e.queues[name] = q
		if i == 0 {
			e.runnable = append(e.runnable, q[0])
		}
	}
}

// interrupt cancels an operation whose cancellation is committed. One that waits with nothing to undo ends at once;
// one with something to undo keeps its place, since its queue is the only writer of what it changes.
func (e *Engine) interrupt(work context.Context, op *Op) {
	e.mu.Lock()
	defer e.mu.Unlock()
	op.cancelled = true
	switch q := e.queues[op.rec.Queue]; {
	case op.cancel != nil:
		op.cancel(ErrCancelled)
	case !op.started && op.enqueued && len(op.rec.Undo) == 0 && len(op.journal.Steps) == 0 && slices.Index(q, op) > 0:
		e.queues[op.rec.Queue] = slices.DeleteFunc(q, func(o *Op) bool { return o == op })
		e.startLocked(work, op)
	}
}

// position returns how many operations come before op in its queue.
func (e *Engine) position(op *Op) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(0, slices.Index(e.queues[op.rec.Queue], op))
}
