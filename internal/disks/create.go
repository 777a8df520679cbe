package disks

import (
	"context"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
)

// makeParams are those of the operations that make something of one device.
type makeParams struct {
	Name       string
	Device     string
	Filesystem string `json:",omitempty"`
	Storage    bool   `json:",omitempty"` // register it
}

// registration is what a new thing is registered as.
type registration struct {
	typ     string
	options map[string]string
}

// checkNew checks, before a task and again in it, that a device is free and that its storage could be registered.
func (s *Service) checkNew(ctx context.Context, p *makeParams, r registration) (found, error) {
	if err := s.mayChange(ctx, p.Storage); err != nil {
		return found{}, err
	}
	if p.Storage {
		if err := s.storages.CheckForNode(ctx, r.typ, p.Name, r.options); err != nil {
			return found{}, err
		}
	}
	return s.free(ctx, p.Device)
}

// register makes the new thing a storage.
func (s *Service) register(ctx context.Context, op *task.Op, p *makeParams, r registration) error {
	if !p.Storage {
		return nil
	}
	op.Logf("adding storage '%s'", p.Name)
	return s.storages.AddForNode(ctx, r.typ, p.Name, r.options)
}

// partition returns where a disk is to be used: a new partition over all of it, or the partition that was given. Programs
// that take whole disks get them as they are.
func (s *Service) partition(ctx context.Context, op *task.Op, f found, typecode string) (string, error) {
	if f.part != nil {
		n, err := f.number()
		if err != nil {
			return "", err
		}
		if f.disk.GPT {
			err = s.do(ctx, op, "sgdisk", "--typecode", n+":"+typecode, f.disk.Path)
		}
		return f.path, err
	}
	if err := s.do(ctx, op, "sgdisk", "--new", "1:0:0", "--typecode", "1:"+typecode, f.path); err != nil {
		return "", err
	}
	s.settle(ctx, f.path)
	part := f.path + "1"
	if last := f.path[len(f.path)-1]; last >= '0' && last <= '9' { // nvme0n1p1
		part = f.path + "p1"
	}
	now, err := s.find(ctx, part)
	if err != nil {
		return "", fmt.Errorf("new partition: %w", err)
	}
	return now.path, nil
}

// dropParams are those of the operations that take something off the disks again.
type dropParams struct {
	Name          string
	Group         string `json:",omitempty"`
	CleanupConfig bool   `json:",omitempty"`
	CleanupDisks  bool   `json:",omitempty"`
}

// finishDrop does what remains when something is gone: its storages, and the devices that it was on.
func (s *Service) finishDrop(ctx context.Context, op *task.Op, p *dropParams, devices []string, match func(*volume.Config) bool) error {
	var first error
	if p.CleanupConfig {
		if err := s.storages.DropForNode(ctx, match); err != nil {
			first = fmt.Errorf("config cleanup failed - %w", err)
			op.Warnf("%v", first)
		}
	}
	if !p.CleanupDisks {
		return first
	}
	for _, dev := range devices {
		f, err := s.toWipe(ctx, dev)
		if err == nil {
			err = s.wipe(ctx, op, f)
		}
		if err == nil && f.part != nil { // the disk that was given, if this was all of it
			if whole, wholeErr := s.toWipe(ctx, f.disk.Path); wholeErr == nil && allOf(whole.disk, f.path) {
				err = s.wipe(ctx, op, whole)
			}
		}
		if err != nil {
			return fmt.Errorf("cleanup failed - %w", err)
		}
	}
	return first
}

// allOf reports whether a partition is all that is on its disk. ZFS, given a whole disk, sets some of it aside as well.
func allOf(disk *hostdisk.Disk, partition string) bool {
	for _, p := range disk.Partitions {
		if p.Path != partition && p.Used != "ZFS reserved" {
			return false
		}
	}
	return true
}
