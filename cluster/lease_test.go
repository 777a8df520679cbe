package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
)

// severed is a store whose writes can be made to fail.
type severed struct {
	cluster.Store
	off atomic.Bool
}

func (s *severed) Txn(ctx context.Context, parts ...cluster.Part) (int64, error) {
	if s.off.Load() {
		return 0, errors.New("no answer")
	}
	return s.Store.Txn(ctx, parts...)
}

func TestLeaseLivesAsLongAsItIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &severed{Store: memstore.New()}
		l, err := cluster.Grant(t.Context(), s, cluster.LeaseSpec{Name: "a", TTL: 9 * time.Second})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, l.Err())

		s.off.Store(true) // a short trouble does not matter
		time.Sleep(5 * time.Second)
		s.off.Store(false)
		time.Sleep(time.Minute)
		require.NoError(t, l.Err())

		s.off.Store(true)
		cut := time.Now()
		<-l.Done()
		require.ErrorIs(t, l.Err(), cluster.ErrLost)
		require.LessOrEqual(t, time.Since(cut), 9*time.Second)
		require.GreaterOrEqual(t, time.Since(cut), 6*time.Second, "it is not given up early")
		require.NoError(t, s.Close())
	})
}

// TestHolderKnowsBeforeTheHeir: whatever the moment of the cut, the holder's own time ends before another gets the lease.
func TestHolderKnowsBeforeTheHeir(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 2999 * time.Millisecond, 3 * time.Second, 3001 * time.Millisecond, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &severed{Store: memstore.New()}
			spec := cluster.LeaseSpec{Name: "a", TTL: 9 * time.Second}
			holder, err := cluster.Grant(t.Context(), s, spec)
			require.NoError(t, err)
			taken := make(chan time.Time)
			go func() {
				heir, err := cluster.Lock(t.Context(), s.Store, spec)
				if err != nil {
					t.Error(err)
				}
				taken <- time.Now()
				if err := heir.Release(t.Context()); err != nil {
					t.Error(err)
				}
				close(taken)
			}()
			time.Sleep(after)
			s.off.Store(true)
			cut := time.Now()
			<-holder.Done()
			known := time.Now()
			at := <-taken
			require.False(t, at.Before(known), "cut after %v: taken at %v, known at %v", after, at.Sub(cut), known.Sub(cut))
			require.LessOrEqual(t, at.Sub(cut), spec.TTL)
			<-taken
		})
	}
}

func TestElectionHandsOverAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		lonely := &severed{Store: s}
		ctx, cancel := context.WithCancel(t.Context())
		leading := make(chan string)
		ends := make(chan error, 2)
		run := func(name string, s cluster.Store) {
			e := &cluster.Election{Store: s, Spec: cluster.LeaseSpec{Name: "chief", TTL: 3 * time.Second, Info: name}}
			ends <- e.Run(ctx, func(term context.Context, l *cluster.Lease) error {
				leading <- name
				<-term.Done()
				if ctx.Err() == nil && !errors.Is(context.Cause(term), cluster.ErrLost) {
					t.Error("the term ended without a loss")
				}
				return term.Err()
			})
		}
		go run("a", lonely)
		require.Equal(t, "a", <-leading)
		go run("b", s)
		lonely.off.Store(true)
		require.Equal(t, "b", <-leading)
		lonely.off.Store(false)
		time.Sleep(time.Minute)
		e := &cluster.Election{Store: s, Spec: cluster.LeaseSpec{Name: "chief", TTL: 3 * time.Second}}
		info, err := e.Leader(ctx)
		require.NoError(t, err)
		require.Equal(t, "b", info, "a waits for its turn")
		cancel()
		require.NoError(t, <-ends)
		require.NoError(t, <-ends)
		_, err = e.Leader(t.Context())
		require.ErrorIs(t, err, cluster.ErrNotFound, "given back at the end")
	})
}

func TestElectionReturnsTheLeadersError(t *testing.T) {
	s := memstore.New()
	e := &cluster.Election{Store: s, Spec: cluster.LeaseSpec{Name: "chief", TTL: time.Minute}}
	boom := errors.New("boom")
	require.Equal(t, boom, e.Run(t.Context(), func(context.Context, *cluster.Lease) error { return boom }))
	require.NoError(t, s.Close())
	require.ErrorIs(t, e.Run(t.Context(), nil), cluster.ErrClosed)
}
