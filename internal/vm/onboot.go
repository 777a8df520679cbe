package vm

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// defaultPause follows the start of a guest whose option says nothing else.
const defaultPause = 3 // seconds

// startup reads a guest's option startup; one that cannot be read says nothing.
func startup(text string) vmconfig.Startup {
	if st, err := vmconfig.ParseStartup(text); err == nil {
		return st
	}
	return vmconfig.Startup{}
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
	inOrder(ctx, guests, s.startOnBoot)
}

// inOrder starts guests one after the other, in the order of their option startup. A pause follows each that has started,
// but for the last.
func inOrder(ctx context.Context, guests []*inventory.Guest, start func(ctx context.Context, id int) (ok bool)) {
	slices.SortStableFunc(guests, func(a, b *inventory.Guest) int {
		if c := cmp.Compare(startup(a.Startup).Order.Or(math.MaxInt), startup(b.Startup).Order.Or(math.MaxInt)); c != 0 {
			return c
		}
		return a.ID - b.ID
	})
	for i, g := range guests {
		if ctx.Err() != nil {
			return
		}
		if !start(ctx, g.ID) || i == len(guests)-1 {
			continue
		}
		pause := time.NewTimer(time.Duration(startup(g.Startup).UpSec.Or(defaultPause)) * time.Second)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// startOnBoot starts a guest and waits for the end of that.
func (s *Service) startOnBoot(ctx context.Context, id int) bool {
	sp := task.Spec{Type: opStart, ID: strconv.Itoa(id), User: call.Root, Queue: queue(id), Params: startParams{ID: id}}
	up, err := s.o.Tasks.Submit(ctx, sp)
	if err == nil {
		var st task.Status
		if st, err = s.o.Tasks.Wait(ctx, up); err == nil {
			err = st.Err
		}
	}
	if err != nil {
		s.o.Logger.Error("start at boot", "vmid", id, "err", err)
	}
	return err == nil
}
