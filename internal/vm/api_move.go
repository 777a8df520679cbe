package vm

import (
	"context"
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// PostNodesQemuMoveDisk answers POST /nodes/{node}/qemu/{vmid}/move_disk.
func (s *Service) PostNodesQemuMoveDisk(ctx context.Context, req *schema.PostNodesQemuMoveDisk) (string, error) {
	p := moveParams{
		ID: int(req.Vmid), Disk: req.Disk, Digest: text(req.Digest), Storage: text(req.Storage), Format: text(req.Format),
		Delete: isTrue(req.Delete), TargetDisk: text(req.TargetDisk), TargetDigest: text(req.TargetDigest),
	}
	switch {
	case p.Storage == "" && req.TargetVmid == nil:
		return "", bothParams("both 'storage' and 'target-vmid' missing, either needs to be set")
	case p.Storage != "" && req.TargetVmid != nil:
		return "", bothParams("either set 'storage' or 'target-vmid', but not both")
	case req.TargetVmid != nil:
		p.Target = int(*req.TargetVmid)
		return s.beginReassign(ctx, p)
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return "", err
	}
	d, err := s.checkMove(ctx, v, &p)
	if err != nil {
		return "", err
	}
	source, _, _ := d.Volume()
	if p.BWLimit, err = s.o.Volumes.BWLimit(ctx, "move", []string{source, p.Storage}, req.Bwlimit); err != nil {
		return "", err
	}
	return s.submit(ctx, spec(ctx, opMove, p.ID, p))
}

func bothParams(text string) error {
	return call.ParamErrors{"storage": text, "target-vmid": text}
}

func (s *Service) beginReassign(ctx context.Context, p moveParams) (string, error) {
	if p.Target == p.ID {
		return "", call.Param("target-vmid", "must be different than source VMID to reassign disk")
	}
	if err := s.o.Access.CheckVM(ctx, p.Target, "", "VM.Config.Disk"); err != nil {
		return "", err
	}
	if p.TargetDisk == "" {
		p.TargetDisk = p.Disk
	}
	if vmconfig.IsUnused(p.Disk) && !vmconfig.IsUnused(p.TargetDisk) && !vmconfig.IsDrive(p.TargetDisk) {
		return "", call.Param("target-disk", "'%s' is no disk", p.TargetDisk)
	}
	if _, _, _, err := s.checkReassign(ctx, &p); err != nil {
		return "", err
	}
	sp := spec(ctx, opMove, p.ID, p)
	sp.ID = fmt.Sprintf("%d-%s>%d-%s", p.ID, p.Disk, p.Target, p.TargetDisk)
	return s.submit(ctx, sp)
}
