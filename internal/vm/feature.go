package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
)

// feature is the answer of GET …/feature.
type feature struct {
	HasFeature int      `json:"hasFeature"`
	Nodes      []string `json:"nodes"`
}

// GetNodesQemuFeature answers GET /nodes/{node}/qemu/{vmid}/feature: every disk must have it, now or at a snapshot.
func (s *Service) GetNodesQemuFeature(ctx context.Context, req *schema.GetNodesQemuFeature) (any, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, s.notFoundIf(err, int(req.Vmid))
	}
	snapshot := text(req.Snapname)
	section := v.Config.Main
	if snapshot != "" {
		if section = v.Config.Snapshots[snapshot]; section == nil {
			return nil, call.Errorf("snapshot '%s' does not exist", snapshot)
		}
	}
	out := feature{HasFeature: 1, Nodes: []string{s.node}}
	for _, d := range section.Drives() {
		if d.IsCDROM() && !d.IsCloudInit() {
			continue
		}
		ok, err := s.hasFeature(ctx, v, d, req.Feature, snapshot)
		if err != nil {
			return nil, err
		}
		if !ok {
			out.HasFeature = 0
		}
	}
	return out, nil
}

func (s *Service) hasFeature(ctx context.Context, v *VM, d vmconfig.Drive, name, snapshot string) (bool, error) {
	if name != "snapshot" {
		return s.vols.clonable(ctx, d.File, snapshot, name == "clone" && !alwaysFull(d), s.guest(v.ID) != nil)
	}
	if !isVolume(d.File) {
		return false, nil
	}
	vol, err := s.o.Volumes.Stat(ctx, d.File)
	return err == nil && vol.Features.Has(storage.FeatureSnapshot), err
}
