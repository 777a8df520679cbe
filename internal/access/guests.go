package access

import (
	"context"
	"strconv"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// AddGuestParts returns the parts that put a new guest into a pool. An unknown pool is the text of Proxmox VE; the
// caller's right to do so is checked elsewhere ([Service.CheckVM]).
func (s *Service) AddGuestParts(ctx context.Context, pool string, vmid int) ([]cluster.Part, error) {
	return s.Parts(ctx, func(cfg *UserConfig) error { return addGuest(cfg, pool, vmid) })
}

// DropGuestParts returns the parts that remove what user.cfg knows of a guest: pool membership and permissions.
func (s *Service) DropGuestParts(ctx context.Context, vmid int) ([]cluster.Part, error) {
	return s.Parts(ctx, func(cfg *UserConfig) error { cfg.DropGuest(strconv.Itoa(vmid)); return nil })
}

// AddGuestToPool is [Service.AddGuestParts] as a change of its own.
func (s *Service) AddGuestToPool(ctx context.Context, pool string, vmid int) error {
	return s.Update(ctx, func(cfg *UserConfig) error { return addGuest(cfg, pool, vmid) })
}

// DropGuest is [Service.DropGuestParts] as a change of its own.
func (s *Service) DropGuest(ctx context.Context, vmid int) error {
	return s.Update(ctx, func(cfg *UserConfig) error { cfg.DropGuest(strconv.Itoa(vmid)); return nil })
}

func addGuest(cfg *UserConfig, pool string, vmid int) error {
	p := cfg.Pools[pool]
	if p == nil {
		return call.Errorf("pool '%s' does not exist", pool)
	}
	id := strconv.Itoa(vmid)
	if other := cfg.PoolOf(id); other != "" && other != pool {
		return call.Errorf("VM %d is already a pool member", vmid)
	}
	p.VMs.Add(id)
	return nil
}

// PoolOf returns the name of the pool that the guest is in, "" if it is in none.
func (s *Service) PoolOf(ctx context.Context, vmid int) (string, error) {
	e, err := s.users.get(ctx)
	if err != nil {
		return "", err
	}
	return e.PoolOf(strconv.Itoa(vmid)), nil
}
