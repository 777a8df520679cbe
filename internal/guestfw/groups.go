package guestfw

import (
	"context"
	"errors"
	"slices"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// named is a list of things that have a name and perhaps a comment, as the API shows it: sorted, with one digest.
func named[T any](list []T, key string, nameOf, commentOf func(T) string) (rows []object, digest string) {
	rows = []object{}
	var members []map[string]string
	for _, item := range sorted(list, nameOf) {
		m := map[string]string{key: nameOf(item)}
		if c := commentOf(item); c != "" {
			m["comment"] = c
		}
		members = append(members, m)
		rows = append(rows, shown(m))
	}
	digest = firewall.Digest(members...)
	for _, row := range rows {
		row["digest"] = digest
	}
	return rows, digest
}

func groupRows(c *firewall.Config) ([]object, string) {
	return named(c.Groups, "group", func(g *firewall.Group) string { return g.Name }, func(g *firewall.Group) string { return g.Comment })
}

func (s *Service) listGroups(ctx context.Context) ([]object, error) {
	f, err := s.load(ctx, clusterPlace())
	if err != nil {
		return nil, err
	}
	rows, _ := groupRows(f.config)
	return rows, nil
}

// addGroup makes a group, or gives one that is there another name or comment.
func (s *Service) addGroup(ctx context.Context, req *schema.PostClusterFirewallGroups) (any, error) {
	name, old := lower(req.Group), lower(schema.Value(req.Rename, ""))
	if err := checkComment(req.Comment); err != nil {
		return nil, err
	}
	err := s.change(ctx, clusterPlace(), func(c *firewall.Config, _ *firewall.Scope) error {
		_, exists := c.Group(name)
		if old == "" {
			if exists {
				return call.Param("group", "Security group '%s' already exists", name)
			}
			c.Groups = append(c.Groups, &firewall.Group{Name: name, Comment: schema.Value(req.Comment, "")})
			return nil
		}
		_, digest := groupRows(c)
		if err := checkDigest(schema.Value(req.Digest, ""), digest); err != nil {
			return err
		}
		g, ok := c.Group(old)
		switch {
		case !ok:
			return call.Errorf("Security group '%s' does not exist", old)
		case old == name:
			if req.Comment != nil {
				g.Comment = *req.Comment
			}
			return nil
		case exists:
			return call.Errorf("Security group '%s' does already exist", name)
		}
		// The old one stays until every file calls the new one.
		copied, _ := c.Clone().Group(old)
		copied.Name = name
		if req.Comment != nil {
			copied.Comment = *req.Comment
		}
		c.Groups = append(c.Groups, copied)
		firewall.RenameGroup(c.Rules, old, name)
		return nil
	})
	if err != nil || old == "" || old == name {
		return nil, err
	}
	if err := s.renameCalls(ctx, old, name); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, clusterPlace(), func(c *firewall.Config, _ *firewall.Scope) error {
		c.Groups = slices.DeleteFunc(c.Groups, func(g *firewall.Group) bool { return g.Name == old })
		return nil
	})
}

// renameCalls has the rules of all nodes and guests call a group by its new name.
func (s *Service) renameCalls(ctx context.Context, old, name string) error {
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	for _, p := range places {
		f, err := s.load(ctx, p)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(f.config.Rules, func(r *firewall.Rule) bool { return r.Type == "group" && r.Action == old }) {
			continue
		}
		err = s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
			firewall.RenameGroup(c.Rules, old, name)
			return nil
		})
		if gone := (*call.Error)(nil); errors.As(err, &gone) && p.level == firewall.Guest && !s.has(ctx, p) {
			continue // destroyed meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// has tells whether a file is there.
func (s *Service) has(ctx context.Context, p place) bool {
	_, err := s.o.Store.Get(ctx, p.key)
	return !errors.Is(err, cluster.ErrNotFound)
}

func (s *Service) deleteGroup(ctx context.Context, req *schema.DeleteClusterFirewallGroupsGroup) (any, error) {
	name := lower(req.Group)
	return nil, s.change(ctx, clusterPlace(), func(c *firewall.Config, _ *firewall.Scope) error {
		g, ok := c.Group(name)
		switch {
		case !ok:
			return noGroup(name)
		case len(g.Rules) > 0:
			return call.Errorf("Security group '%s' is not empty", name)
		}
		c.Groups = slices.DeleteFunc(c.Groups, func(g *firewall.Group) bool { return g.Name == name })
		return nil
	})
}
