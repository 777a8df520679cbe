package access

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// GetAccessGroups lists the groups on which the caller holds something.
func (s *Service) GetAccessGroups(ctx context.Context, _ *schema.GetAccessGroups) ([]schema.GetAccessGroupsRow, error) {
	v, err := s.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	rows := []schema.GetAccessGroupsRow{}
	groups := v.eval.Config().Groups
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if v.CanAny("/access/groups/"+name, "User.Modify", "Sys.Audit", "Group.Allocate") {
			g := groups[name]
			rows = append(rows, schema.GetAccessGroupsRow{Groupid: name, Comment: text(g.Comment), Users: new(strings.Join(g.Members.Sorted(), ","))})
		}
	}
	return rows, nil
}

func noSuchGroup(name string) error { return call.Errorf("group '%s' does not exist", name) }

// GetAccessGroupsGroupid shows one group.
func (s *Service) GetAccessGroupsGroupid(ctx context.Context, req *schema.GetAccessGroupsGroupid) (*schema.GetAccessGroupsGroupidReply, error) {
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	g := cfg.Groups[req.Groupid]
	if g == nil {
		return nil, noSuchGroup(req.Groupid)
	}
	return &schema.GetAccessGroupsGroupidReply{Members: g.Members.Sorted(), Comment: text(g.Comment)}, nil
}

// PostAccessGroups creates an empty group.
func (s *Service) PostAccessGroups(ctx context.Context, req *schema.PostAccessGroups) (any, error) {
	return nil, prefixed("create group failed", s.Update(ctx, func(cfg *UserConfig) error {
		if cfg.Groups[req.Groupid] != nil {
			return call.Errorf("group '%s' already exists", req.Groupid)
		}
		cfg.Groups[req.Groupid] = &usercfg.Group{Members: usercfg.Set{}, Comment: schema.Value(req.Comment, "")}
		return nil
	}))
}

// PutAccessGroupsGroupid changes the comment of a group.
func (s *Service) PutAccessGroupsGroupid(ctx context.Context, req *schema.PutAccessGroupsGroupid) (any, error) {
	return nil, prefixed("update group failed", s.Update(ctx, func(cfg *UserConfig) error {
		g := cfg.Groups[req.Groupid]
		if g == nil {
			return noSuchGroup(req.Groupid)
		}
		set(&g.Comment, req.Comment)
		return nil
	}))
}

// DeleteAccessGroupsGroupid removes a group with its permissions.
func (s *Service) DeleteAccessGroupsGroupid(ctx context.Context, req *schema.DeleteAccessGroupsGroupid) (any, error) {
	return nil, prefixed("delete group failed", s.Update(ctx, func(cfg *UserConfig) error {
		if cfg.Groups[req.Groupid] == nil {
			return noSuchGroup(req.Groupid)
		}
		cfg.DropGroup(req.Groupid)
		return nil
	}))
}
