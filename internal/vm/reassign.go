package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
)

// reassigned is the data of a stepReassign: a volume that is given to another VM under another name.
type reassigned struct {
	ID       int
	Disk     string
	Value    string // of the source's option
	Boot     string // of the source, before
	From, To string // volume ids
	Target   int
}

// checkReassign is done before the task and again in it. It returns the source's drive and the drive that the target gets,
// still with the old volume.
func (s *Service) checkReassign(ctx context.Context, p *moveParams) (v *VM, d, next vmconfig.Drive, err error) {
	if v, err = s.Load(ctx, p.ID); err != nil {
		return nil, d, next, call.Errorf("could not find VM %d", p.ID)
	}
	t, err := s.Load(ctx, p.Target)
	if err != nil {
		return nil, d, next, call.Errorf("could not find target VM %d", p.Target)
	}
	for _, vm := range []*VM{v, t} {
		if err := vm.checkLock(); err != nil {
			return nil, d, next, err
		}
	}
	if v.Config.Main.Bool("template", false) || t.Config.Main.Bool("template", false) {
		return nil, d, next, call.Errorf("Can't move disks from or to template VMs")
	}
	for _, seen := range []struct {
		vm     *VM
		digest string
	}{{v, p.Digest}, {t, p.TargetDigest}} {
		if seen.digest != "" && seen.digest != seen.vm.Config.Digest {
			return nil, d, next, call.Errorf("VM %d: detected modified configuration - file changed by other user? Try again.", seen.vm.ID)
		}
	}
	d, ok, err := v.Config.Main.Drive(p.Disk)
	if !ok || err != nil {
		return nil, d, next, call.Errorf("Disk '%s' for VM '%d' does not exist", p.Disk, p.ID)
	}
	if t.Config.Main.Has(p.TargetDisk) {
		return nil, d, next, call.Errorf("Target disk key '%s' is already in use for VM '%d'", p.TargetDisk, p.Target)
	}
	if err := s.checkMovable(ctx, v, d); err != nil {
		return nil, d, next, err
	}
	if vmconfig.IsUnused(p.TargetDisk) || vmconfig.IsUnused(p.Disk) {
		next = vmconfig.Drive{Key: p.TargetDisk, File: d.File}
	} else if next, err = vmconfig.ParseDrive(p.TargetDisk, d.String()); err != nil {
		return nil, d, next, call.Param("target-disk", "the options of '%s' do not fit '%s'", p.Disk, p.TargetDisk)
	}
	return v, d, next, nil
}

// checkMovable checks whether a drive's volume can become another VM's.
func (s *Service) checkMovable(ctx context.Context, v *VM, d vmconfig.Drive) error {
	switch {
	case d.IsCDROM():
		return call.Errorf("CD drive contents can't be moved to another VM")
	case d.IsPath() || !isVolume(d.File) || s.vols.owner(ctx, d.File) != v.ID:
		return call.Errorf("Volume '%s' not managed by PVE", d.File)
	case inSnapshot(v.Config, d.File):
		return call.Errorf("Can't move disk used by a snapshot to another VM")
	}
	vol, err := s.o.Volumes.Stat(ctx, d.File)
	if err != nil {
		return err
	}
	if !vol.Features.Has(storage.FeatureRename) {
		return call.Errorf("Storage does not support moving of this disk to another VM")
	}
	if s.guest(v.ID) != nil && !vmconfig.IsUnused(d.Key) {
		return call.Errorf("Cannot move disk to another VM while the source VM is running - detach first")
	}
	return nil
}

// reassign gives a volume the target's name, takes it out of the source and puts it into the target, the last by an update in
// the target's own queue.
func (s *Service) reassign(ctx context.Context, op *task.Op, p *moveParams) error {
	for _, id := range []int{p.ID, p.Target} { // it may have been taken away meanwhile
		if err := s.o.Access.CheckVM(ctx, id, "", "VM.Config.Disk"); err != nil {
			return err
		}
	}
	v, d, next, err := s.checkReassign(ctx, p)
	if err != nil {
		return err
	}
	op.Logf("reassign disk '%s' from VM '%d' as '%s' to VM '%d'", p.Disk, p.ID, p.TargetDisk, p.Target)
	to, err := s.reassignedName(ctx, d.File, p.Target)
	if err != nil {
		return err
	}
	step := reassigned{ID: v.ID, Disk: p.Disk, Value: v.Config.Main[p.Disk], Boot: v.Config.Main["boot"], From: d.File, To: to, Target: p.Target}
	if err := op.Step(ctx, stepReassign, step); err != nil {
		return err
	}
	if err := s.o.Volumes.Rename(ctx, d.File, to); err != nil {
		return err
	}
	s.o.FailPoint("renamed")
	op.Logf("removing disk '%s' from VM '%d' config", p.Disk, p.ID)
	delete(v.Config.Main, p.Disk)
	if boot, changed := vmconfig.BootWithout(step.Boot, p.Disk); changed {
		op.Logf("removing disk '%s' from boot order config", p.Disk)
		v.Config.Main["boot"] = boot
	}
	if err := s.commit(ctx, op, v); err != nil {
		return err
	}
	s.o.FailPoint("removed")
	next.File = to
	value := next.String()
	if vmconfig.IsUnused(p.TargetDisk) {
		value = to
	}
	update := &updateParams{ID: p.Target, Volume: to, Update: vmconfig.Update{Set: map[string]string{p.TargetDisk: value}}}
	if err := s.setNow(ctx, update); err != nil {
		return fmt.Errorf("attaching the volume to VM %d: %w", p.Target, err)
	}
	return nil
}

// reassignedName is the name of a volume when it is another VM's. A linked clone stays one.
func (s *Service) reassignedName(ctx context.Context, file string, target int) (string, error) {
	vol, err := s.o.Volumes.Stat(ctx, file)
	if err != nil {
		return "", err
	}
	storageID, _, _ := vmconfig.SplitVolumeID(file)
	if vol.Parent != "" {
		return s.o.Volumes.NextCloneName(ctx, storageID+":"+string(vol.Parent), target)
	}
	return s.o.Volumes.NextName(ctx, storageID, target, string(vol.Format), volume.KindDisk)
}

// undoReassign gives the volume back to the source, unless the target has it.
func (s *Service) undoReassign(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var r reassigned
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	t, err := s.Load(ctx, r.Target)
	if err == nil && len(t.Config.References(r.To)) > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	if err := s.o.Volumes.Rename(ctx, r.To, r.From); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	v, err := s.Load(ctx, r.ID)
	if err != nil || v.Config.Main.Has(r.Disk) {
		return err
	}
	v.Config.Main[r.Disk] = r.Value
	if r.Boot != "" {
		v.Config.Main["boot"] = r.Boot
	}
	return s.commit(ctx, op, v)
}
