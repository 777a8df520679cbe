package inventory_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/inventory"
)

// follow runs an inventory on the store until the test ends.
func follow(t *testing.T, store cluster.Store) *inventory.Inventory {
	t.Helper()
	v := inventory.New(store, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	<-v.Ready()
	return v
}

func put(t *testing.T, store cluster.Store, id int, config string) int64 {
	t.Helper()
	rev, err := store.Txn(t.Context(), cluster.Put(inventory.Key(id), inventory.Encode("alpha", config)))
	require.NoError(t, err)
	return rev
}

func drop(t *testing.T, store cluster.Store, id int) int64 {
	t.Helper()
	rev, err := store.Txn(t.Context(), cluster.Delete(inventory.Key(id)))
	require.NoError(t, err)
	return rev
}

func ids(v *inventory.Inventory) []int {
	out := []int{}
	for _, g := range v.Snapshot().Guests {
		out = append(out, g.ID)
	}
	return out
}

func TestFollowsTheStore(t *testing.T) {
	store := memstore.New()
	put(t, store, 1000, "name: old\n")
	_, err := store.Txn(t.Context(), cluster.Put("/vm/0100", []byte("x")), cluster.Put("/vm/100/below", []byte("x")), cluster.Put("/vm/name", []byte("x")))
	require.NoError(t, err)
	v := follow(t, store)
	require.Equal(t, []int{1000}, ids(v), "other keys are no guests")
	before := v.Snapshot()
	require.Same(t, before, v.Snapshot(), "nothing is made without a change")

	require.NoError(t, v.Wait(t.Context(), put(t, store, 101, "name: new\n")))
	require.Equal(t, []int{101, 1000}, ids(v))
	require.Equal(t, "new", v.Guest(101).Name)
	require.Greater(t, v.Snapshot().Version, before.Version)
	require.Len(t, before.Guests, 1, "an old snapshot stays as it was")

	require.NoError(t, v.Wait(t.Context(), put(t, store, 101, "name: other\n")))
	require.Equal(t, "other", v.Guest(101).Name)
	require.NoError(t, v.Wait(t.Context(), drop(t, store, 1000)))
	require.Equal(t, []int{101}, ids(v))
	require.Nil(t, v.Guest(1000))
}

func TestWaitForARevisionOfSomethingElse(t *testing.T) {
	store := memstore.New()
	v := follow(t, store)
	put(t, store, 100, "")
	rev, err := store.Txn(t.Context(), cluster.Put("/op/alpha/x", nil)) // no guest's key: the watch never tells of it
	require.NoError(t, err)
	require.NoError(t, v.Wait(t.Context(), rev))
	require.Equal(t, []int{100}, ids(v))

	drop(t, store, 100)
	rev, err = store.Txn(t.Context(), cluster.Put("/op/alpha/y", nil))
	require.NoError(t, err)
	require.NoError(t, v.Wait(t.Context(), rev))
	require.Empty(t, ids(v))
}

func TestWaitEndsWithItsContext(t *testing.T) {
	store := memstore.New()
	v := inventory.New(store, nil) // nobody runs it
	rev := put(t, store, 100, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, v.Wait(ctx, rev), context.Canceled)
	require.NoError(t, store.Close())
	require.ErrorIs(t, v.Wait(t.Context(), rev), cluster.ErrClosed)
	require.ErrorIs(t, v.Run(t.Context()), cluster.ErrClosed)
}

// slowStore holds its first watch after the first event until the channel is closed.
type slowStore struct {
	*memstore.Store
	held    chan struct{}
	release chan struct{}
}

func (s *slowStore) Watch(ctx context.Context, prefix string, from int64) iter.Seq2[cluster.Event, error] {
	return func(yield func(cluster.Event, error) bool) {
		for ev, err := range s.Store.Watch(ctx, prefix, from) {
			if !yield(ev, err) {
				return
			}
			if ev.Synced && s.held != nil {
				close(s.held)
				s.held = nil
				<-s.release
			}
		}
	}
}

func TestListsAgainAfterFallingBehind(t *testing.T) {
	store := &slowStore{Store: memstore.WithHistory(2), held: make(chan struct{}), release: make(chan struct{})}
	held := store.held
	put(t, store, 100, "")
	put(t, store, 101, "")
	v := follow(t, store)
	<-held
	v.SetLive(map[int]inventory.Live{100: {Status: "running", PID: 1}, 101: {Status: "running", PID: 2}})
	drop(t, store, 100)
	for i := range 5 {
		put(t, store, 101, fmt.Sprintf("name: n%d\n", i))
	}
	rev := put(t, store, 102, "")
	require.Equal(t, []int{100, 101}, ids(v))
	close(store.release)
	require.NoError(t, v.Wait(t.Context(), rev))
	require.Equal(t, []int{101, 102}, ids(v), "what was deleted meanwhile is gone")
	require.Equal(t, "n4", v.Guest(101).Name)
	require.Equal(t, 2, v.Guest(101).Live.PID, "figures outlive a listing")

	require.NoError(t, v.Wait(t.Context(), put(t, store, 100, "")))
	require.False(t, v.Guest(100).Live.Running(), "a new guest does not inherit the figures of an old one")
}

func TestLiveFigures(t *testing.T) {
	store := memstore.New()
	v := follow(t, store)
	early := inventory.Live{Status: "running", PID: 7, Mem: 1}
	v.SetLive(map[int]inventory.Live{100: early})
	require.Nil(t, v.Guest(100))
	require.NoError(t, v.Wait(t.Context(), put(t, store, 100, "memory: 64\n")))
	require.Equal(t, early, v.Guest(100).Live, "figures that came before the row")

	row := v.Guest(100)
	version := v.Snapshot().Version
	v.SetLive(map[int]inventory.Live{100: early})
	require.Equal(t, version, v.Snapshot().Version, "no change")
	v.SetLive(map[int]inventory.Live{100: {}})
	require.False(t, v.Guest(100).Live.Running())
	require.Greater(t, v.Snapshot().Version, version)
	require.Equal(t, early, row.Live, "rows are never changed")

	v.SetLive(map[int]inventory.Live{100: {Status: "paused"}})
	require.NoError(t, v.Wait(t.Context(), put(t, store, 100, "memory: 128\n")))
	require.Equal(t, "paused", v.Guest(100).Live.Status, "figures outlive a change of the configuration")
}

func TestUnreadableRecordsAreShown(t *testing.T) {
	store := memstore.New()
	_, err := store.Txn(t.Context(),
		cluster.Put(inventory.Key(100), []byte(`{"v":99,"node":"alpha","config":"name: x"}`)),
		cluster.Put(inventory.Key(101), []byte("garbage")))
	require.NoError(t, err)
	v := follow(t, store)
	require.Equal(t, []int{100, 101}, ids(v))
	require.Equal(t, "alpha", v.Guest(100).Node)
	require.Equal(t, "VM 101", v.Guest(101).Name)
}

func TestRecord(t *testing.T) {
	r, err := inventory.Decode(inventory.Encode("alpha", "name: x\n"))
	require.NoError(t, err)
	require.Equal(t, inventory.Record{Version: 1, Node: "alpha", Config: "name: x\n"}, r)
	_, err = inventory.Decode([]byte(`{"v":2}`))
	require.ErrorContains(t, err, "form 2")
	_, err = inventory.Decode(nil)
	require.Error(t, err)
}

func TestManyReadersOneWriter(t *testing.T) {
	store := memstore.New()
	v := follow(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				s := v.Snapshot()
				for i := 1; i < len(s.Guests); i++ {
					if s.Guests[i-1].ID >= s.Guests[i].ID {
						panic("not sorted")
					}
				}
				v.SetLive(map[int]inventory.Live{100: {Status: "running", Mem: int64(s.Version)}})
				v.Guest(101)
			}
		})
	}
	var rev int64
	for i := range 50 {
		rev = put(t, store, 100+i%10, fmt.Sprintf("name: n%d\n", i))
	}
	require.NoError(t, v.Wait(ctx, rev))
	cancel()
	readers.Wait()
	require.Equal(t, "n49", v.Guest(109).Name)
}

// afterList is a store whose next List of guests is followed by something before its caller sees the result.
type afterList struct {
	cluster.Store
	then func()
}

func (s *afterList) List(ctx context.Context, prefix string) ([]cluster.KV, int64, error) {
	kvs, rev, err := s.Store.List(ctx, prefix)
	if then := s.then; then != nil && prefix == inventory.Prefix {
		s.then = nil
		then()
	}
	return kvs, rev, err
}

func TestWaitIsNotForGuestsThatComeMeanwhile(t *testing.T) {
	store := &afterList{Store: memstore.New()}
	v := follow(t, store)
	rev, err := store.Txn(t.Context(), cluster.Put("/other", []byte("x")))
	require.NoError(t, err)
	store.then = func() {
		put(t, store, 100, "name: new\n")
		require.Eventually(t, func() bool { return len(ids(v)) == 1 }, 10*time.Second, time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, v.Wait(ctx, rev))
}
