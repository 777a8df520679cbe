package vm

import (
	"context"
	"errors"

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
		switch {
		case vmconfig.IsDrive(ch.Key):
			if value, err = s.stageDrive(ctx, op, v, ch); err != nil {
				return err
			}
		case vmconfig.IsUnused(ch.Key):
			if err := s.checkUnused(ctx, ch); err != nil {
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
	return s.orphaned(ctx, op, v, staged.Orphan)
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
	for _, sec := range []vmconfig.Section{v.Config.Pending, v.Config.Main} {
		now, ok, err := sec.Drive(d.Key)
		if ok && err == nil && now.File == d.File && d.ImportFrom == "" && d.Format == "" {
			if !d.Size.Set { // clients send the volume back without it
				d.Size = now.Size
			}
			return d.String(), nil
		}
	}
	d, err = s.makeDrive(ctx, op, v, d, "")
	return d.String(), err
}

// checkUnused refuses an unusedN that is no volume: there would be nothing to attach or to free.
func (s *Service) checkUnused(ctx context.Context, ch vmconfig.Change) error {
	d, err := vmconfig.ParseDrive(ch.Key, ch.New)
	if err != nil {
		return call.Param(ch.Key, "unable to parse drive options")
	}
	_, err = s.existingDrive(ctx, d)
	return err
}

// orphaned registers a volume that no slot uses any more as unused, if it is the VM's own.
func (s *Service) orphaned(ctx context.Context, op *task.Op, v *VM, volid string) error {
	if volid == "" {
		return nil
	}
	if storageID, _, ok := vmconfig.SplitVolumeID(volid); ok {
		if _, err := s.o.Volumes.Storage(ctx, storageID); err != nil {
			op.Warnf("storage '%s' no longer exists, volume '%s' will be removed from config", storageID, volid)
			return nil
		}
	}
	if s.vols.owner(ctx, volid) != v.ID {
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
		return errInUse(volid)
	}
	v.doomed = append(v.doomed, volid)
	return op.Step(ctx, stepVolume, madeVolume{v.ID, volid})
}

func errInUse(volid string) error {
	return call.Errorf("unable to delete '%s' - volume is still in use (snapshot?)", volid)
}

// applyStopped lets all pending changes of a stopped VM take effect. A cloud-init drive that is set gets its medium.
func (s *Service) applyStopped(ctx context.Context, op *task.Op, v *VM, problems call.ParamErrors) {
	newMedium := ""
	for _, ch := range v.Config.PlanStopped() {
		if err := s.applyOne(ctx, op, v, ch); err != nil {
			problems[ch.Key] = "unable to apply pending change " + ch.Key + " : " + s.shownError(v.ID, err)
			continue
		}
		if d, err := vmconfig.ParseDrive(ch.Key, ch.New); !ch.Delete && err == nil && d.IsCloudInit() {
			newMedium = ch.Key
		}
	}
	if newMedium == "" {
		return
	}
	if err := s.writeMedium(ctx, v); err != nil {
		problems[newMedium] = "unable to apply pending change " + newMedium + " : " + s.shownError(v.ID, err)
		return
	}
	v.Config.CloudInitRegenerated()
}

// applyOne moves one pending change into the main section, and deals with the volume that it replaces: a medium or a
// volume of others is just dropped, a cloud-init volume and one deleted with force are freed, all else becomes unused.
func (s *Service) applyOne(ctx context.Context, op *task.Op, v *VM, ch vmconfig.Change) error {
	c := v.Config
	replaced := ch.ReplacedVolume()
	forced := ch.Delete && ch.Force
	if forced && s.vols.owner(ctx, replaced) == v.ID && usedBeside(c, replaced, ch.Key) {
		return errInUse(replaced)
	}
	var value *string
	if !ch.Delete {
		value = &ch.New
	}
	c.RecordCloudInit(ch.Key, value)
	c.ApplyPending(ch.Key)
	if replaced == "" {
		return nil
	}
	old, err := vmconfig.ParseDrive(ch.Key, ch.Old)
	switch {
	case err == nil && old.IsCloudInit():
		if len(c.References(replaced)) > 0 {
			return nil
		}
		op.Logf("found unused cloudinit disk '%s', removing it", replaced)
		return s.freeVolume(ctx, op, v, replaced)
	case forced:
		return s.freeVolume(ctx, op, v, replaced)
	}
	return s.orphaned(ctx, op, v, replaced)
}

// usedBeside reports whether anything but one drive of the main section names a volume.
func usedBeside(c *vmconfig.Config, volid, key string) bool {
	for _, r := range c.References(volid) {
		if r.Section != "" || r.Key != key {
			return true
		}
	}
	return false
}

// shownError is the text of an error that stays behind as a note by an option. What is not meant for users goes to the log.
func (s *Service) shownError(id int, err error) string {
	if shown(err) {
		return err.Error()
	}
	s.o.Logger.Error("change of a configuration", "vmid", id, "err", err)
	return "internal error"
}

// shown reports whether the text of an error may be shown to users.
func shown(err error) bool {
	if _, ok := errors.AsType[call.ParamErrors](err); ok {
		return true
	}
	_, ok := errors.AsType[*call.Error](err)
	return ok
}
