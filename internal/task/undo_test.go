package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
)

// recorder notes which steps were undone.
type recorder struct {
	mu     sync.Mutex
	undone []string
}

func (r *recorder) undo(_ context.Context, _ *task.Op, data json.RawMessage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.undone = append(r.undone, string(data))
	return nil
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.undone
	r.undone = nil
	return u
}

func TestFailureUndoesInReverse(t *testing.T) {
	var r recorder
	broken := 0
	h := start(t, nil, map[string]task.Handler{"t": {
		Recovery: task.Undo,
		Undo: map[string]task.UndoFunc{
			"made": r.undo,
			"config": func(ctx context.Context, op *task.Op, _ json.RawMessage) error {
				return op.Commit(ctx, cluster.Delete("/vm/100"))
			},
			"stubborn": func(context.Context, *task.Op, json.RawMessage) error {
				if broken++; broken == 1 {
					return errors.New("device is busy")
				}
				return nil
			},
			"hopeless": func(context.Context, *task.Op, json.RawMessage) error { panic("no") },
		},
		Run: func(ctx context.Context, op *task.Op) error {
			for _, step := range []string{"a", "b"} {
				if err := op.Step(ctx, "made", step, cluster.Put("/made/"+step, nil)); err != nil {
					return err
				}
			}
			if err := op.Step(ctx, "made", "never"); err != nil {
				return err
			}
			if err := op.Retract(ctx); err != nil {
				return err
			}
			if err := op.Retract(ctx); err != nil { // only the last step can be
				return err
			}
			if err := op.Step(ctx, "made", "a"); err != nil { // journaled already
				return err
			}
			if err := op.Step(ctx, "unknown", nil); err == nil {
				return errors.New("a step without undo was accepted")
			}
			var kinds []string
			if err := op.Decode(&kinds); err != nil {
				return err
			}
			for _, k := range kinds {
				if err := op.Step(ctx, k, nil); err != nil {
					return err
				}
			}
			return errors.New("no space left")
		},
	}})
	spec := task.Spec{Type: "t", Params: []string{}, Undo: []task.StepSpec{{Kind: "config"}}}
	before := h.store.Commits()
	id := h.submit(spec, cluster.Put("/vm/100", nil))
	require.Equal(t, "no space left", h.exit(id))
	require.Equal(t, []string{`"b"`, `"a"`}, r.take())
	require.Equal(t, lines("undoing after: no space left", "TASK ERROR: no space left"), h.logText(id))
	require.Empty(t, h.keys("/vm/"), "what came with the submission is undone too")
	require.Len(t, h.keys("/made/"), 2, "a step takes changes along")
	require.EqualValues(t, 1+1+4+1+1+1, h.store.Commits()-before, "ids, submission, 3 steps and a retraction, failure, undo, end")

	spec.Params = []string{"stubborn", "hopeless"}
	id = h.submit(spec, cluster.Put("/vm/100", nil))
	require.Equal(t, "no space left", h.exit(id))
	require.Equal(t, []string{`"b"`, `"a"`}, r.take(), "the others are undone once")
	require.Equal(t, lines("undoing after: no space left",
		"undo of hopeless: internal error in t", "undo of stubborn: device is busy", "undo of hopeless: internal error in t",
		"TASK ERROR: no space left"), h.logText(id))

	_, err := h.Submit(ctx(t), task.Spec{Type: "t", User: "u@pve", Undo: []task.StepSpec{{Kind: "unknown"}}})
	require.Error(t, err)
}

func TestCancel(t *testing.T) {
	var r recorder
	running := make(chan struct{}, 10)
	h := start(t, nil, map[string]task.Handler{
		"wait": {
			Recovery: task.Undo,
			Undo:     map[string]task.UndoFunc{"made": r.undo},
			Run: func(ctx context.Context, op *task.Op) error {
				if err := op.Step(ctx, "made", op.ID()); err != nil {
					return err
				}
				running <- struct{}{}
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), task.ErrCancelled) {
					return errors.New("another cause")
				}
				return ctx.Err()
			},
		},
		"deaf": simple(func(ctx context.Context, op *task.Op) error { running <- struct{}{}; <-ctx.Done(); return nil }),
	})
	one := h.submit(task.Spec{Type: "wait", ID: "1", Queue: "q"})
	two := h.submit(task.Spec{Type: "wait", ID: "2", Queue: "q"})
	three := h.submit(task.Spec{Type: "wait", ID: "3", Queue: "q", Undo: []task.StepSpec{{Kind: "made", Data: "three"}}})
	<-running
	require.Eventually(t, func() bool { // it reaches its queue soon after its submission
		st, err := h.Status(three)
		return err == nil && st.Running && st.Position == 2
	}, 10*time.Second, time.Millisecond)

	require.NoError(t, h.Cancel(ctx(t), two))
	require.Equal(t, "received interrupt", h.exit(two), "one that waits with nothing to undo ends at once")
	require.NoError(t, h.Cancel(ctx(t), three))
	require.NoError(t, h.Cancel(ctx(t), three), "again")
	st, err := h.Status(three)
	require.NoError(t, err)
	require.True(t, st.Running, "one with something to undo waits for its turn")
	require.Empty(t, r.take())

	require.NoError(t, h.Cancel(ctx(t), one))
	require.Equal(t, "received interrupt", h.exit(one))
	require.Equal(t, "received interrupt", h.exit(three))
	require.Equal(t, []string{`"1"`, `"three"`}, r.take())
	require.NoError(t, h.Cancel(ctx(t), one), "it has ended: no error")

	deaf := h.submit(task.Spec{Type: "deaf"})
	<-running
	require.NoError(t, h.Cancel(ctx(t), deaf))
	require.Equal(t, "OK", h.exit(deaf), "the work was done after all")
	require.Empty(t, h.keys("/op/"))
}

func TestWritesAreGuardedByTheOperation(t *testing.T) {
	at, goOn := make(chan struct{}), make(chan struct{})
	errs := make(chan error, 4)
	h := start(t, nil, map[string]task.Handler{"t": {
		Recovery: task.Undo,
		Undo:     map[string]task.UndoFunc{"x": func(context.Context, *task.Op, json.RawMessage) error { return nil }},
		Run: func(ctx context.Context, op *task.Op) error {
			if err := op.Commit(ctx, cluster.If(cluster.Exists("/none")), cluster.Put("/w", nil)); !cluster.ConflictOn(err, "/none") {
				return errors.New("a condition of the handler is the handler's")
			}
			at <- struct{}{}
			<-goOn
			errs <- op.Commit(ctx, cluster.Put("/w", nil))
			errs <- op.Step(ctx, "x", nil)
			errs <- op.Save(ctx, 1)
			errs <- op.Finish(ctx)
			return nil
		},
	}})
	id := h.submit(task.Spec{Type: "t"})
	<-at
	_, err := h.store.Txn(ctx(t), cluster.Delete("/op/pve1/"+id.String())) // somebody takes it away
	require.NoError(t, err)
	close(goOn)
	for range 4 {
		require.ErrorIs(t, <-errs, task.ErrLost)
	}
	st, err := h.Wait(ctx(t), id)
	if err == nil {
		require.ErrorIs(t, st.Err, task.ErrLost)
	} else {
		require.ErrorIs(t, err, task.ErrNotFound)
	}
	require.Empty(t, h.keys("/w"))
}

func TestNothingAfterTheEnd(t *testing.T) {
	h := start(t, nil, map[string]task.Handler{"t": {
		Recovery: task.Undo,
		Undo:     map[string]task.UndoFunc{"x": func(context.Context, *task.Op, json.RawMessage) error { return errors.New("undone") }},
		Run: func(ctx context.Context, op *task.Op) error {
			if err := op.Step(ctx, "x", nil); err != nil {
				return err
			}
			if err := op.Finish(ctx, cluster.If(cluster.Exists("/none"))); !cluster.ConflictOn(err, "/none") {
				return errors.New("finished without its condition")
			}
			if err := op.Finish(ctx, cluster.Put("/w", nil)); err != nil {
				return err
			}
			op.Logf("too late")
			if op.Step(ctx, "x", 2) == nil || op.Finish(ctx) == nil || op.Commit(ctx) == nil {
				return errors.New("not ended")
			}
			return errors.New("ignored")
		},
	}})
	id := h.submit(task.Spec{Type: "t"})
	require.Equal(t, "OK", h.exit(id))
	h.stop()
	require.Equal(t, lines("TASK OK"), h.logText(id))
	require.Len(t, h.keys("/w"), 1)
	require.Empty(t, h.keys("/op/"))
}
