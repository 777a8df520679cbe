package vm

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// end lets a ladder end the process and cleans up behind it. If that fails, or the operation is cancelled, a process that
// has ended all the same is cleaned up behind like one that ended by itself.
func (s *Service) end(ctx context.Context, op *task.Op, g *guest, ladder func(context.Context) error) error {
	g.claim()
	err := ladder(ctx)
	if err == nil {
		select {
		case <-g.gone:
			err = s.exited(ctx, op, g.id, g.holds().Start, false)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil && g.release() {
		s.submitExited(g.id, g.holds().Start, false)
	}
	return err
}

// exitedParams are the parameters of the hidden operation that cleans up behind a process that ended by itself.
type exitedParams struct {
	ID      int
	Start   string // which process
	ByGuest bool   // it was the guest's own wish
}

// submitExited has the remains of a process cleaned up in the VM's queue.
func (s *Service) submitExited(id int, start string, byGuest bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	sp := task.Spec{Type: opExited, ID: strconv.Itoa(id), User: call.Root, Queue: queue(id), Hidden: true, Params: exitedParams{id, start, byGuest}}
	if _, err := s.o.Tasks.Submit(ctx, sp); err != nil {
		// The next start or stop of the VM finds what is held and lets it go, and so does the next start of the daemon.
		s.o.Logger.Error("clean-up behind a guest could not be submitted", "vmid", id, "err", err)
	}
}

func (s *Service) runExited(ctx context.Context, op *task.Op) error {
	var p exitedParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	return s.exited(ctx, op, p.ID, p.Start, p.ByGuest)
}

// cleanUp is exited for whatever is left of a VM that does not run.
func (s *Service) cleanUp(ctx context.Context, op *task.Op, id int) error {
	h, err := s.hold(ctx, id)
	if err != nil || h == nil {
		return err
	}
	return s.exited(ctx, op, id, h.Start, false)
}

// exited lets go what a process held that has ended, unless that has happened already, and starts the VM again if that
// was asked for. Pending changes take effect now, but not after a shutdown from inside the guest. It may be repeated from
// any point on: the record of what is held goes last, in one commit with the start of a reboot.
func (s *Service) exited(ctx context.Context, op *task.Op, id int, start string, byGuest bool) error {
	h, err := s.hold(ctx, id)
	if err != nil || h == nil || h.Start != start {
		return err
	}
	if g := s.guest(id); g != nil && g.holds().Start == start {
		return nil // a start that went on after a restart of the daemon has begun another process
	}
	s.o.FailPoint("ended")
	if err := s.letGo(ctx, h); err != nil {
		return err
	}
	s.o.FailPoint("let go")
	v, err := s.applyExited(ctx, op, id, byGuest)
	if err != nil {
		return err
	}
	if v != nil {
		s.tryHook(ctx, op, v, phasePostStop)
	}
	parts, err := s.drop(ctx, id, start)
	if err != nil {
		return err
	}
	if len(parts) == 0 || !h.Reboot || v == nil {
		return op.Commit(ctx, parts...)
	}
	sp := task.Spec{Type: opStart, ID: strconv.Itoa(id), User: call.Root, Queue: queue(id), Params: startParams{ID: id}}
	parts = append(parts, cluster.If(cluster.Exists(s.holdKey(id))))
	_, err = s.o.Tasks.Submit(ctx, sp, parts...)
	return err
}

// applyExited lets pending changes of a VM take effect that has ended, and returns it. Nil: there is no such VM any more.
func (s *Service) applyExited(ctx context.Context, op *task.Op, id int, byGuest bool) (*VM, error) {
	v, err := s.Load(ctx, id)
	if err != nil {
		if _, lost := s.store.Get(ctx, inventory.Key(id)); errors.Is(lost, cluster.ErrNotFound) {
			return nil, nil
		}
		return nil, err
	}
	if err := s.freeDoomed(ctx, op, v); err != nil {
		return nil, err
	}
	if byGuest || v.suspended() || !v.Config.HasPending() {
		return v, nil
	}
	problems, err := s.applyPending(ctx, op, v)
	if err != nil {
		return nil, err
	}
	for key, text := range problems {
		op.Logf("WARN: %s: %s", key, text)
	}
	return v, nil
}
