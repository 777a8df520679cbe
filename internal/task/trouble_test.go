package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/task"
)

// full is a store on which the next transactions fail for lack of space.
type full struct {
	cluster.Store
	fail atomic.Int32
}

func (f *full) Txn(ctx context.Context, parts ...cluster.Part) (int64, error) {
	if f.fail.Add(-1) >= 0 {
		return 0, &cluster.OpError{Op: "txn", Err: cluster.ErrNoSpace}
	}
	return f.Store.Txn(ctx, parts...)
}

// run starts an engine on a store of the test's.
func run(t *testing.T, store cluster.Store, handlers map[string]task.Handler) *task.Engine {
	e, err := task.New(store, task.Options{Node: "pve1", LogDir: t.TempDir()})
	require.NoError(t, err)
	for typ, h := range handlers {
		e.Register(typ, h)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	<-e.Ready()
	return e
}

func TestFullDiskDelaysTheEndOfAnOperation(t *testing.T) {
	store := &full{Store: memstore.New()}
	var undone atomic.Int32
	e := run(t, store, map[string]task.Handler{
		"ok": simple(func(context.Context, *task.Op) error { store.fail.Store(2); return nil }),
		"fail": {
			Recovery: task.Undo,
			Undo:     map[string]task.UndoFunc{"x": func(context.Context, *task.Op, json.RawMessage) error { undone.Add(1); return nil }},
			Run: func(ctx context.Context, op *task.Op) error {
				if err := op.Step(ctx, "x", 1); err != nil {
					return err
				}
				store.fail.Store(2)
				return op.Step(ctx, "x", 2)
			},
		},
	})
	_, err := e.SubmitWait(ctx(t), task.Spec{Type: "ok", User: "u@pve"})
	require.NoError(t, err, "the work was done")
	_, err = e.SubmitWait(ctx(t), task.Spec{Type: "fail", User: "u@pve"})
	require.ErrorIs(t, err, cluster.ErrNoSpace, "a step that could not be journaled must not be taken")
	require.EqualValues(t, 1, undone.Load())
	store.fail.Store(1)
	_, err = e.SubmitWait(ctx(t), task.Spec{Type: "ok", User: "u@pve"})
	require.ErrorIs(t, err, cluster.ErrNoSpace)
	require.Zero(t, e.Stats().Waiting)
}

// TestEngineThatFallsBehind lets the engine lose the store's history again and again: it reads everything anew, and yet
// each operation runs exactly once.
func TestEngineThatFallsBehind(t *testing.T) {
	store := memstore.WithHistory(1)
	var mu sync.Mutex
	ran := map[string]int{}
	e := run(t, store, map[string]task.Handler{"t": simple(func(ctx context.Context, op *task.Op) error {
		mu.Lock()
		ran[op.ID()]++
		mu.Unlock()
		return nil
	})})
	var wg sync.WaitGroup
	for c := range 16 {
		wg.Go(func() {
			for i := range 40 {
				spec := task.Spec{Type: "t", User: "u@pve", ID: fmt.Sprintf("%d-%d", c, i), Queue: fmt.Sprint(c % 3), Hidden: i%2 == 0}
				if _, err := e.SubmitWait(ctx(t), spec); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, ran, 16*40)
	for id, n := range ran {
		require.Equal(t, 1, n, id)
	}
}

func TestSubmitBeforeRunAndParallelUse(t *testing.T) {
	store := memstore.New()
	e, err := task.New(store, task.Options{Node: "pve1", LogDir: t.TempDir()})
	require.NoError(t, err)
	fails := errors.New("never mind")
	e.Register("t", task.Handler{Recovery: task.Fail, Run: func(context.Context, *task.Op) error { return fails }})
	id, err := e.Submit(ctx(t), task.Spec{Type: "t", User: "u@pve"})
	require.NoError(t, err)
	st, err := e.Status(id)
	require.NoError(t, err)
	require.True(t, st.Running)
	run, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(run) }()
	st, err = e.Wait(ctx(t), id)
	require.NoError(t, err)
	if st.Err != nil { // nothing of an earlier process: it runs although its type does not survive restarts
		require.Equal(t, fails, st.Err)
	}
	require.Equal(t, "never mind", st.Exit)
	cancel()
	require.NoError(t, <-ended)
	_, err = e.SubmitWait(ctx(t), task.Spec{Type: "t", User: "u@pve"})
	require.ErrorIs(t, err, task.ErrShutdown, "it is left to the next start")
}
