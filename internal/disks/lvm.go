package disks

import (
	"context"
	"slices"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// groups lists the volume groups with their devices.
func (s *Service) groups(ctx context.Context) ([]hostdisk.VolumeGroup, error) {
	vgs, err := s.ask(ctx, "vgs", append(hostdisk.LVMArgs(), "--options", hostdisk.VGFields)...)
	if err != nil {
		return nil, err
	}
	pvs, err := s.ask(ctx, "pvs", append(hostdisk.LVMArgs(), "--options", hostdisk.PVFields)...)
	if err != nil {
		return nil, err
	}
	return hostdisk.ParseGroups(vgs, pvs)
}

// GetNodesDisksLvm answers the volume groups as a tree.
func (s *Service) GetNodesDisksLvm(ctx context.Context, _ *schema.GetNodesDisksLvm) (any, error) {
	groups, err := s.groups(ctx)
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, g := range groups {
		devices := []map[string]any{}
		for _, d := range g.PVs {
			devices = append(devices, map[string]any{"name": d.Path, "size": d.SizeBytes, "free": d.FreeBytes, "leaf": 1})
		}
		rows = append(rows, map[string]any{
			"name": g.Name, "size": g.SizeBytes, "free": g.FreeBytes, "lvcount": g.LVs, "leaf": 0, "children": devices,
		})
	}
	return map[string]any{"leaf": 0, "children": rows}, nil
}

func lvmStorage(name string) registration {
	return registration{"lvm", map[string]string{"vgname": name, "content": "rootdir,images", "shared": "0"}}
}

// groupIsNew refuses the name of a volume group that is there.
func (s *Service) groupIsNew(ctx context.Context, name string) error {
	groups, err := s.groups(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(groups, func(g hostdisk.VolumeGroup) bool { return g.Name == name }) {
		return call.Errorf("volume group with name '%s' already exists on node '%s'", name, s.o.Node)
	}
	return nil
}

// PostNodesDisksLvm makes a volume group of a device in a task.
func (s *Service) PostNodesDisksLvm(ctx context.Context, req *schema.PostNodesDisksLvm) (string, error) {
	p := makeParams{Name: req.Name, Device: req.Device, Storage: req.AddStorage != nil && *req.AddStorage}
	if _, err := s.checkNewGroup(ctx, &p, lvmStorage(p.Name)); err != nil {
		return "", err
	}
	return s.submit(ctx, taskLVM, p.Name, p)
}

func (s *Service) checkNewGroup(ctx context.Context, p *makeParams, r registration) (found, error) {
	f, err := s.checkNew(ctx, p, r)
	if err == nil {
		err = s.groupIsNew(ctx, p.Name)
	}
	return f, err
}

func (s *Service) runLVM(ctx context.Context, op *task.Op) error {
	var p makeParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	r := lvmStorage(p.Name)
	if _, err := s.makeGroup(ctx, op, &p, r); err != nil {
		return err
	}
	return s.register(ctx, op, &p, r)
}

// makeGroup makes the volume group and returns its device.
func (s *Service) makeGroup(ctx context.Context, op *task.Op, p *makeParams, r registration) (string, error) {
	f, err := s.checkNewGroup(ctx, p, r)
	if err != nil {
		return "", err
	}
	dev := f.path
	if f.part != nil {
		if dev, err = s.partition(ctx, op, f, "8E00"); err != nil {
			return "", err
		}
	}
	if err := s.do(ctx, op, "pvcreate", "--metadatasize", "250k", "--yes", "--", dev); err != nil {
		return "", err
	}
	return dev, s.do(ctx, op, "vgcreate", "--", p.Name, dev)
}

// DeleteNodesDisksLvmName removes a volume group in a task.
func (s *Service) DeleteNodesDisksLvmName(ctx context.Context, req *schema.DeleteNodesDisksLvmName) (string, error) {
	p := dropParams{Name: req.Name, CleanupConfig: isTrue(req.CleanupConfig), CleanupDisks: isTrue(req.CleanupDisks)}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return "", err
	}
	if _, err := s.group(ctx, p.Name); err != nil {
		return "", err
	}
	return s.submit(ctx, taskDropLVM, p.Name, p)
}

func isTrue(b *bool) bool { return b != nil && *b }

func (s *Service) group(ctx context.Context, name string) (hostdisk.VolumeGroup, error) {
	groups, err := s.groups(ctx)
	if err != nil {
		return hostdisk.VolumeGroup{}, err
	}
	i := slices.IndexFunc(groups, func(g hostdisk.VolumeGroup) bool { return g.Name == name })
	if i < 0 {
		return hostdisk.VolumeGroup{}, call.Errorf("no such volume group '%s'", name)
	}
	return groups[i], nil
}

func (s *Service) runDropLVM(ctx context.Context, op *task.Op) error {
	var p dropParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return err
	}
	g, err := s.group(ctx, p.Name)
	if err != nil {
		return err
	}
	if g.LVs > 0 {
		return call.Errorf("volume group '%s' still in use", p.Name)
	}
	if err := s.do(ctx, op, "vgremove", "--", p.Name); err != nil { // without force: it must be empty
		return err
	}
	var devices []string
	for _, d := range g.PVs {
		devices = append(devices, d.Path)
		if err := s.do(ctx, op, "pvremove", "--", d.Path); err != nil {
			op.Warnf("%v", err)
		}
	}
	return s.finishDrop(ctx, op, &p, devices, func(c *volume.Config) bool {
		return (c.Type == "lvm" || c.Type == "lvmthin") && c.Options["vgname"] == p.Name
	})
}
