package clustertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/turtacn/go-proxmox/cluster"
)

// call is one operation on a register, between two ticks of a common clock: a read (got), a write (new) or a
// compare-and-swap (old, new, ok).
type call struct {
	kind          string
	old, new, got string
	ok            bool
	begin, end    int64
}

func (c call) String() string {
	return fmt.Sprintf("[%d,%d] %s old=%q new=%q got=%q ok=%v", c.begin, c.end, c.kind, c.old, c.new, c.got, c.ok)
}

// apply runs the call on a register: the new state, and whether the call's answer fits.
func (c call) apply(state string) (string, bool) {
	switch c.kind {
	case "read":
		return state, c.got == state
	case "write":
		return c.new, true
	default: // cas
		if c.ok != (state == c.old) {
			return state, false
		}
		if c.ok {
			return c.new, true
		}
		return state, true
	}
}

// linearizable searches an order of all calls that respects time and that a single register would answer as observed
// (Wing and Gong's search with a memory of dead ends). At most 64 calls.
func linearizable(history []call, initial string) bool {
	type point struct {
		done  uint64
		state string
	}
	dead := map[point]bool{}
	var search func(p point) bool
	search = func(p point) bool {
		if p.done == 1<<len(history)-1 {
			return true
		}
		if dead[p] {
			return false
		}
		first := int64(1<<62 - 1) // whoever is next must have begun before every other's end
		for i, c := range history {
			if p.done&(1<<i) == 0 {
				first = min(first, c.end)
			}
		}
		for i, c := range history {
			if p.done&(1<<i) != 0 || c.begin > first {
				continue
			}
			if state, fits := c.apply(p.state); fits && search(point{p.done | 1<<i, state}) {
				return true
			}
		}
		dead[p] = true
		return false
	}
	return search(point{0, initial})
}

// testLinearizable runs many short histories of concurrent reads, writes and compare-and-swaps on one key.
func testLinearizable(t *testing.T, s cluster.Store) {
	const rounds, clients, each = 40, 4, 8
	ctx := deadline(t)
	for round := range rounds {
		key := fmt.Sprintf("/lin/%d", round)
		mustPut(t, s, key, "0")
		var clock atomic.Int64
		var mu sync.Mutex
		var history []call
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(round), uint64(client)))
				for range each {
					c := call{kind: []string{"read", "write", "cas"}[rnd.IntN(3)], old: fmt.Sprint(rnd.IntN(3)), new: fmt.Sprint(rnd.IntN(3))}
					var err error
					c.begin = clock.Add(1)
					switch c.kind {
					case "read":
						var kv cluster.KV
						kv, err = s.Get(ctx, key)
						c.got = string(kv.Value)
					case "write":
						_, err = s.Txn(ctx, cluster.Put(key, []byte(c.new)))
					case "cas":
						_, err = s.Txn(ctx, cluster.If(cluster.ValueEquals(key, []byte(c.old))), cluster.Put(key, []byte(c.new)))
						c.ok = err == nil
						if errors.Is(err, cluster.ErrConflict) {
							err = nil
						}
					}
					c.end = clock.Add(1)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					history = append(history, c)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if !linearizable(history, "0") {
			lines := make([]string, len(history))
			for i, c := range history {
				lines[i] = c.String()
			}
			t.Fatalf("round %d is not linearizable:\n%s", round, strings.Join(lines, "\n"))
		}
	}
}
