package vm

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// startup is the option startup: a place in the order (none: last) and the pause after the start.
type startup struct {
	order int
	up    time.Duration
}

// defaultPause follows the start of a guest whose option says nothing else.
const defaultPause = 3 * time.Second

func parseStartup(text string) startup {
	st := startup{order: math.MaxInt, up: defaultPause}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			key, value = "order", key
		}
		n, err := strconv.Atoi(value)
		switch {
		case err != nil:
		case key == "order":
			st.order = n
		case key == "up":
			st.up = time.Duration(n) * time.Second
		}
	}
	return st
}

// StartOnBoot starts the guests with onboot=1 in their order: one after the other, each with a pause behind it. It is for
// the start of the node, not for every start of the daemon, and returns when all are started or ctx ends.
func (s *Service) StartOnBoot(ctx context.Context) {
	var guests []*inventory.Guest
	for _, g := range s.o.Inventory.Snapshot().Guests {
		if g.OnBoot && !g.Template && g.Node == s.node && s.guest(g.ID) == nil {
			guests = append(guests, g)
		}
	}
	slices.SortStableFunc(guests, func(a, b *inventory.Guest) int {
		x, y := parseStartup(a.Startup).order, parseStartup(b.Startup).order
		switch {
		case x != y && x < y:
			return -1
		case x != y:
			return 1
		}
		return a.ID - b.ID
	})
	for i, g := range guests {
		sp := task.Spec{Type: opStart, ID: strconv.Itoa(g.ID), User: call.Root, Queue: queue(g.ID), Params: startParams{ID: g.ID}}
		id, err := s.o.Tasks.Submit(ctx, sp)
		if err != nil {
			s.o.Logger.Error("start at boot", "vmid", g.ID, "err", err)
			continue
		}
		st, err := s.o.Tasks.Wait(ctx, id)
		if err != nil {
			return
		}
		if st.Exit != "OK" {
			s.o.Logger.Error("start at boot", "vmid", g.ID, "status", st.Exit)
			continue
		}
		if i == len(guests)-1 {
			return
		}
		select {
		case <-time.After(parseStartup(g.Startup).up):
		case <-ctx.Done():
			return
		}
	}
}
