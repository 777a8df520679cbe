package clustertest

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

// watcher pulls a watch step by step.
type watcher struct {
	t    testing.TB
	next func() (cluster.Event, error, bool)
}

func watch(t testing.TB, ctx context.Context, s cluster.Store, prefix string, from int64) *watcher {
	next, stop := iter.Pull2(s.Watch(ctx, prefix, from))
	t.Cleanup(stop)
	return &watcher{t, next}
}

// event returns the next event as text: its changes, or "synced".
func (w *watcher) event() (string, int64) {
	w.t.Helper()
	ev, err, ok := w.next()
	require.True(w.t, ok)
	require.NoError(w.t, err)
	if ev.Synced {
		require.Empty(w.t, ev.Changes)
		return "synced", ev.Rev
	}
	require.NotEmpty(w.t, ev.Changes)
	text := ""
	for _, c := range ev.Changes {
		if c.Deleted {
			text += "-" + c.Key + " "
		} else {
			text += fmt.Sprintf("%s=%s ", c.Key, c.Value)
		}
	}
	return text, ev.Rev
}

func (w *watcher) expect(text string, rev int64) {
	w.t.Helper()
	got, at := w.event()
	require.Equal(w.t, text, got)
	require.Equal(w.t, rev, at)
}

func (w *watcher) fails(target error) {
	w.t.Helper()
	_, err, ok := w.next()
	require.True(w.t, ok)
	require.ErrorIs(w.t, err, target)
	_, _, ok = w.next()
	require.False(w.t, ok, "ends after its first error")
}

func testWatchFromNow(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	mustPut(t, s, "/w/b", "1")
	rev := mustPut(t, s, "/w/a", "2")
	other := mustPut(t, s, "/elsewhere", "x")
	require.Equal(t, rev+1, other)
	w := watch(t, ctx, s, "/w/", 0)
	w.expect("/w/a=2 /w/b=1 ", other)
	w.expect("synced", other)
	mustPut(t, s, "/elsewhere", "y")
	rev = mustPut(t, s, "/w/a", "3")
	w.expect("/w/a=3 ", rev)
	rev, err := s.Txn(ctx, cluster.Delete("/w/b"))
	require.NoError(t, err)
	w.expect("-/w/b ", rev)

	empty := watch(t, ctx, s, "/w/none/", 0)
	empty.expect("synced", rev)
}

func testWatchResumes(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	first := mustPut(t, s, "/w/a", "1")
	mustPut(t, s, "/w/a", "2")
	mustPut(t, s, "/elsewhere", "x")
	last := mustPut(t, s, "/w/b", "3")
	w := watch(t, ctx, s, "/w/", first)
	w.expect("/w/a=2 ", first+1)
	w.expect("/w/b=3 ", last)
	w.expect("synced", last)
	w.expect("/w/c=4 ", mustPut(t, s, "/w/c", "4"))

	now := watch(t, ctx, s, "/w/", last+1)
	now.expect("synced", last+1)
}

func testWatchKeepsTransactionsWhole(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	w := watch(t, ctx, s, "/w/", 0)
	w.event()
	mustPut(t, s, "/w/gone", "0")
	w.event()
	rev, err := s.Txn(ctx, cluster.Put("/w/z", []byte("1")), cluster.Put("/other", nil), cluster.Delete("/w/gone"), cluster.Put("/w/b", []byte("2")))
	require.NoError(t, err)
	w.expect("/w/b=2 -/w/gone /w/z=1 ", rev)
}

func testWatchEnds(t *testing.T, s cluster.Store) {
	ctx, cancel := context.WithCancel(deadline(t))
	cancelled := watch(t, ctx, s, "/w/", 0)
	cancelled.event()
	closed := watch(t, deadline(t), s, "/w/", 0)
	closed.event()
	seq := s.Watch(deadline(t), "/w/", 0)
	for range 2 { // each range is a watch of its own
		for ev, err := range seq {
			require.NoError(t, err)
			require.True(t, ev.Synced)
			break
		}
	}
	cancel()
	cancelled.fails(context.Canceled)
	require.NoError(t, s.Close())
	closed.fails(cluster.ErrClosed)
	watch(t, deadline(t), s, "bad", 0).fails(cluster.ErrInvalid)
}

func testWatchUnknownRevision(t *testing.T, s cluster.Store) {
	rev := mustPut(t, s, "/w/a", "1")
	watch(t, deadline(t), s, "/w/", rev+1).fails(cluster.ErrCompacted)
}

func testWatchCompacted(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	first := mustPut(t, s, "/w/a", "0")
	slow := watch(t, ctx, s, "/w/", 0)
	slow.event()
	slow.event()
	for i := range 40 {
		mustPut(t, s, "/w/a", fmt.Sprint(i))
	}
	slow.fails(cluster.ErrCompacted)
	watch(t, ctx, s, "/w/", first).fails(cluster.ErrCompacted)
	fresh := watch(t, ctx, s, "/w/", 0)
	fresh.expect("/w/a=39 ", first+40)
	near := watch(t, ctx, s, "/w/", first+39)
	near.expect("/w/a=39 ", first+40)
}

func testSlowWatcher(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	w := watch(t, ctx, s, "/w/", 0)
	w.event()
	var last int64
	for i := range 200 { // nobody reads meanwhile
		last = mustPut(t, s, "/w/k", fmt.Sprint(i))
	}
	for i := range 200 {
		w.expect(fmt.Sprintf("/w/k=%d ", i), last-199+int64(i))
	}
}
