package task_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// began is the time of all test tasks.
var began = time.Unix(0x66F0000A, 0)

// harness is an engine that runs, on a store that outlives it.
type harness struct {
	*task.Engine
	t     *testing.T
	store *memstore.Store
	dir   string
	stop  func()
}

// start makes an engine with these handlers and runs it. Without a store it makes one.
func start(t *testing.T, old *harness, handlers map[string]task.Handler, more ...func(*task.Options)) *harness {
	t.Helper()
	h := &harness{t: t}
	if old != nil {
		h.store, h.dir = old.store, old.dir
	} else {
		h.store, h.dir = memstore.New(), t.TempDir()
	}
	opts := task.Options{Node: "pve1", LogDir: h.dir, Clock: func() time.Time { return began }, Uptime: func() uint64 { return 0xABCDEF }}
	for _, fn := range more {
		fn(&opts)
	}
	var err error
	h.Engine, err = task.New(h.store, opts)
	require.NoError(t, err)
	for typ, hd := range handlers {
		h.Register(typ, hd)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(h.stop)
	<-h.Ready()
	return h
}

// ctx is a context with the patience of a test.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c
}

func (h *harness) submit(s task.Spec, parts ...cluster.Part) upid.UPID {
	h.t.Helper()
	if s.User == "" {
		s.User = "root@pam"
	}
	id, err := h.Submit(ctx(h.t), s, parts...)
	require.NoError(h.t, err)
	return id
}

// exit waits for the end of a task and returns its outcome.
func (h *harness) exit(id upid.UPID) string {
	h.t.Helper()
	st, err := h.Wait(ctx(h.t), id)
	require.NoError(h.t, err)
	require.False(h.t, st.Running)
	return st.Exit
}

// logText returns the log of a task as it is on the disk.
func (h *harness) logText(id upid.UPID) string {
	h.t.Helper()
	text := id.String()
	b, err := os.ReadFile(filepath.Join(h.dir, "tasks", "A", text))
	require.NoError(h.t, err)
	return string(b)
}

// keys returns the keys under prefix.
func (h *harness) keys(prefix string) []string {
	h.t.Helper()
	kvs, _, err := h.store.List(ctx(h.t), prefix)
	require.NoError(h.t, err)
	keys := []string{}
	for _, kv := range kvs {
		keys = append(keys, kv.Key)
	}
	return keys
}

func (h *harness) value(key string) string {
	h.t.Helper()
	kv, err := h.store.Get(ctx(h.t), key)
	require.NoError(h.t, err)
	return string(kv.Value)
}

func lines(s ...string) string { return strings.Join(s, "\n") + "\n" }

// simple is a handler without undo.
func simple(run func(context.Context, *task.Op) error) task.Handler {
	return task.Handler{Recovery: task.Undo, Run: run}
}

// untilCancelled is what a well-behaved operation does that takes long.
func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
