package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// stage puts one change into the pending section. Volumes that a drive asks for are made now.
func (s *Service) stage(ctx context.Context, op *task.Op, v *VM, ch vmconfig.Change) error {
	var staged vmconfig.Staged
	var err error
	if ch.Delete {
		staged, err = v.Config.StageDelete(ch.Key, ch.Force)
	} else {
		value := ch.New
		if vmconfig.IsDrive(ch.Key) {
			if value, err = s.stageDrive(ctx, op, v, ch); err != nil {
				return err
			}
		}
		if ch.Key == "balloon" {
			memory := v.Config.Main["memory"]
			if m, ok := v.Config.Pending["memory"]; ok {
				memory = m
			}
			if err := vmconfig.CheckBalloon(value, memory); err != nil {
				return err
			}
		}
		staged, err = v.Config.StageSet(ch.Key, value)
	}
	switch {
	case err != nil:
		return err
	case staged.Warning != "":
		op.Logf("%s", staged.Warning)
	case staged.Free != "":
		return s.freeVolume(ctx, op, v, staged.Free)
	}
	return s.orphaned(ctx, v, staged.Orphan)
}

// stageDrive makes the volume that a drive asks for and returns the drive as it will be stored.
func (s *Service) stageDrive(ctx context.Context, op *task.Op, v *VM, ch vmconfig.Change) (string, error) {
	d, err := vmconfig.ParseDrive(ch.Key, ch.New)
	if err != nil {
		return "", call.Param(ch.Key, "unable to parse drive options")
	}
	old, isSet, err := v.Config.Main.Drive(d.Key)
	known := isSet && err == nil
	if known && d.Key == "tpmstate0" && d.Version != "" && old.Version != d.Version {
		return "", call.Errorf("cannot change TPM state version after creation")
	}
	if known && old.File == d.File && d.ImportFrom == "" && d.Format == "" {
		if !d.Size.Set { // clients send the volume back without it
			d.Size = old.Size
		}
		return d.String(), nil
	}
	d, err = s.makeDrive(ctx, op, v, d, "")
	return d.String(), err
}

// orphaned registers a volume that no slot uses any more as unused, if it is the VM's own.
func (s *Service) orphaned(ctx context.Context, v *VM, volid string) error {
	if volid == "" || s.vols.owner(ctx, volid) != v.ID {
		return nil
	}
	_, err := v.Config.Main.AddUnused(volid)
	return err
}

// freeVolume lets a volume of the VM's own that nothing refers to any more be freed as soon as the configuration is stored.
// The step is journaled before that: after a crash in between, its undo finds the volume unreferenced and frees it.
func (s *Service) freeVolume(ctx context.Context, op *task.Op, v *VM, volid string) error {
	if s.vols.owner(ctx, volid) != v.ID {
		return nil
	}
	if len(v.Config.References(volid)) > 0 {
		return call.Errorf("unable to delete '%s' - volume is still in use (snapshot?)", volid)
	}
	v.doomed = append(v.doomed, volid)
	return op.Step(ctx, stepVolume, madeVolume{v.ID, volid})
}

// applyStopped lets all pending changes of a stopped VM take effect.
func (s *Service) applyStopped(ctx context.Context, op *task.Op, v *VM, problems call.ParamErrors) {
	for _, ch := range v.Config.PlanStopped() {
		if err := s.applyOne(ctx, op, v, ch); err != nil {
			problems[ch.Key] = "unable to apply pending change " + ch.Key + " : " + err.Error()
		}
	}
}

// applyOne moves one pending change into the main section, and deals with the volume that it replaces: a medium or a
// volume of others is just dropped, a cloud-init volume and one deleted with force are freed, all else becomes unused.
func (s *Service) applyOne(ctx context.Context, op *task.Op, v *VM, ch vmconfig.Change) error {
	c := v.Config
	var value *string
	if !ch.Delete {
		value = &ch.New
	}
	c.RecordCloudInit(ch.Key, value)
	replaced := ch.ReplacedVolume()
	c.ApplyPending(ch.Key)
	if replaced == "" {
		return nil
	}
	old, err := vmconfig.ParseDrive(ch.Key, ch.Old)
	if ch.Delete && ch.Force || err == nil && old.IsCloudInit() {
		return s.freeVolume(ctx, op, v, replaced)
	}
	return s.orphaned(ctx, v, replaced)
}
