package vm

import (
	"context"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// moveParams are the parameters of the operation qmmove: a disk goes to another storage or format, or, with Target, to
// another VM of this node.
type moveParams struct {
	ID      int
	Disk    string
	Digest  string `json:",omitempty"`
	Storage string `json:",omitempty"`
	Format  string `json:",omitempty"`
	Delete  bool   `json:",omitempty"` // the source, instead of keeping it as unusedN
	BWLimit int64  `json:",omitempty"` // KiB/s

	Target       int    `json:",omitempty"`
	TargetDisk   string `json:",omitempty"`
	TargetDigest string `json:",omitempty"`
}

// checkMoveDigest is checkDigest in the words of this method.
func (v *VM) checkMoveDigest(digest string) error {
	if digest != "" && digest != v.Config.Digest {
		return call.Errorf("detected modified configuration - file changed by other user? Try again.")
	}
	return nil
}

// checkMove is done before the task and again in it. It returns the drive that moves.
func (s *Service) checkMove(ctx context.Context, v *VM, p *moveParams) (d vmconfig.Drive, err error) {
	if err := v.checkLock(); err != nil {
		return d, err
	}
	if err := v.checkMoveDigest(p.Digest); err != nil {
		return d, err
	}
	d, ok, err := v.Config.Main.Drive(p.Disk)
	switch {
	case !ok || err != nil:
		return d, call.Errorf("disk '%s' does not exist", p.Disk)
	case d.IsEmpty() || d.IsPath() || !isVolume(d.File):
		return d, call.Errorf("disk '%s' has no associated volume", p.Disk)
	case d.IsCDROM() && !d.IsCloudInit():
		return d, call.Errorf("you can't move a cdrom")
	}
	vol, cfg, ok := s.vols.parse(ctx, d.File)
	if !ok {
		return d, call.Errorf("disk '%s' has no associated volume", p.Disk)
	}
	if cfg.ID == p.Storage && (p.Format == "" || p.Format == vol.Format) {
		return d, call.Errorf("you can't move to the same storage with same format")
	}
	if err := s.checkAllocate(ctx, p.Storage, "storage"); err != nil {
		return d, err
	}
	if p.Delete && inSnapshot(v.Config, d.File) {
		return d, call.Errorf("you can't move a disk with snapshots and delete the source")
	}
	if s.guest(v.ID) != nil {
		switch {
		case d.Bus() == "tpmstate":
			return d, call.Errorf("cannot move TPM state while VM is running")
		case d.IsCloudInit():
			return d, call.Errorf("cannot move a cloud-init disk while VM is running")
		}
	}
	return d, nil
}

// inSnapshot reports whether a snapshot of the configuration names a volume.
func inSnapshot(c *vmconfig.Config, volume string) bool {
	for _, r := range c.References(volume) {
		if _, ok := c.Snapshots[r.Section]; ok {
			return true
		}
	}
	return false
}

// runMove copies a disk to where it shall be, puts the copy into its slot, and keeps or frees what was there.
func (s *Service) runMove(ctx context.Context, op *task.Op) error {
	var p moveParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if p.Target != 0 {
		return s.reassign(ctx, op, &p)
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	if err := s.o.Access.CheckVM(ctx, v.ID, "", "VM.Config.Disk"); err != nil { // it may have been taken away meanwhile
		return err
	}
	d, err := s.checkMove(ctx, v, &p)
	if err != nil {
		return err
	}
	if inSnapshot(v.Config, d.File) {
		op.Logf("WARN: moving disk with snapshots, snapshots will not be moved!")
	}
	source, _, _ := d.Volume()
	op.Logf("move disk VM %d: move --disk %s --storage %s", v.ID, p.Disk, p.Storage)
	op.Logf("copying volume '%s' from current storage '%s' to target storage '%s'", d.File, source, p.Storage)
	if err := s.move(ctx, op, v, d, &p); err != nil {
		return fmt.Errorf("storage migration failed: %w", err)
	}
	return nil
}

func (s *Service) move(ctx context.Context, op *task.Op, v *VM, d vmconfig.Drive, p *moveParams) error {
	if d.IsCloudInit() { // its content is made at each start
		moved, err := s.cloudInitDrive(ctx, op, v, d, vmconfig.VolumeRequest{Storage: p.Storage, Format: p.Format})
		if err != nil {
			return err
		}
		return s.settleMove(ctx, op, v, d, moved.String(), p)
	}
	format, err := s.cloneFormat(ctx, op, d.File, p.Storage, p.Format)
	if err != nil {
		return err
	}
	g := s.guest(v.ID)
	mirror := g != nil && !vmconfig.IsUnused(d.Key)
	volid, err := s.withVolume(ctx, op, v.ID, p.Storage, format, func(volid string) error {
		if !mirror {
			o := copyProgress(op)
			o.BWLimit = p.BWLimit * 1024
			return s.o.Volumes.Copy(ctx, d.File, volid, o)
		}
		vol, err := s.o.Volumes.Stat(ctx, d.File)
		if err != nil {
			return err
		}
		return s.o.Volumes.Create(ctx, volid, vol.SizeBytes)
	})
	if err != nil {
		return err
	}
	moved := d
	moved.File, moved.Format = volid, ""
	if !vmconfig.IsUnused(d.Key) {
		vol, err := s.o.Volumes.Stat(ctx, volid)
		if err != nil {
			return err
		}
		moved.Size = vmconfig.Some(vmconfig.Size(vol.SizeBytes))
	}
	if mirror {
		return s.moveRunning(ctx, op, v, g, d, moved, p)
	}
	return s.settleMove(ctx, op, v, d, moved.String(), p)
}

// settleMove stores the moved drive, and after that frees what it was moved from, or keeps it as unused.
func (s *Service) settleMove(ctx context.Context, op *task.Op, v *VM, old vmconfig.Drive, value string, p *moveParams) error {
	v.Config.RecordCloudInit(old.Key, &value)
	v.Config.Main[old.Key] = value
	if err := s.retire(ctx, op, v, old, p.Delete); err != nil {
		return err
	}
	return s.commit(ctx, op, v)
}

// retire deals with a volume whose slot has another now.
func (s *Service) retire(ctx context.Context, op *task.Op, v *VM, old vmconfig.Drive, remove bool) error {
	own := s.vols.owner(ctx, old.File) == v.ID
	switch {
	case !own || len(v.Config.References(old.File)) > 0 && remove:
		return nil
	case remove || old.IsCloudInit():
		op.Logf("removing source volume '%s' after successful copy", old.File)
		return s.freeVolume(ctx, op, v, old.File)
	}
	key, err := v.Config.Main.AddUnused(old.File)
	if err == nil && key != "" {
		op.Logf("adding source volume '%s' as '%s' to config", old.File, key)
	}
	return err
}
