package datacenter

import (
	"context"
	"fmt"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// GetClusterNextid answers GET /cluster/nextid with the first free id, or whether a given one is free. Nothing is reserved.
func (s *Service) GetClusterNextid(ctx context.Context, req *schema.GetClusterNextid) (string, error) {
	taken := map[int]string{}
	for _, g := range s.o.Inventory.Snapshot().Guests {
		taken[g.ID] = g.Node
	}
	if req.Vmid != nil {
		if _, ok := taken[int(*req.Vmid)]; ok {
			return "", call.Param("vmid", "VM %d already exists", *req.Vmid)
		}
		return fmt.Sprint(*req.Vmid), nil
	}
	o, _, err := s.load(ctx)
	if err != nil {
		return "", err
	}
	low, high := o.idRange()
	for id := low; id < high; id++ {
		if _, ok := taken[id]; !ok {
			return strconv.Itoa(id), nil
		}
	}
	return "", call.Errorf("unable to get any free VMID in range [%d, %d]", low, high)
}
