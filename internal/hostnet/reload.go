package hostnet

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

const (
	taskReload  = "srvreload" // as Proxmox VE names the task
	stepNetwork = "network"   // of its journal
)

// reload are the parameters of the task.
type reload struct {
	Local bool `json:"local"` // asked for from the node itself
}

// former is what a reload is undone with.
type former struct {
	Want netkit.State `json:"want"` // what it changes, as it was
	Gone netkit.State `json:"gone"` // what it makes
}

func (s *Service) registerReload() {
	s.tasks.Register(taskReload, task.Handler{
		Run: s.runReload, Recovery: task.Undo, Undo: map[string]task.UndoFunc{stepNetwork: s.undoReload},
	})
}

// runReload applies the pending configuration: first to the kernel, then, when a client has got through to the node, to
// the file. Until then everything is undone if it fails, if nobody gets through, or if the daemon is killed; from then on a
// repetition finds the kernel as it should be and puts the file in its place.
func (s *Service) runReload(ctx context.Context, op *task.Op) error {
	var p reload
	if err := op.Decode(&p); err != nil {
		return err
	}
	active, pending, err := s.read()
	if err != nil {
		return err
	}
	text := active.text
	if pending.there {
		text = pending.text
	}
	steps, err := s.planReload(ctx, op, active.text, text)
	if err != nil {
		return err
	}
	if len(steps) > 0 {
		if err := s.switchOver(ctx, op, steps, p.Local); err != nil {
			return err
		}
		if err := op.Retract(ctx); err != nil {
			return err
		}
	}
	s.fail(ctx, "confirmed")
	if !pending.there {
		return nil
	}
	if err := atomicfile.Write(s.file, []byte(text), fileMode); err != nil {
		return err
	}
	s.fail(ctx, "written")
	return s.dropApplied(ctx, text)
}

// planReload compares the kernel with the configuration and notes what a revert needs.
func (s *Service) planReload(ctx context.Context, op *task.Op, active, text string) (netkit.Steps, error) {
	have, err := s.conn.State(ctx)
	if err != nil {
		return nil, err
	}
	live := liveOf(have.Links)
	w, err := desired(interfaces.Parse(text, live), interfaces.Parse(active, live), have, s.own)
	if err != nil {
		return nil, err
	}
	for _, note := range w.notes {
		op.Warnf("%s", note)
	}
	steps, err := netkit.PlanState(have, w.want, w.gone)
	if err != nil {
		return nil, call.Errorf("%w", err)
	}
	for _, step := range steps {
		op.Logf("%s", step)
	}
	if len(steps) == 0 {
		op.Logf("the network is as configured")
		return nil, nil
	}
	return steps, op.Step(ctx, stepNetwork, formerOf(have, w.want, steps))
}

// switchOver changes the kernel and waits until the node is reached.
func (s *Service) switchOver(ctx context.Context, op *task.Op, steps netkit.Steps, local bool) error {
	s.fail(ctx, "noted")
	s.changes.Lock()
	err := s.conn.Apply(ctx, steps)
	s.changes.Unlock()
	if err != nil {
		return call.Errorf("%w", err)
	}
	s.fail(ctx, "applied")
	if s.confirm < 0 {
		return nil
	}
	op.Logf("waiting up to %v for a request to this node; without one the former network configuration comes back", s.confirm)
	if err := s.awaits.wait(ctx, local, s.confirm); errors.Is(err, errUnconfirmed) {
		return call.Errorf("%w", err)
	} else if err != nil {
		return err
	}
	op.Logf("the node is reached")
	return nil
}

// dropApplied removes the pending file, unless somebody has changed it since it was read.
func (s *Service) dropApplied(ctx context.Context, text string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	now, err := readStored(s.pendingFile())
	if err != nil || !now.there || now.text != text {
		return err
	}
	return os.Remove(s.pendingFile())
}

// undoReload brings the kernel back to what it was.
func (s *Service) undoReload(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var f former
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	return s.restore(ctx, f, func(step netkit.Step) { op.Logf("back: %s", step) })
}

// restore brings the kernel back to what it was; whoever calls it holds changes. Guests' taps that have gone meanwhile are not
// made again.
func (s *Service) restore(ctx context.Context, f former, tell func(netkit.Step)) error {
	have, err := s.conn.State(ctx)
	if err != nil {
		return err
	}
	f.Want.Links = slices.DeleteFunc(f.Want.Links, func(l netkit.Link) bool {
		return !madeByFile(l.Kind) && !slices.ContainsFunc(have.Links, func(h netkit.Link) bool { return h.Name == l.Name })
	})
	steps, err := netkit.PlanState(have, f.Want, f.Gone)
	if err != nil {
		return err
	}
	for _, step := range steps {
		tell(step)
	}
	return s.conn.Apply(ctx, steps)
}

// formerOf is what the steps change, as it is before them.
func formerOf(have, want netkit.State, steps netkit.Steps) former {
	touched, deleted, remade := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var f former
	for _, s := range steps {
		if s.Link.Name != "" {
			touched[s.Link.Name] = true
		}
		switch s.Action {
		case netkit.ActDelete:
			deleted[s.Link.Name] = true
		case netkit.ActCreate:
			remade[s.Link.Name] = true
		case netkit.ActRoute:
			f.Gone.Routes = append(f.Gone.Routes, s.Route)
		}
	}
	// What stands on a link that is deleted, or belongs to it, is lost, too.
	for grown := true; grown; {
		grown = false
		for _, l := range have.Links {
			if !touched[l.Name] && (deleted[l.Master] || deleted[l.Parent]) {
				touched[l.Name], grown = true, true
				deleted[l.Name] = deleted[l.Name] || deleted[l.Parent]
			}
		}
	}
	there := map[string]bool{}
	for _, l := range have.Links {
		there[l.Name] = true
		if !touched[l.Name] {
			continue
		}
		l.Exact = true
		if l.Kind != netkit.KindBridge && !slices.ContainsFunc(steps, func(s netkit.Step) bool { return s.Action == netkit.ActMAC && s.Link.Name == l.Name }) {
			l.MAC = nil
		}
		if l.Port != nil && l.Master == "" {
			l.Port = nil
		}
		f.Want.Links = append(f.Want.Links, l)
	}
	for name := range remade {
		if !there[name] {
			f.Gone.Links = append(f.Gone.Links, netkit.Link{Name: name})
		}
	}
	for _, r := range have.Routes {
		if touched[r.Link] {
			f.Want.Routes = append(f.Want.Routes, r)
		}
	}
	return f
}
