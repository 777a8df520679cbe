package vm

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
)

// resizeParams are the parameters of the operation resize.
type resizeParams struct {
	ID       int
	Disk     string
	Size     string // with + in front: so much more
	Digest   string `json:",omitempty"`
	SkipLock bool   `json:",omitempty"`
}

// runResize grows a disk: in the storage, or through the QEMU that uses it. A repetition finds it grown.
func (s *Service) runResize(ctx context.Context, op *task.Op) error {
	var p resizeParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	if err := v.checkDigest(p.Digest); err != nil {
		return err
	}
	if !p.SkipLock {
		if err := v.checkLock(); err != nil {
			return err
		}
	}
	d, ok, err := v.Config.Main.Drive(p.Disk)
	switch {
	case !ok || err != nil:
		return call.Errorf("disk '%s' does not exist", p.Disk)
	case d.IsEmpty() || d.IsPath():
		return call.Errorf("disk '%s' has no associated volume", p.Disk)
	case d.IsCDROM():
		return call.Errorf("you can't resize a cdrom")
	}
	var target int64
	if resumed, err := op.Load(&target); err != nil {
		return err
	} else if !resumed { // "so much more" must mean the same after a restart
		if err := s.checkResize(ctx, v, p.Disk); err != nil { // a privilege may have been taken away meanwhile
			return err
		}
		vol, err := s.o.Volumes.Stat(ctx, d.File)
		if err != nil {
			return err
		}
		if target, err = newSize(p.Size, vol.SizeBytes); err != nil {
			return err
		}
		if target == vol.SizeBytes {
			return nil
		}
		if err := op.Save(ctx, target); err != nil {
			return err
		}
	}
	if err := s.growDisk(ctx, v.ID, d, target); err != nil {
		return err
	}
	d.Size = vmconfig.Some(vmconfig.Size(target))
	v.Config.Main[d.Key] = d.String()
	return op.Finish(ctx, v.Parts()...)
}

// growDisk grows a disk in its storage, and lets the QEMU that has it open know. A file, or an image that QEMU itself reaches
// over the network, is QEMU's to grow while it has it open.
func (s *Service) growDisk(ctx context.Context, id int, d vmconfig.Drive, size int64) error {
	g := s.guest(id)
	if g == nil {
		return s.o.Volumes.Resize(ctx, d.File, size)
	}
	if s.vols.isDevice(ctx, d.File) {
		if err := s.o.Volumes.Resize(ctx, d.File, size); err != nil && !errors.Is(err, storage.ErrInUse) {
			return err
		}
	}
	return g.resize(ctx, d, size)
}

// checkResize checks the caller's privileges for growing a disk.
func (s *Service) checkResize(ctx context.Context, v *VM, disk string) error {
	if err := s.o.Access.CheckVM(ctx, v.ID, "", "VM.Config.Disk"); err != nil {
		return err
	}
	d, ok, err := v.Config.Main.Drive(disk)
	if !ok || err != nil {
		return nil // the operation tells
	}
	if storageID, _, ok := d.Volume(); ok {
		return s.o.Access.Check(ctx, "/storage/"+storageID, "Datastore.AllocateSpace")
	}
	return nil
}

// newSize reads a size of the API: a number with an optional unit K, M, G, T, and + for an addition.
func newSize(text string, now int64) (int64, error) {
	digits, plus := strings.CutPrefix(text, "+")
	shift := 0
	if i := strings.IndexAny(digits, "KMGT"); i >= 0 {
		shift = 10 * (strings.IndexByte("KMGT", digits[i]) + 1)
		digits = digits[:i]
	}
	v, err := strconv.ParseFloat(digits, 64)
	size := v * float64(int64(1)<<shift)
	if err != nil || size < 0 || size > 1<<60 {
		return 0, call.Param("size", "'%s' is no size", text)
	}
	target := int64(size)
	if plus {
		target += now
	}
	if target < now {
		return 0, call.Errorf("shrinking disks is not supported")
	}
	return target, nil
}
