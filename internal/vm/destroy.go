package vm

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
)

// destroyParams are the parameters of the operation qmdestroy.
type destroyParams struct {
	ID           int
	Unreferenced bool `json:",omitempty"` // also volumes of the VM that its configuration does not mention
	Purge        bool `json:",omitempty"` // also from what else names it
	SkipLock     bool `json:",omitempty"`
}

// checkDestroy is done before the task and again in it.
func (s *Service) checkDestroy(v *VM) error {
	if v.Config.Main.Bool("protection", false) {
		return call.Errorf("can't remove VM %d - protection mode enabled", v.ID)
	}
	if s.guest(v.ID) != nil {
		return call.Errorf("VM %d is running - destroy failed", v.ID)
	}
	return nil
}

// runDestroy frees a VM's volumes and removes it. The lock is set first, so that a restart goes on where it stopped.
func (s *Service) runDestroy(ctx context.Context, op *task.Op) error {
	var p destroyParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	begun, err := op.Load(new(bool))
	if err != nil {
		return err
	}
	if !begun {
		if err := s.o.Access.CheckVM(ctx, p.ID, "", "VM.Allocate"); err != nil { // it may have been taken away meanwhile
			return err
		}
		if err := s.checkDestroy(v); err != nil {
			return err
		}
		if !p.SkipLock {
			if err := v.checkLock(lockSuspended, lockDestroyed); err != nil {
				return err
			}
		}
	}
	volumes := s.ownVolumes(ctx, v)
	if p.Unreferenced {
		more, err := s.o.Volumes.Images(ctx, v.ID)
		if err != nil {
			op.Warnf("%v", err)
		}
		volumes = append(volumes, more...)
	}
	slices.Sort(volumes)
	volumes = slices.Compact(volumes)
	if !begun {
		for _, volid := range volumes {
			if used, err := s.vols.hasClones(ctx, volid); err != nil {
				return err
			} else if used {
				return call.Errorf("base volume '%s' is still in use by linked cloned", volid)
			}
		}
		v.Config.Main["lock"] = lockDestroyed
		if err := op.Save(ctx, true, v.Parts()...); err != nil {
			return err
		}
		if v, err = s.Load(ctx, p.ID); err != nil {
			return err
		}
	}
	for _, volid := range volumes {
		if err := s.freeIfThere(ctx, volid); err != nil {
			op.Warnf("Could not remove disk '%s', check manually: %v", volid, err)
		}
	}
	if p.Purge {
		op.Logf("purging VM %d from related configurations..", v.ID)
	}
	return s.finishWith(ctx, op, v.Remove(), func() ([]cluster.Part, error) { return s.o.Access.DropGuestParts(ctx, v.ID) })
}

func (s *Service) freeIfThere(ctx context.Context, volid string) error {
	if err := s.o.Volumes.Free(ctx, volid); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return nil
}

// ownVolumes are the volumes that belong to the VM and that its configuration names anywhere but only in snapshots.
func (s *Service) ownVolumes(ctx context.Context, v *VM) []string {
	own := map[string]bool{}
	note := func(volid string) {
		if s.vols.owner(ctx, volid) == v.ID {
			own[volid] = true
		}
	}
	for _, sec := range []vmconfig.Section{v.Config.Main, v.Config.Pending} {
		for _, key := range sec.Keys() {
			if d, ok, err := sec.Drive(key); ok && err == nil && (vmconfig.IsDrive(key) || vmconfig.IsUnused(key)) {
				note(d.File)
			}
		}
		note(sec["vmstate"])
	}
	for _, snap := range v.Config.Snapshots {
		note(snap["vmstate"])
	}
	return slices.Sorted(maps.Keys(own))
}
