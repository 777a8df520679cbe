package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
)

// feature is the answer of GET …/feature.
type feature struct {
	HasFeature int      `json:"hasFeature"`
	Nodes      []string `json:"nodes"`
}

// GetNodesQemuFeature answers GET /nodes/{node}/qemu/{vmid}/feature: every disk must have it.
func (s *Service) GetNodesQemuFeature(ctx context.Context, req *schema.GetNodesQemuFeature) (any, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, s.notFoundIf(err, int(req.Vmid))
	}
	out := feature{HasFeature: 1, Nodes: []string{s.node}}
	for _, d := range v.Config.Main.Drives() {
		if d.IsCDROM() {
			continue
		}
		var ok bool
		switch req.Feature {
		case "snapshot":
			if isVolume(d.File) {
				vol, statErr := s.o.Volumes.Stat(ctx, d.File)
				ok, err = statErr == nil && vol.Features.Has(storage.FeatureSnapshot), statErr
			}
		default:
			ok, err = s.vols.clonable(ctx, d.File, text(req.Snapname), req.Feature == "clone", s.guest(v.ID) != nil)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			out.HasFeature = 0
		}
	}
	return out, nil
}
