package vm

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
)

// progress is what an operation on a VM's power saves of how far it is, for going on after a restart of the daemon.
type progress struct {
	Start  string   `json:",omitempty"` // of a reboot: which process is to end
	Saved  bool     `json:",omitempty"` // of a suspension: the state is complete
	Doomed []string `json:",omitempty"` // volumes to free: the stored configuration does without them
}

// progressOf reads what an operation has saved; again tells whether it has saved anything, so has been interrupted.
func progressOf(op *task.Op) (p progress, again bool, err error) {
	again, err = op.Load(&p)
	return p, again, err
}

// save changes what an operation has saved, in one commit with parts.
func save(ctx context.Context, op *task.Op, change func(*progress), parts ...cluster.Part) error {
	p, _, err := progressOf(op)
	if err != nil {
		return err
	}
	change(&p)
	return op.Save(ctx, p, parts...)
}

// applyPending lets pending changes of a VM that does not run take effect and stores the result; what could not take effect
// comes back by option. Volumes that are freed by it are noted first, for an interruption in between.
func (s *Service) applyPending(ctx context.Context, op *task.Op, v *VM) (call.ParamErrors, error) {
	problems := call.ParamErrors{}
	s.applyStopped(ctx, op, v, problems)
	return problems, s.commitDoomed(ctx, op, v)
}

// commitDoomed is commit with a note of what it is going to free.
func (s *Service) commitDoomed(ctx context.Context, op *task.Op, v *VM) error {
	if len(v.doomed) > 0 {
		if err := save(ctx, op, func(p *progress) { p.Doomed = append(p.Doomed, v.doomed...) }); err != nil {
			return err
		}
	}
	return s.commit(ctx, op, v)
}

// freeDoomed frees the volumes that an interrupted operation was about to free.
func (s *Service) freeDoomed(ctx context.Context, op *task.Op, v *VM) error {
	p, _, err := progressOf(op)
	if err != nil {
		return err
	}
	for _, volid := range p.Doomed {
		if len(v.Config.References(volid)) > 0 {
			continue // it was interrupted even before the configuration was stored
		}
		if err := s.o.Volumes.Free(ctx, volid); err != nil && !errors.Is(err, storage.ErrNotFound) {
			op.Warnf("Could not remove disk '%s', check manually: %v", volid, err)
		}
	}
	return nil
}
