package disks

import (
	"context"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func (s *Service) thinPools(ctx context.Context) ([]hostdisk.ThinPool, error) {
	out, err := s.ask(ctx, "lvs", append(hostdisk.LVMArgs(), "--options", hostdisk.LVFields)...)
	if err != nil {
		return nil, err
	}
	return hostdisk.ParseThinPools(out)
}

// GetNodesDisksLvmthin answers the thin pools.
func (s *Service) GetNodesDisksLvmthin(ctx context.Context, _ *schema.GetNodesDisksLvmthin) (any, error) {
	pools, err := s.thinPools(ctx)
	rows := []map[string]any{}
	for i := range pools {
		rows = append(rows, pools[i].Row())
	}
	return rows, err
}

func thinStorage(name string) registration {
	return registration{"lvmthin", map[string]string{"vgname": name, "thinpool": name, "content": "rootdir,images"}}
}

// PostNodesDisksLvmthin makes a volume group with a thin pool of the same name of a device in a task.
func (s *Service) PostNodesDisksLvmthin(ctx context.Context, req *schema.PostNodesDisksLvmthin) (string, error) {
	p := makeParams{Name: req.Name, Device: req.Device, Storage: req.AddStorage != nil && *req.AddStorage}
	if _, err := s.checkNewGroup(ctx, &p, thinStorage(p.Name)); err != nil {
		return "", err
	}
	return s.submit(ctx, taskThin, p.Name, p)
}

func (s *Service) runThin(ctx context.Context, op *task.Op) error {
	var p makeParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	r := thinStorage(p.Name)
	dev, err := s.makeGroup(ctx, op, &p, r)
	if err != nil {
		return err
	}
	out, err := s.ask(ctx, "pvs", append(hostdisk.LVMArgs(), "--options", hostdisk.PVFields, "--", dev)...)
	if err != nil {
		return err
	}
	pvs, err := hostdisk.ParsePVs(out)
	if err != nil || len(pvs) != 1 {
		return call.Errorf("size of device '%s' is not known", dev)
	}
	data, meta, err := thinSizes(pvs[0].SizeBytes)
	if err != nil {
		return err
	}
	args := []string{
		"--type", "thin-pool", "--yes", "--size", kib(data), "--poolmetadatasize", kib(meta), "--name", p.Name, "--", p.Name,
	}
	if err := s.do(ctx, op, "lvcreate", args...); err != nil {
		return err
	}
	return s.register(ctx, op, &p, r)
}

// thinSizes divides a device: the metadata is 1 % of it, at least 1 GiB and at most 16 GiB, and is there twice, since LVM
// keeps a spare; 128 MiB are left over. A device too small for that gets metadata of 1 %, at least 4 MiB.
func thinSizes(size int64) (data, meta int64, err error) {
	const extent, rest = 4 << 20, 128 << 20
	meta = min(max(size/100, 1<<30), 16<<30)
	if size < 4<<30 {
		meta = max(size/100, extent)
	}
	meta = meta / extent * extent
	data = (size - rest - 2*meta) / extent * extent
	if data <= 0 {
		return 0, 0, call.Errorf("the device is too small for a thin pool")
	}
	return data, meta, nil
}

func kib(n int64) string { return strconv.FormatInt(n>>10, 10) + "K" }

// DeleteNodesDisksLvmthinName removes a thin pool, and its volume group if nothing else is in it, in a task.
func (s *Service) DeleteNodesDisksLvmthinName(ctx context.Context, req *schema.DeleteNodesDisksLvmthinName) (string, error) {
	p := dropParams{Name: req.Name, Group: req.VolumeGroup, CleanupConfig: isTrue(req.CleanupConfig), CleanupDisks: isTrue(req.CleanupDisks)}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return "", err
	}
	if err := s.hasThinPool(ctx, &p); err != nil {
		return "", err
	}
	return s.submit(ctx, taskDropThin, p.Group+"-"+p.Name, p)
}

func (s *Service) hasThinPool(ctx context.Context, p *dropParams) error {
	pools, err := s.thinPools(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(pools, func(t hostdisk.ThinPool) bool { return t.Group == p.Group && t.Name == p.Name }) {
		return call.Errorf("no such thin pool %s/%s", p.Group, p.Name)
	}
	return nil
}

func (s *Service) runDropThin(ctx context.Context, op *task.Op) error {
	var p dropParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return err
	}
	if err := s.hasThinPool(ctx, &p); err != nil {
		return err
	}
	g, err := s.group(ctx, p.Group)
	if err != nil {
		return err
	}
	used, err := s.ask(ctx, "lvs", append(hostdisk.LVMArgs(), "--options", "lv_name", "--select", "pool_lv="+strconv.Quote(p.Name), "--", p.Group)...)
	if err != nil {
		return err
	}
	if n, err := hostdisk.CountLVs(used); err != nil || n > 0 {
		return call.Errorf("thin pool %s/%s still in use", p.Group, p.Name)
	}
	if err := s.do(ctx, op, "lvremove", "--yes", "--", p.Group+"/"+p.Name); err != nil {
		return err
	}
	var devices []string
	if p.CleanupDisks {
		if g.LVs > 1 {
			return call.Errorf("cleanup failed - volume group '%s' still in use", p.Group)
		}
		if err := s.do(ctx, op, "vgremove", "--", p.Group); err != nil {
			return err
		}
		for _, d := range g.PVs {
			devices = append(devices, d.Path)
			if err := s.do(ctx, op, "pvremove", "--", d.Path); err != nil {
				op.Warnf("%v", err)
			}
		}
	}
	return s.finishDrop(ctx, op, &p, devices, func(c *volume.Config) bool {
		return c.Type == "lvmthin" && c.Options["vgname"] == p.Group && c.Options["thinpool"] == p.Name
	})
}
