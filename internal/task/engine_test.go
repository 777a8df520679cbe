package task_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

func TestOutcomes(t *testing.T) {
	h := start(t, nil, map[string]task.Handler{
		"ok": simple(func(_ context.Context, op *task.Op) error { op.Logf("hello\nworld"); return nil }),
		"warn": simple(func(_ context.Context, op *task.Op) error {
			op.Warnf("first")
			op.Warnf("second %d", 2)
			return nil
		}),
		"fail":  simple(func(context.Context, *task.Op) error { return errors.New("disk 'x'\ndoes not exist") }),
		"panic": simple(func(context.Context, *task.Op) error { panic("secret detail") }),
		"sly":   simple(func(context.Context, *task.Op) error { return errors.New("OK") }),
	})
	for _, tc := range []struct{ typ, exit, log string }{
		{"ok", "OK", lines("hello", "world", "TASK OK")},
		{"warn", "WARNINGS: 2", lines("WARN: first", "WARN: second 2", "TASK WARNINGS: 2")},
		{"fail", "disk 'x' does not exist", lines("TASK ERROR: disk 'x' does not exist")},
		{"panic", "internal error in panic", lines("TASK ERROR: internal error in panic")},
		{"sly", "error: OK", lines("TASK ERROR: error: OK")},
	} {
		t.Run(tc.typ, func(t *testing.T) {
			id := h.submit(task.Spec{Type: tc.typ, ID: "100"})
			require.Equal(t, tc.exit, h.exit(id))
			require.Equal(t, tc.log, h.logText(id))
			require.Equal(t, tc.exit, task.StatusFromLog(h.logText(id)))
			st, err := h.Status(id)
			require.NoError(t, err)
			require.Equal(t, began, st.End)
		})
	}
	require.Empty(t, h.keys("/op/"), "nothing is left of what has ended")
	require.Len(t, h.keys("/task/pve1/"), 5)
	_, err := h.Submit(ctx(t), task.Spec{Type: "none", User: "root@pam"})
	require.ErrorIs(t, err, task.ErrUnknownType)
	_, err = h.Submit(ctx(t), task.Spec{Type: "ok", ID: "a/b", User: "root@pam"})
	require.ErrorIs(t, err, upid.ErrInvalid)
	_, err = h.Submit(ctx(t), task.Spec{Type: "ok", ID: strings.Repeat("x", 300), User: "root@pam"})
	require.ErrorIs(t, err, upid.ErrInvalid)
	_, err = h.Wait(ctx(t), upid.UPID{Node: "pve1", Type: "t", User: "u"})
	require.ErrorIs(t, err, task.ErrNotFound)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, h.Cancel(ctx(t), upid.UPID{Node: "pve1", Type: "t", User: "u"}), task.ErrNotFound)
}

func TestHiddenOperationsHandBackTheirOutcome(t *testing.T) {
	type params struct{ N int }
	h := start(t, nil, map[string]task.Handler{
		"double": simple(func(ctx context.Context, op *task.Op) error {
			var p params
			if err := op.Decode(&p); err != nil {
				return err
			}
			if call.From(ctx).AuthID != "ci@pve!t" {
				return errors.New("who is it?")
			}
			op.Logf("not in a file")
			return op.SetResult(p.N * 2)
		}),
		"refuse":  simple(func(context.Context, *task.Op) error { return call.Forbidden("/vms/100, VM.Config.Disk") }),
		"invalid": simple(func(context.Context, *task.Op) error { return call.ParamErrors{"net0": "no such bridge"} }),
	})
	before := h.store.Commits()
	_, err := h.SubmitWait(ctx(t), task.Spec{Type: "double", User: "ci@pve!t", Hidden: true, Params: params{1}})
	require.NoError(t, err)
	require.EqualValues(t, 3, h.store.Commits()-before, "the first one also reserves ids")

	before = h.store.Commits()
	res, err := h.SubmitWait(ctx(t), task.Spec{Type: "double", User: "ci@pve!t", Hidden: true, Params: params{21}})
	require.NoError(t, err)
	var n int
	require.NoError(t, res.Decode(&n))
	require.Equal(t, 42, n)
	require.EqualValues(t, 2, h.store.Commits()-before, "submission and end")

	_, err = h.SubmitWait(ctx(t), task.Spec{Type: "refuse", User: "u@pve", Hidden: true})
	require.Equal(t, call.Forbidden("/vms/100, VM.Config.Disk"), err)
	_, err = h.SubmitWait(ctx(t), task.Spec{Type: "invalid", User: "u@pve", Hidden: true})
	require.Equal(t, call.ParamErrors{"net0": "no such bridge"}, err)

	rows, total := h.List(task.Filter{Active: true, Finished: true, Limit: -1})
	require.Empty(t, rows)
	require.Zero(t, total)
	_, err = h.Status(res.UPID)
	require.ErrorIs(t, err, task.ErrNotFound)
	_, err = os.Stat(filepath.Join(h.dir, "tasks"))
	require.ErrorIs(t, err, fs.ErrNotExist, "no logs")
	require.Empty(t, h.keys("/task/"))
}

func TestSubmissionIsOneTransactionWithTheCallersParts(t *testing.T) {
	h := start(t, nil, map[string]task.Handler{"t": simple(func(ctx context.Context, op *task.Op) error {
		return op.Finish(ctx, cluster.Put("/vm/100", []byte("done")))
	})})
	parts := []cluster.Part{cluster.If(cluster.Absent("/vm/100")), cluster.Put("/vm/100", []byte("lock: create"))}
	_, err := h.Submit(ctx(t), task.Spec{Type: "t", User: "u@pve"}, cluster.If(cluster.Exists("/vm/100")))
	require.True(t, cluster.ConflictOn(err, "/vm/100"))
	require.Empty(t, h.keys("/op/"))
	require.Zero(t, h.Stats().Waiting)

	before := h.store.Commits()
	id := h.submit(task.Spec{Type: "t"}, parts...)
	require.Equal(t, "OK", h.exit(id))
	require.Equal(t, "done", h.value("/vm/100"))
	require.EqualValues(t, 2, h.store.Commits()-before)
	_, err = h.Submit(ctx(t), task.Spec{Type: "t", User: "u@pve"}, parts...)
	require.True(t, cluster.ConflictOn(err, "/vm/100"))
}

func TestQueuesAreFIFOAndRunSideBySide(t *testing.T) {
	var mu sync.Mutex
	order := map[string][]int{}
	running := map[string]*atomic.Int32{"a": {}, "b": {}}
	var meet sync.WaitGroup
	meet.Add(2)
	h := start(t, nil, map[string]task.Handler{"t": simple(func(_ context.Context, op *task.Op) error {
		var p struct {
			Queue string
			N     int
		}
		if err := op.Decode(&p); err != nil {
			return err
		}
		if running[p.Queue].Add(1) != 1 {
			return errors.New("two of one queue")
		}
		defer running[p.Queue].Add(-1)
		if p.N == 0 { // the first of each queue waits for the other's
			meet.Done()
			meet.Wait()
		}
		mu.Lock()
		order[p.Queue] = append(order[p.Queue], p.N)
		mu.Unlock()
		return nil
	})})
	var ids []upid.UPID
	var want []int
	for n := range 30 {
		for _, q := range []string{"a", "b"} {
			ids = append(ids, h.submit(task.Spec{Type: "t", Queue: q, Params: map[string]any{"Queue": q, "N": n}}))
		}
		want = append(want, n)
	}
	for _, id := range ids {
		require.Equal(t, "OK", h.exit(id))
	}
	require.Equal(t, map[string][]int{"a": want, "b": want}, order)
}

func TestWaitingTasksSayWhatFor(t *testing.T) {
	release := make(chan struct{})
	h := start(t, nil, map[string]task.Handler{"t": simple(func(context.Context, *task.Op) error { <-release; return nil })})
	first, second := h.submit(task.Spec{Type: "t", Queue: "vm/1"}), h.submit(task.Spec{Type: "t", Queue: "vm/1"})
	require.Eventually(t, func() bool {
		lines, _, err := h.Log(second, 0, 0)
		return err == nil && len(lines) == 1 && lines[0].T == "waiting for "+first.String()
	}, 10*time.Second, time.Millisecond)
	close(release)
	require.Equal(t, "OK", h.exit(second))
}

func TestNoMoreThanMaxRunning(t *testing.T) {
	var now, most atomic.Int32
	h := start(t, nil, map[string]task.Handler{"t": simple(func(context.Context, *task.Op) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		return nil
	})}, func(o *task.Options) { o.MaxRunning = 2 })
	var ids []upid.UPID
	for range 50 {
		ids = append(ids, h.submit(task.Spec{Type: "t"}))
	}
	for _, id := range ids {
		require.Equal(t, "OK", h.exit(id))
	}
	require.LessOrEqual(t, most.Load(), int32(2))
}

func TestWaitingForOneself(t *testing.T) {
	var h *harness
	h = start(t, nil, map[string]task.Handler{
		"outer": simple(func(ctx context.Context, op *task.Op) error {
			var queue string
			if err := op.Decode(&queue); err != nil {
				return err
			}
			_, err := h.SubmitWait(ctx, task.Spec{Type: "inner", User: op.User(), Queue: queue, Hidden: true})
			return err
		}),
		"inner": simple(func(context.Context, *task.Op) error { return nil }),
	})
	_, err := h.SubmitWait(ctx(t), task.Spec{Type: "outer", User: "u@pve", Queue: "vm/1", Params: "vm/2", Hidden: true})
	require.NoError(t, err)
	_, err = h.SubmitWait(ctx(t), task.Spec{Type: "outer", User: "u@pve", Queue: "vm/1", Params: "vm/1", Hidden: true})
	require.ErrorContains(t, err, "would wait for itself")
}

func TestWithdrawnBeforeItBegan(t *testing.T) {
	release := make(chan struct{})
	var ran atomic.Int32
	h := start(t, nil, map[string]task.Handler{
		"long":  simple(func(context.Context, *task.Op) error { <-release; return nil }),
		"short": simple(func(context.Context, *task.Op) error { ran.Add(1); return nil }),
	})
	long := h.submit(task.Spec{Type: "long", Queue: "vm/1"})
	short := task.Spec{Type: "short", User: "u@pve", Queue: "vm/1", Hidden: true, StartWithin: 10 * time.Millisecond}
	_, err := h.SubmitWait(ctx(t), short)
	require.ErrorIs(t, err, task.ErrWithdrawn)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	gone, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	short.StartWithin = 0
	_, err = h.SubmitWait(gone, short)
	require.ErrorIs(t, err, task.ErrWithdrawn)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	require.Equal(t, "OK", h.exit(long))
	require.NoError(t, func() error { _, err := h.SubmitWait(ctx(t), short); return err }())
	require.EqualValues(t, 1, ran.Load(), "the withdrawn ones never ran")
	require.Empty(t, h.keys("/op/"))
}

func TestUPIDs(t *testing.T) {
	handlers := map[string]task.Handler{"t": simple(func(context.Context, *task.Op) error { return nil })}
	h := start(t, nil, handlers)
	first, second := h.submit(task.Spec{Type: "t", ID: "7"}), h.submit(task.Spec{Type: "t"})
	require.Equal(t, "UPID:pve1:00000001:00ABCDEF:66F0000A:t:7:root@pam:", first.String())
	require.EqualValues(t, 2, second.PID)
	h.stop()
	h = start(t, h, handlers)
	third := h.submit(task.Spec{Type: "t"})
	require.EqualValues(t, 1025, third.PID, "what was reserved is not given again")
	require.Equal(t, "OK", h.exit(third))

	_, err := h.store.Txn(ctx(t), cluster.Put("/task-counter/pve1", []byte("2147483647")))
	require.NoError(t, err)
	h.stop()
	h = start(t, h, handlers)
	require.EqualValues(t, 1, h.submit(task.Spec{Type: "t"}).PID, "ids stay below 2^31 and above 0")
}

func TestEngineChecksItsOptions(t *testing.T) {
	for name, o := range map[string]task.Options{
		"no node": {LogDir: "x"}, "bad node": {Node: "a/b", LogDir: "x"}, "no folder": {Node: "n"}, "negative": {Node: "n", LogDir: "x", Retain: -1},
	} {
		_, err := task.New(memstore.New(), o)
		require.Error(t, err, name)
	}
	e, err := task.New(memstore.New(), task.Options{Node: "n", LogDir: t.TempDir()})
	require.NoError(t, err)
	run := func(context.Context, *task.Op) error { return nil }
	require.Panics(t, func() { e.Register("t", task.Handler{Recovery: task.Fail}) })
	require.Panics(t, func() { e.Register("t", task.Handler{Run: run}) }, "recovery must be chosen")
	require.Panics(t, func() { e.Register("a b", task.Handler{Run: run, Recovery: task.Fail}) })
	e.Register("t", task.Handler{Run: run, Recovery: task.Fail})
	require.Panics(t, func() { e.Register("t", task.Handler{Run: run, Recovery: task.Fail}) })
}

func TestProgress(t *testing.T) {
	at := make(chan struct{})
	goOn := make(chan struct{})
	now := began
	h := start(t, nil, map[string]task.Handler{"t": simple(func(_ context.Context, op *task.Op) error {
		for i := range 10 { // in one moment
			op.Progress(float64(i)/10, fmt.Sprintf("copied %d GiB", i))
		}
		now = now.Add(time.Second)
		op.Progress(0.95, "almost")
		at <- struct{}{}
		<-goOn
		op.Progress(7, "copied")
		return nil
	})}, func(o *task.Options) { o.Clock = func() time.Time { return now } })
	id := h.submit(task.Spec{Type: "t"})
	<-at
	st, err := h.Status(id)
	require.NoError(t, err)
	require.Equal(t, task.Status{UPID: id, Running: true, Progress: 0.95, ProgressText: "almost"}, st)
	close(goOn)
	require.Equal(t, "OK", h.exit(id))
	require.Equal(t, lines("copied 0 GiB", "almost", "copied", "TASK OK"), h.logText(id))
}
