package disks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func exitText(code int) string { return strconv.Itoa(code) }

// initParams are those of the operation diskinit.
type initParams struct{ Disk, UUID string }

// PostNodesDisksInitgpt gives a disk an empty partition table in a task.
func (s *Service) PostNodesDisksInitgpt(ctx context.Context, req *schema.PostNodesDisksInitgpt) (string, error) {
	p := initParams{Disk: req.Disk, UUID: "R"} // a random one
	if req.Uuid != nil {
		p.UUID = *req.Uuid
	}
	f, err := s.toInit(ctx, req.Disk)
	if err != nil {
		return "", err
	}
	return s.submit(ctx, taskInit, taskID(f.path), p)
}

func (s *Service) toInit(ctx context.Context, name string) (found, error) {
	f, err := s.find(ctx, name)
	switch {
	case err != nil:
		return f, err
	case f.part != nil:
		return f, call.Errorf("%s is a partition", f.path)
	case f.used() != "" || f.mounted() || s.holds(f.path):
		return f, call.Errorf("disk %s already in use", f.path)
	}
	return f, nil
}

func (s *Service) runInit(ctx context.Context, op *task.Op) error {
	var p initParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.mayChange(ctx, false); err != nil { // it may have been taken away meanwhile
		return err
	}
	f, err := s.toInit(ctx, p.Disk)
	if err != nil {
		return err
	}
	return s.do(ctx, op, "sgdisk", "--disk-guid", p.UUID, f.path)
}

// PutNodesDisksWipedisk makes a disk or partition empty in a task. It is root's alone.
func (s *Service) PutNodesDisksWipedisk(ctx context.Context, req *schema.PutNodesDisksWipedisk) (string, error) {
	if !call.From(ctx).IsRoot() {
		return "", call.Status(http.StatusForbidden, "Permission check failed (user != root@pam)")
	}
	f, err := s.toWipe(ctx, req.Disk)
	if err != nil {
		return "", err
	}
	return s.submit(ctx, taskWipe, taskID(f.path), req.Disk)
}

// toWipe finds a device that may be wiped: whatever is on it, nobody has it open.
func (s *Service) toWipe(ctx context.Context, name string) (found, error) {
	f, err := s.find(ctx, name)
	if err != nil {
		return f, err
	}
	if f.mounted() {
		return f, call.Errorf("disk/partition '%s' is mounted", f.path)
	}
	for _, path := range append(f.partitions(), f.path) {
		if s.holds(path) {
			return f, call.Errorf("disk/partition '%s' has a holder", path)
		}
	}
	return f, nil
}

func (s *Service) runWipe(ctx context.Context, op *task.Op) error {
	var name string
	if err := op.Decode(&name); err != nil {
		return err
	}
	if !call.From(ctx).IsRoot() {
		return call.Status(http.StatusForbidden, "Permission check failed (user != root@pam)")
	}
	f, err := s.toWipe(ctx, name)
	if err != nil {
		return err
	}
	return s.wipe(ctx, op, f)
}

// wipedBytes is how much at the beginning of a device is overwritten.
const wipedBytes = 200 << 20

// wipe makes a device empty that toWipe has found: signatures, and what lies at its beginning.
func (s *Service) wipe(ctx context.Context, op *task.Op, f found) error {
	op.Logf("wiping block device %s", f.path)
	if err := s.do(ctx, op, "wipefs", append([]string{"--all", "--"}, append(f.partitions(), f.path)...)...); err != nil {
		return err
	}
	if err := s.zero(ctx, f.path); err != nil {
		return err
	}
	if f.part != nil {
		n, err := f.number()
		if err != nil {
			return err
		}
		if f.disk.GPT {
			if err := s.do(ctx, op, "sgdisk", "--typecode", n+":8300", f.disk.Path); err != nil {
				return err
			}
		}
	}
	s.settle(ctx, f.disk.Path)
	return nil
}

// zero overwrites the beginning of a device. It is opened exclusively: the kernel refuses what is in use, as if by a mount.
func (s *Service) zero(ctx context.Context, path string) (err error) {
	dev, err := os.OpenFile(s.path(path), os.O_WRONLY|os.O_EXCL, 0)
	if err != nil {
		return &call.Error{Status: 500, Text: "device '" + path + "' is already in use", Err: err}
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	size, err := dev.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for at := int64(0); at < min(size, wipedBytes); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := dev.WriteAt(block[:min(int64(len(block)), size-at)], at)
		if err != nil {
			return fmt.Errorf("wipe %s: %w", path, err)
		}
		at += int64(n)
	}
	return dev.Sync()
}

// settle lets the host see what has changed on a disk. Nothing depends on it that is not checked later.
func (s *Service) settle(ctx context.Context, disk string) {
	s.look(ctx, "blockdev", "--rereadpt", disk)
	s.look(ctx, "udevadm", "trigger", "--settle", filepath.Join("/sys/block", sysName(disk)))
	s.look(ctx, "udevadm", "settle", "--timeout=10")
}

// taskID is a device as it stands in a UPID.
func taskID(path string) string { return sysName(path) }
