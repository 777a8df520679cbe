package feed

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

func event(rev int64, size int) cluster.Event {
	return cluster.Event{Rev: rev, Changes: []cluster.Change{{KV: cluster.KV{Key: "/k", Value: make([]byte, size), ModRev: rev}}}}
}

func TestBoundedByBytes(t *testing.T) {
	f := New(10, 1000, 10_000)
	for rev := int64(11); rev <= 60; rev++ {
		f.Append(event(rev, 1000))
	}
	require.LessOrEqual(t, f.bytes, 10_000)
	require.Equal(t, int64(52), f.base)
	_, _, err := f.after(51)
	require.ErrorIs(t, err, cluster.ErrCompacted)
	events, _, err := f.after(52)
	require.NoError(t, err)
	require.Len(t, events, 8)
	f.Append(event(61, 20_000)) // one that is too large alone leaves nothing
	require.Empty(t, f.events)
	require.Zero(t, f.bytes)
	_, changed, err := f.after(61)
	require.NoError(t, err)
	require.NotNil(t, changed)
}

func TestRevisionsHaveNoGaps(t *testing.T) {
	f := New(0, 10, 10_000)
	f.Append()
	f.Append(event(1, 1))
	require.Panics(t, func() { f.Append(event(3, 1)) })
	require.Panics(t, func() { f.Append(event(1, 1)) })
}

// TestCommittedBeforeAppended is a watch that lists a revision whose event the store appends only afterwards.
func TestCommittedBeforeAppended(t *testing.T) {
	f := New(4, 10, 10_000)
	list := func(context.Context, string) ([]cluster.KV, int64, error) {
		return []cluster.KV{{Key: "/k", ModRev: 5}}, 5, nil
	}
	var revs []int64
	for ev, err := range f.Watch(t.Context(), "/", 0, list) {
		require.NoError(t, err)
		revs = append(revs, ev.Rev)
		if ev.Synced {
			f.Append(event(5, 1), event(6, 1))
		}
		if len(revs) == 3 {
			break
		}
	}
	require.Equal(t, []int64{5, 5, 6}, revs, "the listed revision is not reported again")
}

func TestReadersShareNoValues(t *testing.T) {
	f := New(0, 10, 10_000)
	f.Append(event(1, 1), event(2, 1))
	list := func(context.Context, string) ([]cluster.KV, int64, error) { return nil, 2, nil }
	for range 2 {
		for ev, err := range f.Watch(t.Context(), "/", 1, list) {
			require.NoError(t, err)
			require.Equal(t, []byte{0}, ev.Changes[0].Value)
			ev.Changes[0].Value[0] = 'x'
			break
		}
	}
}
