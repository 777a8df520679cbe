package vm

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/jobs"
)

// diskCopy is a disk of a running guest and the empty volume, of the same size, that its QEMU copies it to.
type diskCopy struct {
	Disk   vmconfig.Drive
	Volume string
}

// name is the id of the copy's job, and the name of its node in the guest's block graph.
func (c diskCopy) name() string { return "clone-" + c.Disk.Key }

// madeCopies is the data of a stepCopies: what a running guest's QEMU was asked to do.
type madeCopies struct {
	ID    int
	Names []string
}

// copyRunning copies disks of a running guest through its QEMU, which has the only consistent view of them: as they all are
// at one moment, at which the guest's file systems stand still if its agent can do that.
func (s *Service) copyRunning(ctx context.Context, op *task.Op, g *guest, copies []diskCopy, bytesPerSecond int64) (err error) {
	made := madeCopies{ID: g.id}
	for _, c := range copies {
		made.Names = append(made.Names, c.name())
	}
	if err := op.Step(ctx, stepCopies, made); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.endCopies(context.WithoutCancel(ctx), g, made.Names)) }()
	var actions []any
	for _, c := range copies {
		at, err := s.o.Volumes.Attach(ctx, c.Volume, g.holds().UID, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.o.Volumes.Detach(context.WithoutCancel(ctx), c.Volume)) }()
		node, err := nodeOf(at, c.name())
		if err != nil {
			return err
		}
		if err := g.do(ctx, "blockdev-add", node, nil); err != nil {
			return call.Errorf("mirroring error: %w", err)
		}
		job := map[string]any{
			"job-id": c.name(), "device": "drive-" + c.Disk.Key, "target": c.name(), "sync": "full", "auto-dismiss": false,
		}
		if bytesPerSecond > 0 {
			job["speed"] = bytesPerSecond
		}
		actions = append(actions, map[string]any{"type": "blockdev-backup", "data": job})
	}
	if err := s.startCopies(ctx, op, g, actions); err != nil {
		return call.Errorf("mirroring error: %w", err)
	}
	return awaitCopies(ctx, op, g, made.Names)
}

// startCopies starts all copies at one moment. See qapi/transaction.json.
func (s *Service) startCopies(ctx context.Context, op *task.Op, g *guest, actions []any) error {
	start := func() error { return g.do(ctx, "transaction", map[string]any{"actions": actions}, nil) }
	v, err := s.Load(ctx, g.id)
	if err != nil {
		return err
	}
	if a, err := vmconfig.ParseAgent(v.Config.Main["agent"]); err != nil || !a.Enabled.Or(false) || !a.FreezeFS.Or(true) {
		return start()
	}
	var failure error
	started := false
	err = s.withAgent(ctx, g.id, freezeTimeout, func(ctx context.Context, a agent) error {
		op.Logf("issuing guest agent 'guest-fsfreeze-freeze' command")
		if err := a.Do(ctx, "guest-fsfreeze-freeze", nil, nil); err != nil {
			return err
		}
		started, failure = true, start()
		op.Logf("issuing guest agent 'guest-fsfreeze-thaw' command")
		return a.Do(context.WithoutCancel(ctx), "guest-fsfreeze-thaw", nil, nil)
	})
	if err != nil {
		op.Warnf("%v", err)
	}
	if !started {
		return start()
	}
	return failure
}

// awaitCopies waits for all copies. The first that fails, or the end of ctx, ends the others.
func awaitCopies(ctx context.Context, op *task.Op, g *guest, names []string) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	progress := copyProgress(op).Progress
	var mu sync.Mutex // guards seen, and lets progress be told in order
	seen := map[string]jobs.Progress{}
	tell := func(name string, p jobs.Progress) {
		mu.Lock()
		defer mu.Unlock()
		seen[name] = p
		var done, total int64
		for _, p := range seen {
			done, total = done+p.Current, total+p.Total
		}
		progress(done, total)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		group.Go(func() error {
			j, err := jobs.Attach(ctx, c, name)
			if err != nil {
				return err
			}
			last, _ := j.Progress(ctx) // none: it has ended already
			err = j.Run(ctx, &jobs.RunOptions{OnProgress: func(p jobs.Progress) {
				last = p
				tell(name, p)
			}})
			if e, ok := errors.AsType[*jobs.Error](err); ok {
				return call.Errorf("mirroring error: %s", e.Text)
			}
			if err == nil {
				tell(name, jobs.Progress{Current: last.Total, Total: last.Total})
			}
			return err
		})
	}
	return group.Wait()
}

// endCopies ends jobs, whether or not they are done, and takes their nodes out of the guest.
func (s *Service) endCopies(ctx context.Context, g *guest, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	for _, name := range names {
		err = errors.Join(err, g.endJob(ctx, name))
	}
	for _, name := range names {
		if delErr := ignoreMissing(g.do(ctx, "blockdev-del", map[string]any{"node-name": name}, nil)); delErr != nil {
			err = errors.Join(err, delErr)
		}
	}
	select {
	case <-g.proc.Done(): // all of it has gone with the process
		return nil
	default:
		return err
	}
}

// endJob cancels a job, if there is one of that name.
func (g *guest) endJob(ctx context.Context, name string) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	j, err := jobs.Attach(ctx, c, name)
	if errors.Is(err, jobs.ErrLost) {
		return nil
	}
	if err != nil {
		return err
	}
	return j.Cancel(ctx)
}

// undoCopies ends the copies of an operation that did not come to its end. It may have broken off while the guest's file
// systems stood still.
func (s *Service) undoCopies(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var m madeCopies
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	g := s.guest(m.ID)
	if g == nil {
		return nil
	}
	if err := s.endCopies(ctx, g, m.Names); err != nil {
		return err
	}
	thaw := func(ctx context.Context, a agent) error { return a.Do(ctx, "guest-fsfreeze-thaw", nil, nil) }
	if err := s.withAgent(ctx, m.ID, thawTimeout, thaw); err != nil {
		s.o.Logger.Debug("thaw after a copy", "vmid", m.ID, "err", err)
	}
	return nil
}
