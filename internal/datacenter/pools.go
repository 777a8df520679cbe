package datacenter

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// poolInfo is a pool in lists.
type poolInfo struct {
	PoolID  string  `json:"poolid,omitempty"`
	Comment *string `json:"comment,omitempty"`
}

func info(name string, p *usercfg.Pool) poolInfo {
	i := poolInfo{PoolID: name}
	if p.Comment != "" {
		i.Comment = &p.Comment
	}
	return i
}

func errNoPool(name string) error { return call.Errorf("pool '%s' does not exist", name) }

// GetPools answers GET /pools: the pools that the caller may audit, or one with its members.
func (s *Service) GetPools(ctx context.Context, req *schema.GetPools) (any, error) {
	if req.Poolid != nil {
		if err := s.o.Access.Check(ctx, "/pool/"+*req.Poolid, "Pool.Audit"); err != nil {
			return nil, err
		}
		p, err := s.pool(ctx, *req.Poolid, schema.Value(req.Type, ""))
		if err != nil {
			return nil, err
		}
		return []any{p}, nil
	}
	cfg, err := s.o.Access.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	rows := []poolInfo{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Pools)) {
		if s.o.Access.Can(ctx, "/pool/"+name, "Pool.Audit") {
			rows = append(rows, info(name, cfg.Pools[name]))
		}
	}
	return rows, nil
}

// poolWithMembers always shows the list, be it empty.
type poolWithMembers struct {
	poolInfo
	Members []any `json:"members"`
}

// pool returns a pool with its members: guests in the order of their ids as text, then storages.
func (s *Service) pool(ctx context.Context, name, kind string) (*poolWithMembers, error) {
	cfg, err := s.o.Access.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	p := cfg.Pools[name]
	if p == nil {
		return nil, errNoPool(name)
	}
	out := &poolWithMembers{info(name, p), []any{}}
	if kind == "" || kind == "qemu" {
		for _, g := range membersOf(p, s.o.Inventory.Snapshot()) {
			r := s.guestRow(g)
			r.Lock, r.Tags = "", ""
			out.Members = append(out.Members, r)
		}
	}
	if kind == "" || kind == "storage" {
		storages, err := s.o.Storages(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range p.Storages.Sorted() {
			for _, st := range storages {
				if st.Storage == id {
					out.Members = append(out.Members, st.row())
				}
			}
		}
	}
	return out, nil
}

// GetPoolsPoolid answers GET /pools/{poolid}.
func (s *Service) GetPoolsPoolid(ctx context.Context, req *schema.GetPoolsPoolid) (any, error) {
	p, err := s.pool(ctx, req.Poolid, schema.Value(req.Type, ""))
	if err != nil {
		return nil, err
	}
	p.PoolID = ""
	return p, nil
}

// PostPools answers POST /pools.
func (s *Service) PostPools(ctx context.Context, req *schema.PostPools) (any, error) {
	return nil, s.update(ctx, "create pool failed: ", func(cfg *access.UserConfig) error {
		name := req.Poolid
		switch parent := path.Dir(name); {
		case cfg.Pools[name] != nil:
			return call.Errorf("pool '%s' already exists", name)
		case parent != "." && cfg.Pools[parent] == nil:
			return call.Errorf("parent '%s' of pool '%s' does not exist", parent, name)
		case !isLetter(path.Base(name)[0]):
			return call.Errorf("pool name must start with a letter")
		}
		cfg.AddPool(name).Comment = schema.Value(req.Comment, "")
		return nil
	})
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// update changes the pools; the texts of refusals get a prefix.
func (s *Service) update(ctx context.Context, prefix string, fn func(*access.UserConfig) error) error {
	err := s.o.Access.Update(ctx, fn)
	if e, ok := errors.AsType[*call.Error](err); ok {
		text := e.Text
		if e.Status == 403 {
			text = "403 " + text
		}
		return &call.Error{Status: 500, Text: prefix + text, Err: e}
	}
	return err
}

// poolChange is a change of a pool's comment and members.
type poolChange struct {
	pool            string
	comment         *string
	vms, storages   []string
	drop, allowMove bool
	mayMove         func(from string) error
}

// PutPools answers PUT /pools.
func (s *Service) PutPools(ctx context.Context, req *schema.PutPools) (any, error) {
	return nil, s.change(ctx, poolChange{
		pool: req.Poolid, comment: req.Comment, vms: pveconf.SplitList(schema.Value(req.Vms, "")), storages: pveconf.SplitList(schema.Value(req.Storage, "")),
		drop: schema.Value(req.Delete, false), allowMove: schema.Value(req.AllowMove, false),
	})
}

// PutPoolsPoolid answers PUT /pools/{poolid}.
func (s *Service) PutPoolsPoolid(ctx context.Context, req *schema.PutPoolsPoolid) (any, error) {
	return nil, s.change(ctx, poolChange{
		pool: req.Poolid, comment: req.Comment, vms: pveconf.SplitList(schema.Value(req.Vms, "")), storages: pveconf.SplitList(schema.Value(req.Storage, "")),
		drop: schema.Value(req.Delete, false), allowMove: schema.Value(req.AllowMove, false),
	})
}

// change makes all of it or nothing. Each member needs the right to hand the object over.
func (s *Service) change(ctx context.Context, c poolChange) error {
	c.mayMove = func(from string) error { return s.o.Access.Check(ctx, "/pool/"+from, "Pool.Allocate") }
	return s.update(ctx, "update pools failed: ", func(cfg *access.UserConfig) error {
		p := cfg.Pools[c.pool]
		if p == nil {
			return errNoPool(c.pool)
		}
		if c.comment != nil {
			p.Comment = *c.comment
		}
		for _, id := range c.vms {
			if err := s.o.Access.CheckAny(ctx, "/vms/"+id, "Permissions.Modify", "VM.Allocate"); err != nil {
				return err
			}
			if err := c.guest(cfg, p, id); err != nil {
				return err
			}
		}
		for _, id := range c.storages {
			if err := s.o.Access.Check(ctx, "/storage/"+id, "Datastore.Allocate"); err != nil {
				return err
			}
			switch {
			case c.drop && !p.Storages.Has(id):
				return call.Errorf("Storage '%s' is not a pool member", id)
			case c.drop:
				p.Storages.Remove(id)
			case p.Storages.Has(id):
				return call.Errorf("Storage '%s' is already a pool member", id)
			default:
				p.Storages.Add(id)
			}
		}
		return nil
	})
}

// guest puts a guest into the pool or takes it out; it is in one pool at most.
func (c *poolChange) guest(cfg *access.UserConfig, p *usercfg.Pool, id string) error {
	if c.drop {
		if !p.VMs.Has(id) {
			return call.Errorf("VM %s is not a pool member", id)
		}
		p.VMs.Remove(id)
		return nil
	}
	if p.VMs.Has(id) {
		return call.Errorf("VM %s is already a pool member", id)
	}
	if other := cfg.PoolOf(id); other != "" {
		if !c.allowMove {
			return call.Errorf("VM %s belongs already to pool '%s' and 'allow-move' is not set", id, other)
		}
		if err := c.mayMove(other); err != nil {
			return err
		}
		cfg.Pools[other].VMs.Remove(id)
	}
	p.VMs.Add(id)
	return nil
}

// DeletePools answers DELETE /pools.
func (s *Service) DeletePools(ctx context.Context, req *schema.DeletePools) (any, error) {
	return nil, s.deletePool(ctx, req.Poolid)
}

// DeletePoolsPoolid answers DELETE /pools/{poolid}.
func (s *Service) DeletePoolsPoolid(ctx context.Context, req *schema.DeletePoolsPoolid) (any, error) {
	return nil, s.deletePool(ctx, req.Poolid)
}

// deletePool removes an empty pool with its permissions. Members that are no more do not count.
func (s *Service) deletePool(ctx context.Context, name string) error {
	storages, err := s.o.Storages(ctx)
	if err != nil {
		return err
	}
	return s.update(ctx, "delete pool failed: ", func(cfg *access.UserConfig) error {
		p := cfg.Pools[name]
		if p == nil {
			return errNoPool(name)
		}
		for _, other := range slices.Sorted(maps.Keys(cfg.Pools)) {
			if strings.HasPrefix(other, name+"/") {
				return call.Errorf("pool '%s' is not empty (contains pool '%s')", name, other)
			}
		}
		for _, id := range p.VMs.Sorted() {
			if n, err := strconv.Atoi(id); err == nil && s.o.Inventory.Guest(n) != nil {
				return call.Errorf("pool '%s' is not empty (contains VM %s)", name, id)
			}
		}
		for _, st := range storages {
			if p.Storages.Has(st.Storage) {
				return call.Errorf("pool '%s' is not empty (contains storage '%s')", name, st.Storage)
			}
		}
		delete(cfg.Pools, name)
		cfg.ACL.Prune("/pool/" + name)
		return nil
	})
}
