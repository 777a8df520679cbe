package task_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// populate runs six tasks of different kinds, one of which does not end before the test.
func populate(t *testing.T) (*harness, []upid.UPID) {
	now := began
	outcome := func(err error) task.Handler { return simple(func(context.Context, *task.Op) error { return err }) }
	h := start(t, nil, map[string]task.Handler{
		"qmstart":  outcome(nil),
		"qmstop":   outcome(errors.New("timeout")),
		"vzdump":   simple(func(_ context.Context, op *task.Op) error { op.Warnf("skipped"); return nil }),
		"vncproxy": simple(func(ctx context.Context, _ *task.Op) error { return untilCancelled(ctx) }),
		"hidden":   outcome(nil),
	}, func(o *task.Options) { o.Clock = func() time.Time { return now } })
	var ids []upid.UPID
	for _, s := range []task.Spec{
		{Type: "qmstart", ID: "100", User: "alice@pve"},
		{Type: "qmstop", ID: "100", User: "alice@pve!ci"},
		{Type: "vzdump", ID: "", User: "root@pam"},
		{Type: "qmstart", ID: "101", User: "bob@pve"},
		{Type: "hidden", ID: "100", User: "root@pam", Hidden: true},
		{Type: "vncproxy", ID: "100", User: "alice@pve"},
	} {
		now = now.Add(10 * time.Second)
		id := h.submit(s)
		if s.Type != "vncproxy" {
			st, err := h.Wait(ctx(t), id)
			if !s.Hidden || err == nil {
				require.NoError(t, err)
				require.False(t, st.Running)
			}
		}
		if !s.Hidden {
			ids = append(ids, id)
		}
	}
	return h, ids
}

func TestList(t *testing.T) {
	h, ids := populate(t)
	at := func(seconds int64) *int64 { u := began.Unix() + seconds; return &u }
	for _, tc := range []struct {
		name string
		f    task.Filter
		want []int
	}{
		{"archive", task.Filter{Limit: -1}, []int{3, 2, 1, 0}},
		{"active", task.Filter{Active: true, Limit: -1}, []int{4}},
		{"all", task.Filter{Active: true, Finished: true, Limit: -1}, []int{4, 3, 2, 1, 0}},
		{"user", task.Filter{User: "ALICE@", Active: true, Finished: true, Limit: -1}, []int{4, 1, 0}},
		{"user is no token", task.Filter{User: "ci", Limit: -1}, nil},
		{"type", task.Filter{Type: "qmstart", Limit: -1}, []int{3, 0}},
		{"guest", task.Filter{ID: "100", Active: true, Finished: true, Limit: -1}, []int{4, 1, 0}},
		{"since", task.Filter{Since: at(20), Until: at(30), Limit: -1}, []int{2, 1}},
		{"errors", task.Filter{Errors: true, Classes: []string{"ok"}, Limit: -1}, []int{2, 1}},
		{"ok and warning", task.Filter{Classes: []string{"ok", "warning"}, Limit: -1}, []int{3, 2, 0}},
		{"unknown", task.Filter{Active: true, Finished: true, Classes: []string{"unknown"}, Limit: -1}, []int{4}},
		{"visible", task.Filter{Visible: func(id upid.UPID) bool { return id.User == "bob@pve" }, Limit: -1}, []int{3}},
		{"together", task.Filter{Type: "qmstart", User: "bob", Limit: -1}, []int{3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows, total := h.List(tc.f)
			require.Equal(t, len(tc.want), total)
			var got []int
			for _, r := range rows {
				for i, id := range ids {
					if r.UPID == id {
						got = append(got, i)
					}
				}
			}
			require.Equal(t, tc.want, got)
		})
	}
	rows, total := h.List(task.Filter{Start: 1, Limit: 2})
	require.Equal(t, 4, total)
	require.Equal(t, []upid.UPID{ids[2], ids[1]}, []upid.UPID{rows[0].UPID, rows[1].UPID})
	rows, total = h.List(task.Filter{Limit: 0})
	require.Equal(t, 4, total)
	require.NotNil(t, rows)
	require.Empty(t, rows)
}

func TestRetention(t *testing.T) {
	handlers := map[string]task.Handler{"t": simple(func(_ context.Context, op *task.Op) error { op.Logf("x"); return nil })}
	few := func(o *task.Options) { o.Retain = 20 }
	h := start(t, nil, handlers, few)
	var ids []upid.UPID
	for i := range 30 {
		id := h.submit(task.Spec{Type: "t", ID: fmt.Sprint(i)})
		h.exit(id)
		ids = append(ids, id)
	}
	h.stop() // logs are removed after the end is known
	h = start(t, h, handlers, few)
	rows, total := h.List(task.Filter{Limit: -1})
	require.Equal(t, 20, total)
	require.Equal(t, ids[29], rows[0].UPID)
	require.Equal(t, ids[10], rows[19].UPID)
	require.Len(t, h.keys("/task/"), 20)
	files, err := os.ReadDir(filepath.Join(h.dir, "tasks", "A"))
	require.NoError(t, err)
	require.Len(t, files, 20, "logs go with their tasks")
	_, err = h.Status(ids[9])
	require.ErrorIs(t, err, task.ErrNotFound)
	_, _, err = h.Log(ids[9], 0, 0)
	require.ErrorIs(t, err, task.ErrNotFound)

	h.stop()
	h = start(t, h, handlers, func(o *task.Options) { o.Retain = 5 }) // a lowered limit is reached by and by
	for range 3 {
		h.exit(h.submit(task.Spec{Type: "t"}))
	}
	_, total = h.List(task.Filter{Limit: -1})
	require.Equal(t, 5, total)
	require.Len(t, h.keys("/task/"), 5)
}
