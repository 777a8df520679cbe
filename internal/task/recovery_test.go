package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// TestRestart ends the engine while one operation of each kind runs and others wait, and looks at what the next one
// makes of them.
func TestRestart(t *testing.T) {
	var r recorder
	at := make(chan string, 10)
	life := 1
	undo := map[string]task.UndoFunc{"made": r.undo}
	run := func(ctx context.Context, op *task.Op) error {
		var state int
		resumed, err := op.Load(&state)
		if err != nil {
			return err
		}
		op.Logf("life %d, state %d, resumed %v", life, state, resumed)
		if op.ID() == "steps" {
			if err := op.Step(ctx, "made", "thing"); err != nil {
				return err
			}
			if err := op.Save(ctx, 7); err != nil {
				return err
			}
		}
		if life == 1 {
			at <- op.UPID().Type
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), task.ErrShutdown) {
				return errors.New("another cause")
			}
			return fmt.Errorf("stopped: %w", ctx.Err())
		}
		return nil
	}
	handlers := map[string]task.Handler{
		"resume": {Recovery: task.Resume, Undo: undo, Run: run},
		"undo":   {Recovery: task.Undo, Undo: undo, Run: run},
		"fail":   {Recovery: task.Fail, Undo: undo, Run: run},
		"finish": simple(func(ctx context.Context, _ *task.Op) error { at <- "finish"; <-ctx.Done(); return nil }),
	}
	h := start(t, nil, handlers)
	ids := map[string]upid.UPID{}
	for _, typ := range []string{"resume", "undo", "fail"} {
		ids[typ] = h.submit(task.Spec{Type: typ, ID: "steps", Queue: typ})
		ids[typ+" pure"] = h.submit(task.Spec{Type: typ, ID: "pure"})
		ids[typ+" waits"] = h.submit(task.Spec{Type: typ, ID: "waits", Queue: typ})
	}
	ids["finish"] = h.submit(task.Spec{Type: "finish"})
	for range 7 {
		<-at
	}
	waited := make(chan error)
	go func() {
		_, err := h.Wait(context.Background(), ids["resume"])
		waited <- err
	}()
	h.stop()
	require.ErrorIs(t, <-waited, task.ErrShutdown)
	require.Empty(t, r.take(), "the end of the daemon undoes nothing")
	require.Len(t, h.keys("/task/"), 1, "what ended in time has ended")

	life = 2
	h = start(t, h, handlers)
	const interrupted = "interrupted by the end of the daemon"
	for name, exit := range map[string]string{
		"resume": "OK", "resume pure": "OK", "resume waits": "OK",
		"undo": interrupted, "undo pure": "OK", "undo waits": "OK",
		"fail": interrupted, "fail pure": interrupted, "fail waits": interrupted,
		"finish": "OK",
	} {
		require.Equal(t, exit, h.exit(ids[name]), name)
	}
	require.Equal(t, lines("life 1, state 0, resumed false", "going on after a restart", "life 2, state 7, resumed true", "TASK OK"), h.logText(ids["resume"]))
	require.Equal(t, lines("life 1, state 0, resumed false", "undoing after: "+interrupted, "TASK ERROR: "+interrupted), h.logText(ids["undo"]))
	require.Equal(t, []string{`"thing"`, `"thing"`}, r.take(), "undo and fail")
	require.Empty(t, h.keys("/op/"))
}

func TestCancellationSurvivesARestart(t *testing.T) {
	at := make(chan struct{}, 1)
	handlers := map[string]task.Handler{"t": {Recovery: task.Resume, Run: func(ctx context.Context, _ *task.Op) error {
		at <- struct{}{}
		return untilCancelled(ctx)
	}}}
	h := start(t, nil, handlers)
	id := h.submit(task.Spec{Type: "t"})
	<-at
	h.stop()
	require.NoError(t, h.Cancel(ctx(t), id))
	h = start(t, h, handlers)
	require.Equal(t, "received interrupt", h.exit(id))
	require.Empty(t, at, "it did not run again")
}

func TestUndoingGoesOnAfterARestart(t *testing.T) {
	at := make(chan struct{})
	var r recorder
	handlers := map[string]task.Handler{"t": {
		Recovery: task.Resume,
		Undo: map[string]task.UndoFunc{
			"first": r.undo,
			"slow":  func(ctx context.Context, _ *task.Op, _ json.RawMessage) error { close(at); return untilCancelled(ctx) },
		},
		Run: func(ctx context.Context, op *task.Op) error {
			return errors.Join(op.Step(ctx, "first", 1), op.Step(ctx, "slow", 2), errors.New("it failed"))
		},
	}}
	h := start(t, nil, handlers)
	id := h.submit(task.Spec{Type: "t"})
	<-at
	h.stop()
	require.Empty(t, r.take())
	handlers["t"].Undo["slow"] = r.undo
	h = start(t, h, handlers)
	require.Equal(t, "it failed", h.exit(id), "not run again, although it resumes")
	require.Equal(t, []string{"2", "1"}, r.take())
}

func TestLeftoversOfAnotherProgram(t *testing.T) {
	h := start(t, nil, map[string]task.Handler{"old": {Recovery: task.Resume, Run: func(ctx context.Context, _ *task.Op) error { return untilCancelled(ctx) }}})
	id := h.submit(task.Spec{Type: "old"})
	h.stop()
	newer := `{"kind":"operation","v":99,"data":{}}`
	unread := "/op/pve1/UPID:pve1:00000001:00000001:00000001:x::u@pve:"
	_, err := h.store.Txn(ctx(t), cluster.Put(unread, []byte(newer)), cluster.Put("/op/pve1/garbage", nil), cluster.Put("/task/pve1/zz", nil),
		cluster.Put("/task/pve1/0000000000000001", []byte(newer)))
	require.NoError(t, err)
	h = start(t, h, nil)
	require.Equal(t, "unknown task type 'old'", h.exit(id))
	require.Equal(t, []string{unread, "/op/pve1/garbage"}, h.keys("/op/"), "what this program cannot read it leaves alone")
	require.Len(t, h.keys("/task/"), 3)
}

func TestLogOfAKilledTaskIsCompleted(t *testing.T) {
	handlers := map[string]task.Handler{"t": simple(func(_ context.Context, op *task.Op) error { op.Logf("work"); return nil })}
	h := start(t, nil, handlers)
	id, gone := h.submit(task.Spec{Type: "t", ID: "1"}), h.submit(task.Spec{Type: "t", ID: "2"})
	h.exit(id)
	h.exit(gone)
	h.stop()
	file := filepath.Join(h.dir, "tasks", "A", id.String())
	require.NoError(t, os.WriteFile(file, []byte("work\nhal"), 0o640)) // the kill came between commit and last line
	require.NoError(t, os.Remove(filepath.Join(h.dir, "tasks", "A", gone.String())))
	h = start(t, h, handlers)
	require.Equal(t, lines("work", "hal", "TASK OK"), h.logText(id))
	require.Equal(t, lines("TASK OK"), h.logText(gone))
	h.stop()
	h = start(t, h, handlers)
	require.Equal(t, lines("work", "hal", "TASK OK"), h.logText(id), "once")
}

func TestEngineRunsOnce(t *testing.T) {
	h := start(t, nil, nil)
	require.Error(t, h.Run(ctx(t)))
	h.stop()
	require.Error(t, h.Run(ctx(t)))
}

func TestRunEndsWithTheStore(t *testing.T) {
	h := start(t, nil, nil)
	e, err := task.New(h.store, task.Options{Node: "pve2", LogDir: h.dir})
	require.NoError(t, err)
	ended := make(chan error)
	go func() { ended <- e.Run(t.Context()) }()
	<-e.Ready()
	h.stop()
	require.NoError(t, h.store.Close())
	require.ErrorIs(t, <-ended, cluster.ErrClosed)
}
