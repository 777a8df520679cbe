package volume

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// The storages that are made of a node's own disks: one name may stand for such a thing on several nodes.

// CheckForNode tells whether AddForNode can add a storage. The error is public.
func (s *Service) CheckForNode(ctx context.Context, typ, id string, options map[string]string) error {
	f, err := s.load(ctx)
	if err != nil {
		return err
	}
	_, err = s.forNode(f, typ, id, options)
	return err
}

// forNode returns the section of a storage with this node in it.
func (s *Service) forNode(f *configFile, typ, id string, options map[string]string) (*pveconf.Section, error) {
	if err := pveconf.CheckFormat("pve-storage-id", id); err != nil {
		return nil, call.Param("name", "%v", err)
	}
	c := f.byID[id]
	if c == nil {
		values := maps.Clone(options)
		values["nodes"] = s.opts.Node
		return &pveconf.Section{Type: typ, ID: id, Values: values}, nil
	}
	if c.Type != typ || c.OnNode(s.opts.Node) {
		return nil, call.Errorf("Storage ID '%s' already exists on node %s", id, s.opts.Node)
	}
	for _, k := range storageTypes[typ].required {
		if c.Options[k] != options[k] {
			return nil, call.Errorf("Option '%s' (%s) does not match existing storage configuration '%s'", k, options[k], c.Options[k])
		}
	}
	sec := f.sections.Get(id)
	if sec == nil {
		return nil, call.Errorf("Storage ID '%s' already exists on node %s", id, s.opts.Node)
	}
	values := maps.Clone(sec.Values)
	values["nodes"] = joinSorted(append(slices.Clone(c.Nodes), s.opts.Node))
	return &pveconf.Section{Type: typ, ID: id, Values: values}, nil
}

// AddForNode configures a storage for this node: a new one for it alone, or one more node of a storage that is of the same
// type and says the same about where its volumes are.
func (s *Service) AddForNode(ctx context.Context, typ, id string, options map[string]string) error {
	return s.change(ctx, func(f *configFile) ([]cluster.Part, error) {
		sec, err := s.forNode(f, typ, id, options)
		if err != nil {
			return nil, err
		}
		if err := decode(sec, s.warn(id)); err != nil {
			return nil, public(err, "%v", err)
		}
		return nil, store(f, sec)
	})
}

// DropForNode takes this node out of the storages that match. One that no node is left of is removed.
func (s *Service) DropForNode(ctx context.Context, match func(*Config) bool) error {
	var left []Config
	err := s.change(ctx, func(f *configFile) ([]cluster.Part, error) {
		left = nil
		for _, c := range f.storages {
			sec := f.sections.Get(c.ID)
			if !match(&c) || !c.OnNode(s.opts.Node) || sec == nil {
				continue
			}
			left = append(left, c)
			rest := slices.DeleteFunc(slices.Clone(c.Nodes), func(n string) bool { return n == s.opts.Node })
			if len(rest) == 0 {
				f.sections.Delete(c.ID)
				continue
			}
			values := maps.Clone(sec.Values)
			values["nodes"] = strings.Join(rest, ",")
			if err := store(f, &pveconf.Section{Type: c.Type, ID: c.ID, Values: values}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err == nil {
		for i := range left {
			s.leave(ctx, &left[i])
		}
	}
	return err
}
