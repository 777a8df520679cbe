package vm

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/inventory"
)

func TestStartupOrder(t *testing.T) {
	guests := func() []*inventory.Guest {
		return []*inventory.Guest{
			{ID: 100}, {ID: 101, Startup: "order=2,up=60"}, {ID: 102, Startup: "up=10"}, {ID: 103, Startup: "2"}, {ID: 104, Startup: "order=1, down=7"},
			{ID: 105, Startup: "order=x,up=y"},
		}
	}
	type event struct {
		ID int
		At time.Duration
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var got []event
		inOrder(t.Context(), guests(), func(_ context.Context, id int) bool {
			got = append(got, event{id, time.Since(began)})
			time.Sleep(time.Second) // that long a start takes
			return id != 103        // without a pause then
		})
		require.Equal(t, []event{
			{104, 0}, {101, 4 * time.Second}, {103, 65 * time.Second}, {100, 66 * time.Second}, {102, 70 * time.Second}, {105, 81 * time.Second},
		}, got)
		require.Equal(t, 82*time.Second, time.Since(began), "no pause behind the last")
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		n := 0
		inOrder(ctx, guests(), func(context.Context, int) bool { n++; return true })
		require.Equal(t, 1, n)
	})
}

func TestStartOnBoot(t *testing.T) {
	s := newGuestSite(t)
	for id, p := range map[int][]any{
		100: {"onboot", 1, "startup", "order=2"}, 101: {}, 102: {"onboot", 1, "startup", "order=1,up=0"}, 103: {"onboot", 1, "args", "-no-such-option", "startup", "order=1,up=60"},
	} {
		s.makeVM(id, append([]any{"memory", 16}, p...)...)
	}
	s.makeVM(104, "memory", 16, "onboot", 1)
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 104}))
	s.eventually("the inventory has them", func() bool { g := s.inv.Guest(104); return g != nil && g.Template && s.inv.Guest(103) != nil })
	s.StartOnBoot(t.Context())
	require.ElementsMatch(t, []int{100, 102}, s.Running())
}
