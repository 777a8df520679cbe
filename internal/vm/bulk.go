package vm

import (
	"cmp"
	"context"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// bulkQueue lets one operation on many guests run at a time: two would undo each other's work.
const bulkQueue = "bulk"

// bulkParams are the parameters of the operations startall, stopall and suspendall.
type bulkParams struct {
	VMs       []int `json:",omitempty"` // these only; nil: all that the operation is meant for
	Force     bool  `json:",omitempty"` // startall: without onboot, too
	ForceStop bool  `json:",omitempty"` // stopall: pull the plug when the time is over
	Timeout   int   `json:",omitempty"` // stopall: seconds, for guests that say nothing else
	Workers   int   `json:",omitempty"` // guests at the same time; 0: by the datacenter's option, else the host's size
	Boot      bool  `json:",omitempty"` // startall: it is the start of the node
}

// selected are the guests of this node that the operation is about, as it is when it runs, and which of them are meant by
// all unless named.
func (s *Service) selected(p bulkParams, all func(*inventory.Guest) bool) []*inventory.Guest {
	var out []*inventory.Guest
	for _, g := range s.o.Inventory.Snapshot().Guests {
		if g.Node == s.node && !g.Template && (p.VMs == nil || slices.Contains(p.VMs, g.ID)) && all(g) {
			out = append(out, g)
		}
	}
	return out
}

// workers is how many guests an operation takes at the same time.
func (s *Service) workers(ctx context.Context, p bulkParams) int {
	return cmp.Or(p.Workers, s.o.Settings.MaxWorkers(ctx), min(max(1, runtime.NumCPU()-1), 8))
}

// runStartAll starts guests in their order and waits after each as its option startup says.
func (s *Service) runStartAll(ctx context.Context, op *task.Op) error {
	var p bulkParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if p.Boot {
		s.dropBackupLocks(ctx, op)
	}
	guests := s.selected(p, func(g *inventory.Guest) bool { return (g.OnBoot || p.Force) && s.guest(g.ID) == nil })
	return inOrder(ctx, guests, false, s.workers(ctx, p), func(g *inventory.Guest) {
		op.Logf("Starting VM %d", g.ID)
		err := s.part(ctx, opStart, g.ID, func() (string, error) {
			return s.PostNodesQemuStatusStart(ctx, &schema.PostNodesQemuStatusStart{Node: s.node, Vmid: int64(g.ID)})
		})
		if err != nil {
			s.partFailed(ctx, op, "Starting", g.ID, err)
			return
		}
		if pause := startup(g.Startup).UpSec.Or(defaultPause); pause > 0 {
			op.Logf("Waiting for %d seconds (startup delay)", pause)
			sleep(ctx, time.Duration(pause)*time.Second)
		}
	})
}

// dropBackupLocks removes what a backup has left that the end of the host cut short: none can be running when the node
// has just started.
func (s *Service) dropBackupLocks(ctx context.Context, op *task.Op) {
	for _, g := range s.o.Inventory.Snapshot().Guests {
		if g.Node != s.node || g.Lock != lockBackup {
			continue
		}
		p := updateParams{ID: g.ID, Update: vmconfig.Update{Delete: []string{"lock"}}, SkipLock: true}
		sp := task.Spec{Type: opSetSync, ID: strconv.Itoa(g.ID), User: call.Root, Queue: queue(g.ID), Params: p, Hidden: true}
		if _, err := s.o.Tasks.SubmitWait(ctx, sp); err != nil {
			op.Warnf("lock of VM %d: %s", g.ID, s.shownError(g.ID, err))
			continue
		}
		op.Logf("removed left over backup lock from '%d'!", g.ID)
	}
}

// runStopAll shuts the running guests down, in the order opposite to that of their start.
func (s *Service) runStopAll(ctx context.Context, op *task.Op) error {
	var p bulkParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	guests := s.selected(p, func(g *inventory.Guest) bool { return s.guest(g.ID) != nil })
	return inOrder(ctx, guests, true, s.workers(ctx, p), func(g *inventory.Guest) {
		timeout := int64(startup(g.Startup).DownSec.Or(p.Timeout))
		op.Logf("Stopping VM %d (timeout = %d seconds)", g.ID, timeout)
		err := s.part(ctx, opShutdown, g.ID, func() (string, error) {
			return s.PostNodesQemuStatusShutdown(ctx, &schema.PostNodesQemuStatusShutdown{
				Node: s.node, Vmid: int64(g.ID), Timeout: &timeout, ForceStop: &p.ForceStop,
			})
		})
		if err != nil {
			s.partFailed(ctx, op, "Stopping", g.ID, err)
		}
	})
}

// runSuspendAll suspends the running guests to disk.
func (s *Service) runSuspendAll(ctx context.Context, op *task.Op) error {
	var p bulkParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	guests := s.selected(p, func(g *inventory.Guest) bool { return s.guest(g.ID) != nil })
	toDisk := true
	return inOrder(ctx, guests, true, s.workers(ctx, p), func(g *inventory.Guest) {
		op.Logf("Suspending VM %d", g.ID)
		err := s.part(ctx, opSuspend, g.ID, func() (string, error) {
			return s.PostNodesQemuStatusSuspend(ctx, &schema.PostNodesQemuStatusSuspend{Node: s.node, Vmid: int64(g.ID), Todisk: &toDisk})
		})
		if err != nil {
			s.partFailed(ctx, op, "Suspending", g.ID, err)
		}
	})
}

// part is the task of one guest and waits for its end. One of that type that is under way already, as after a restart of the
// daemon, is waited for in place of a new one.
func (s *Service) part(ctx context.Context, typ string, id int, begin func() (string, error)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := ""
	if rows, _ := s.o.Tasks.List(task.Filter{Active: true, Type: typ, ID: strconv.Itoa(id), Limit: 1}); len(rows) > 0 {
		text = rows[0].UPID.String()
	} else {
		var err error
		if text, err = begin(); err != nil {
			return err
		}
	}
	up, err := upid.Parse(text)
	if err != nil {
		return err
	}
	switch st, err := s.o.Tasks.Wait(ctx, up); {
	case err != nil:
		return err
	case st.Exit != "OK":
		return call.Errorf("%s", st.Exit)
	}
	return nil
}

// partFailed notes that a guest's task failed. When the whole is cancelled, or the daemon ends, it may yet succeed.
func (s *Service) partFailed(ctx context.Context, op *task.Op, what string, id int, err error) {
	if ctx.Err() == nil {
		op.Logf("%s VM %d failed: %s", what, id, s.shownError(id, err))
	}
}

// inOrder does something with guests, in the order of their option startup and then of their ids, or in the opposite one.
// Guests of one order are taken side by side, up to workers; the next order begins when all are done. It returns the cause
// of ctx's end if that comes first.
func inOrder(ctx context.Context, guests []*inventory.Guest, opposite bool, workers int, do func(*inventory.Guest)) error {
	groups := map[int][]*inventory.Guest{}
	for _, g := range guests {
		order := startup(g.Startup).Order.Or(math.MaxInt)
		groups[order] = append(groups[order], g)
	}
	orders := slices.Sorted(maps.Keys(groups))
	if opposite {
		slices.Reverse(orders)
	}
	for _, order := range orders {
		group := groups[order]
		slices.SortFunc(group, func(a, b *inventory.Guest) int {
			if opposite {
				a, b = b, a
			}
			return a.ID - b.ID
		})
		slots := make(chan struct{}, workers)
		var wg sync.WaitGroup
		for _, g := range group {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			wg.Go(func() {
				defer func() { <-slots }()
				do(g)
			})
		}
		wg.Wait()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
