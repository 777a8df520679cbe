package clustertest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

// testCounter has several writers add to one counter, each write guarded by what was read: no addition may be lost.
func testCounter(t *testing.T, s cluster.Store) {
	const writers, each = 8, 40
	ctx := deadline(t)
	mustPut(t, s, "/n/counter", "0")
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				kv, err := s.Get(ctx, "/n/counter")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(kv.Value))
				_, err = s.Txn(ctx, cluster.If(cluster.ModRev(kv.Key, kv.ModRev)), cluster.Put(kv.Key, fmt.Append(nil, n+1)))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, cluster.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	kv, err := s.Get(ctx, "/n/counter")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(writers*each), string(kv.Value))
}

// testSnapshots moves amounts between keys and lists meanwhile: every list must have the same sum, and later lists
// later revisions.
func testSnapshots(t *testing.T, s cluster.Store) {
	const keys, moves = 5, 60
	ctx := deadline(t)
	for i := range keys {
		mustPut(t, s, fmt.Sprintf("/sum/%d", i), "100")
	}
	var movers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 3 {
		movers.Go(func() {
			for i := range moves {
				move(t, ctx, s, fmt.Sprintf("/sum/%d", (w+i)%keys), fmt.Sprintf("/sum/%d", (w+i+1)%keys))
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for last := int64(0); ; {
				kvs, rev, err := s.List(ctx, "/sum/")
				sum := 0
				for _, kv := range kvs {
					n, _ := strconv.Atoi(string(kv.Value))
					sum += n
				}
				if err != nil || sum != keys*100 || rev < last {
					t.Errorf("list at %d after %d: sum %d, %v", rev, last, sum, err)
					return
				}
				last = rev
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	movers.Wait()
	close(stop)
	readers.Wait()
}

func move(t *testing.T, ctx context.Context, s cluster.Store, from, to string) {
	for {
		a, err1 := s.Get(ctx, from)
		b, err2 := s.Get(ctx, to)
		if err := errors.Join(err1, err2); err != nil {
			t.Error(err)
			return
		}
		x, _ := strconv.Atoi(string(a.Value))
		y, _ := strconv.Atoi(string(b.Value))
		_, err := s.Txn(ctx, cluster.If(cluster.ModRev(from, a.ModRev), cluster.ModRev(to, b.ModRev)),
			cluster.Put(from, fmt.Append(nil, x-1)), cluster.Put(to, fmt.Append(nil, y+1)))
		if !errors.Is(err, cluster.ErrConflict) {
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

// testWatchRebuilds has watchers that begin at different times replay a busy store: each must see revisions rise and
// end up with exactly the state that a list shows.
func testWatchRebuilds(t *testing.T, s cluster.Store) {
	const watchers, writers, each = 4, 4, 30
	ctx := deadline(t)
	states := make([]map[string]cluster.KV, watchers)
	var watching, writing sync.WaitGroup
	for i := range watchers {
		watching.Go(func() { states[i] = replay(t, ctx, s, "/rep/", "/rep/end") })
		for w := range writers {
			writing.Go(func() {
				for n := range each {
					key := fmt.Sprintf("/rep/%d", (w*7+n*n)%13)
					parts := []cluster.Part{cluster.Put(key, fmt.Append(nil, i, w, n))}
					if n%3 == 0 {
						parts = []cluster.Part{cluster.Delete(key), cluster.Put("/rep/extra", fmt.Append(nil, n))}
					}
					if _, err := s.Txn(ctx, parts...); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	writing.Wait()
	mustPut(t, s, "/rep/end", "x")
	watching.Wait()
	kvs, _, err := s.List(ctx, "/rep/")
	require.NoError(t, err)
	want := map[string]cluster.KV{}
	for _, kv := range kvs {
		want[kv.Key] = kv
	}
	for _, got := range states {
		require.Equal(t, want, got)
	}
}

// replay applies a watch to a map until the key end appears.
func replay(t *testing.T, ctx context.Context, s cluster.Store, prefix, end string) map[string]cluster.KV {
	state := map[string]cluster.KV{}
	last, synced := int64(0), false
	for ev, err := range s.Watch(ctx, prefix, 0) {
		if err != nil {
			t.Error(err)
			return nil
		}
		if ev.Rev < last || (ev.Rev == last && last != 0 && !ev.Synced) || (ev.Synced && synced) {
			t.Errorf("revision %d after %d", ev.Rev, last)
			return nil
		}
		last, synced = ev.Rev, synced || ev.Synced
		for _, c := range ev.Changes {
			if c.Deleted {
				delete(state, c.Key)
			} else {
				state[c.Key] = c.KV
			}
		}
		if _, ok := state[end]; ok && synced {
			return state
		}
	}
	return nil
}
