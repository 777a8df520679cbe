package vm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/guestfw"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// cloneParams are the parameters of the operation qmclone, in the queue of the source.
type cloneParams struct {
	ID          int // source
	NewID       int
	Full        bool    `json:",omitempty"`
	Storage     string  `json:",omitempty"` // for the volumes of a full clone; empty: the source's
	Format      string  `json:",omitempty"`
	Snapshot    string  `json:",omitempty"`
	Name        string  `json:",omitempty"`
	Description *string `json:",omitempty"`
	Pool        string  `json:",omitempty"`
	BWLimit     int64   `json:",omitempty"` // KiB/s
	Running     bool    `json:",omitempty"` // whether the source ran at the call
}

// checkClone is done before the task and again in it.
func (s *Service) checkClone(ctx context.Context, v *VM, p cloneParams) error {
	if err := v.checkLock(); err != nil {
		return err
	}
	if (s.guest(v.ID) != nil) != p.Running {
		return call.Errorf("unexpected state change")
	}
	source := p.source(v)
	if source == nil {
		return call.Errorf("snapshot '%s' does not exist", p.Snapshot)
	}
	if !p.Full && p.Storage != "" {
		return call.Errorf("parameter 'storage' not allowed for linked clones")
	}
	if !p.Full && p.Format != "" {
		return call.Errorf("parameter 'format' not allowed for linked clones")
	}
	if p.Full && p.Running && p.Snapshot == "" {
		if source.Has("tpmstate0") {
			return call.Errorf("cannot clone TPM state while VM is running")
		}
	}
	for _, d := range source.Drives() {
		if err := s.checkCloneDrive(ctx, d, p); err != nil {
			return err
		}
	}
	return nil
}

// alwaysFull are the drives that are copied in a linked clone, too.
func alwaysFull(d vmconfig.Drive) bool { return d.IsCloudInit() || d.Bus() == "tpmstate" }

func (s *Service) checkCloneDrive(ctx context.Context, d vmconfig.Drive, p cloneParams) error {
	if d.IsCDROM() {
		return nil
	}
	linked := !p.Full && !alwaysFull(d)
	ok, err := s.vols.clonable(ctx, d.File, p.Snapshot, linked, p.Running)
	if err != nil {
		return err
	}
	kind := "Full"
	if linked {
		kind = "Linked"
	}
	what := "'" + d.File + "'"
	if p.Snapshot != "" {
		what = "a snapshot of " + what
	}
	if !ok {
		return call.Errorf("%s clone feature is not supported for %s (%s)", kind, what, d.Key)
	}
	return nil
}

// runClone copies or links the source's disks. The clone is locked until it is whole; the source never changes.
func (s *Service) runClone(ctx context.Context, op *task.Op) error {
	var p cloneParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.clone(ctx, op, p); err != nil {
		return fmt.Errorf("clone failed: %w", err)
	}
	return nil
}

func (s *Service) clone(ctx context.Context, op *task.Op, p cloneParams) error {
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	if err := s.checkCloneRights(ctx, v, p); err != nil { // they may have been taken away meanwhile
		return err
	}
	if err := s.checkClone(ctx, v, p); err != nil {
		return err
	}
	target, err := s.Load(ctx, p.NewID)
	if err != nil {
		return err
	}
	op.Logf("creating a clone of VM %d with ID %d", p.ID, p.NewID)
	source := p.source(v)
	if gone := v.Config.DiscardedByClone(); p.Snapshot == "" && gone != "" {
		op.Logf("WARN: found pending changes for '%s', discarding for clone", gone)
	}
	main, err := vmconfig.CloneMain(source, vmconfig.CloneOptions{
		VMID: p.ID, Name: p.Name, Description: p.Description, MACPrefix: s.o.Settings.MACPrefix(ctx), Random: s.o.Random,
	})
	if err != nil {
		return err
	}
	var copies []diskCopy // through the running source
	drives := source.Drives()
	slices.SortFunc(drives, func(a, b vmconfig.Drive) int { return strings.Compare(a.Key, b.Key) })
	for _, d := range drives {
		copied, err := s.cloneDrive(ctx, op, d, p, &copies)
		if err != nil {
			return err
		}
		main[d.Key] = copied.String()
	}
	if g := s.guest(p.ID); g != nil && len(copies) > 0 {
		if err := s.copyRunning(ctx, op, g, copies, p.BWLimit*1024); err != nil {
			return err
		}
	}
	target.Config.Main = main
	parts, err := target.Write()
	if err != nil {
		return err
	}
	firewall, err := guestfw.CloneParts(ctx, s.store, p.ID, p.NewID)
	if err != nil {
		return err
	}
	return s.finishIn(ctx, op, p.Pool, p.NewID, append(parts, firewall...))
}

// storages are those that a clone reads and writes.
func (p *cloneParams) storages(v *VM) []string {
	var ids []string
	for _, d := range p.source(v).Drives() {
		if id, _, ok := d.Volume(); ok && !d.IsCDROM() {
			ids = append(ids, id)
		}
	}
	if p.Storage != "" {
		ids = append(ids, p.Storage)
	}
	return ids
}

// source is the section that is cloned: the present one, or a snapshot's.
func (p *cloneParams) source(v *VM) vmconfig.Section {
	if p.Snapshot != "" {
		return v.Config.Snapshots[p.Snapshot]
	}
	return v.Config.Main
}

// cloneDrive returns the drive with a volume of the clone's own: a linked clone, a copy, or, for cloud-init, a fresh one. A
// disk of a running source only gets an empty volume and is noted in copies.
func (s *Service) cloneDrive(ctx context.Context, op *task.Op, d vmconfig.Drive, p cloneParams, copies *[]diskCopy) (vmconfig.Drive, error) {
	clone := &VM{ID: p.NewID, Config: vmconfig.New()}
	storageID, _, ok := d.Volume()
	switch {
	case d.IsCDROM() && !d.IsCloudInit() || !ok:
		return d, nil
	case !p.Full && !alwaysFull(d):
		op.Logf("create linked clone of drive %s (%s)", d.Key, d.File)
		volid, err := s.linkVolume(ctx, op, d.File, p.NewID)
		if err != nil {
			return d, err
		}
		return s.clonedDrive(ctx, d, volid)
	}
	if p.Storage != "" {
		storageID = p.Storage
	}
	op.Logf("create full clone of drive %s (%s)", d.Key, d.File)
	if d.IsCloudInit() {
		made, err := s.cloudInitDrive(ctx, op, clone, d, vmconfig.VolumeRequest{Storage: storageID, Format: p.Format})
		if err != nil {
			return d, err
		}
		return vmconfig.CloneDrive(d, made.File, vmconfig.CloudInitBytes), nil
	}
	format, err := s.cloneFormat(ctx, op, d.File, storageID, p.Format)
	if err != nil {
		return d, err
	}
	volid, err := s.withVolume(ctx, op, p.NewID, storageID, format, func(volid string) error {
		op.Logf("allocated target volume '%s'", volid)
		return s.copyVolume(ctx, op, d, volid, p, copies)
	})
	if err != nil {
		return d, err
	}
	return s.clonedDrive(ctx, d, volid)
}

// copyVolume copies a disk, unless the QEMU of a running source has to do it, which has the only consistent view of it.
func (s *Service) copyVolume(ctx context.Context, op *task.Op, d vmconfig.Drive, volid string, p cloneParams, copies *[]diskCopy) error {
	if p.Running && p.Snapshot == "" && d.Bus() != "tpmstate" {
		vol, err := s.o.Volumes.Stat(ctx, d.File)
		if err != nil {
			return err
		}
		if err := s.o.Volumes.Create(ctx, volid, vol.SizeBytes); err != nil {
			return err
		}
		*copies = append(*copies, diskCopy{d, volid})
		return nil
	}
	o := copyProgress(op)
	o.SourceSnapshot, o.BWLimit = p.Snapshot, p.BWLimit*1024
	return s.o.Volumes.Copy(ctx, d.File, volid, o)
}

func (s *Service) clonedDrive(ctx context.Context, d vmconfig.Drive, volid string) (vmconfig.Drive, error) {
	vol, err := s.o.Volumes.Stat(ctx, volid)
	if err != nil {
		return d, err
	}
	return vmconfig.CloneDrive(d, volid, vmconfig.Size(vol.SizeBytes)), nil
}

// linkVolume makes a linked clone of a base volume, journaled.
func (s *Service) linkVolume(ctx context.Context, op *task.Op, base string, id int) (string, error) {
	volid, err := s.o.Volumes.NextCloneName(ctx, base, id)
	if err != nil {
		return "", err
	}
	if err := op.Step(ctx, stepVolume, madeVolume{id, volid}); err != nil {
		return "", err
	}
	return volid, s.o.Volumes.LinkedClone(ctx, base, volid)
}

// cloneFormat picks the format of a copy: the wanted one, else the source's, if the storage can hold it, else its default.
func (s *Service) cloneFormat(ctx context.Context, op *task.Op, source, storageID, wanted string) (string, error) {
	format := wanted
	if format == "" {
		vol, err := s.o.Volumes.Stat(ctx, source)
		if err != nil {
			return "", err
		}
		format = string(vol.Format)
	}
	cfg, err := s.o.Volumes.Storage(ctx, storageID)
	if err != nil {
		return "", err
	}
	formats := cfg.Formats()
	if len(formats) == 0 || slices.Contains(formats, format) {
		return format, nil
	}
	op.Logf("WARN: format '%s' is not supported by the target storage '%s' - using '%s' instead", format, storageID, formats[0])
	return formats[0], nil
}

// copyProgress shows a copy in the task's log.
func copyProgress(op *task.Op) volume.CopyOptions {
	return volume.CopyOptions{Progress: func(done, total int64) {
		if total > 0 {
			share := float64(done) / float64(total)
			op.Progress(share, fmt.Sprintf("transferred %s of %s (%.2f%%)", bytesText(done), bytesText(total), share*100))
		}
	}}
}

func bytesText(n int64) string {
	v, unit := float64(n), 0
	for ; v >= 1024 && unit < 4; unit++ {
		v /= 1024
	}
	return fmt.Sprintf("%.1f %s", v, []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit])
}
