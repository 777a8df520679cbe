package clustertest

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

type animal struct {
	Legs int `json:"legs"`
}

func testCollection(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	c := cluster.NewCollection(s, "/animal", cluster.Schema[animal]{Kind: "animal", Version: 1})
	_, err := c.Get(ctx, "dog")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	rev, err := c.Create(ctx, "dog", animal{3}, cluster.Put("/index/dog", nil))
	require.NoError(t, err)
	_, err = c.Create(ctx, "dog", animal{5})
	require.True(t, cluster.ConflictOn(err, "/animal/dog"))

	interfered := false
	next, err := c.Update(ctx, "dog", func(a *animal) error {
		if !interfered { // somebody else is faster once
			interfered = true
			p, err := c.Put("dog", animal{7})
			require.NoError(t, err)
			_, err = s.Txn(ctx, p)
			require.NoError(t, err)
		}
		a.Legs++
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, rev+2, next)
	item, err := c.Get(ctx, "dog")
	require.NoError(t, err)
	require.Equal(t, cluster.Item[animal]{Name: "dog", Value: animal{8}, CreateRev: rev, ModRev: next}, item)

	refused := errors.New("refused")
	_, err = c.Update(ctx, "dog", func(*animal) error { return refused })
	require.Equal(t, refused, err)
	_, err = c.Update(ctx, "dog", func(*animal) error { return nil }, cluster.If(cluster.Exists("/none")))
	require.True(t, cluster.ConflictOn(err, "/none"), "a condition of the caller is not tried again")

	// Another version, another kind.
	v2 := cluster.NewCollection(s, "/animal", cluster.Schema[animal]{Kind: "animal", Version: 2, Upgrade: func(v int, data json.RawMessage) (animal, error) {
		var a animal
		err := json.Unmarshal(data, &a)
		a.Legs *= -1
		return a, err
	}})
	items, _, err := v2.List(ctx)
	require.NoError(t, err)
	require.Equal(t, -8, items[0].Value.Legs)
	_, err = v2.Update(ctx, "dog", func(a *animal) error { a.Legs = 4; return nil })
	require.NoError(t, err)
	_, err = c.Get(ctx, "dog")
	require.ErrorIs(t, err, cluster.ErrNewerFormat)
	_, err = cluster.NewCollection(s, "/animal", cluster.Schema[animal]{Kind: "plant", Version: 2}).Get(ctx, "dog")
	require.ErrorIs(t, err, cluster.ErrInvalid)

	require.ErrorIs(t, c.Delete(ctx, "dog", 1), cluster.ErrConflict)
	require.NoError(t, c.Delete(ctx, "dog", 0))
	require.ErrorIs(t, c.Delete(ctx, "dog", 0), cluster.ErrNotFound)
}

func testLeaseExcludes(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	spec := cluster.LeaseSpec{Name: "job/a", TTL: time.Minute, Info: "first"}
	first, err := cluster.Grant(ctx, s, spec)
	require.NoError(t, err)
	_, err = cluster.Grant(ctx, s, spec)
	require.ErrorIs(t, err, cluster.ErrHeld)
	other, err := cluster.Grant(ctx, s, cluster.LeaseSpec{Name: "job/b", TTL: time.Minute})
	require.NoError(t, err)
	require.NoError(t, other.Release(ctx))

	impatient, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = cluster.Lock(impatient, s, spec)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	got := make(chan *cluster.Lease)
	go func() {
		l, err := cluster.Lock(ctx, s, spec)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	require.NoError(t, first.Err())
	_, err = s.Txn(ctx, cluster.If(first.Guard()), cluster.Put("/guarded", nil))
	require.NoError(t, err)
	require.NoError(t, first.Release(ctx))
	require.NoError(t, first.Release(ctx), "again")
	<-first.Done()
	require.ErrorIs(t, first.Err(), cluster.ErrLost)
	second := <-got
	require.Greater(t, second.Token(), first.Token())
	require.NoError(t, second.Release(ctx))
	kvs, _, err := s.List(ctx, "/lease/")
	require.NoError(t, err)
	require.Empty(t, kvs, "nothing is left of released leases")
	_, err = cluster.Grant(ctx, s, cluster.LeaseSpec{Name: "job/c", TTL: time.Millisecond})
	require.ErrorIs(t, err, cluster.ErrInvalid)
}

// cutOff is a store whose writes stop working, as for a holder that hangs or has lost the network.
type cutOff struct {
	cluster.Store
	cut atomic.Bool
}

func (c *cutOff) Txn(ctx context.Context, parts ...cluster.Part) (int64, error) {
	if c.cut.Load() {
		return 0, errors.New("cut off")
	}
	return c.Store.Txn(ctx, parts...)
}

func testLeaseTakeover(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	spec := cluster.LeaseSpec{Name: "node", TTL: 200 * time.Millisecond}
	away := &cutOff{Store: s}
	dead, err := cluster.Grant(ctx, away, spec)
	require.NoError(t, err)
	away.cut.Store(true)
	heir, err := cluster.Lock(ctx, s, spec)
	require.NoError(t, err)
	select { // what it was granted ended before the heir could take it
	case <-dead.Done():
	case <-ctx.Done():
		t.Fatal("the dead holder still believes")
	}
	require.ErrorIs(t, dead.Err(), cluster.ErrLost)
	require.Greater(t, heir.Token(), dead.Token())
	require.Error(t, dead.Release(ctx))
	away.cut.Store(false)
	require.NoError(t, dead.Release(ctx), "what is lost cannot be given back, and the heir keeps it")
	_, err = s.Txn(ctx, cluster.If(heir.Guard()))
	require.NoError(t, err)
	require.NoError(t, heir.Release(ctx))
}

func testLeaseGuard(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	spec := cluster.LeaseSpec{Name: "guard", TTL: time.Minute}
	l, err := cluster.Grant(ctx, s, spec)
	require.NoError(t, err)
	guard := l.Guard()
	require.NoError(t, l.Release(ctx))
	_, err = s.Txn(ctx, cluster.If(guard), cluster.Put("/late", nil))
	require.ErrorIs(t, err, cluster.ErrConflict)
	next, err := cluster.Grant(ctx, s, spec)
	require.NoError(t, err)
	_, err = s.Txn(ctx, cluster.If(guard), cluster.Put("/late", nil))
	require.ErrorIs(t, err, cluster.ErrConflict, "a new tenure is not the old one")
	_, err = s.Txn(ctx, cluster.If(next.Guard()), cluster.Put("/late", nil))
	require.NoError(t, err)
	require.NoError(t, next.Release(ctx))
}

func testElection(t *testing.T, s cluster.Store) {
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	var leaders atomic.Int32
	terms := make(chan string)
	ends := make(chan error)
	for _, name := range []string{"a", "b", "c"} {
		e := &cluster.Election{Store: s, Spec: cluster.LeaseSpec{Name: "chief", TTL: 10 * time.Second, Info: name}}
		go func() {
			ends <- e.Run(ctx, func(term context.Context, l *cluster.Lease) error {
				if leaders.Add(1) != 1 {
					t.Error("two leaders")
				}
				defer leaders.Add(-1)
				if info, err := e.Leader(term); err != nil || info != name {
					t.Errorf("leader is %q, %v", info, err)
				}
				select {
				case terms <- name: // one term, then another's turn
				case <-term.Done():
				}
				return nil
			})
		}()
	}
	for range 5 {
		require.Contains(t, "abc", <-terms)
	}
	cancel()
	for range 3 {
		require.NoError(t, <-ends)
	}
}
