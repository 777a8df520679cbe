package access

import (
	"context"
	"maps"
	"slices"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// GetAccessAcl lists the entries of all paths that the caller may audit or change.
func (s *Service) GetAccessAcl(ctx context.Context, _ *schema.GetAccessAcl) ([]schema.GetAccessAclRow, error) {
	v, err := s.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	audit := v.Can("/access", "Sys.Audit")
	rows := []schema.GetAccessAclRow{}
	for path, n := range v.eval.Config().ACL.Walk() {
		if !audit && !v.CanAny(path, modifyPrivs(path)...) {
			continue
		}
		rows = appendRows(rows, path, "user", n.Users)
		rows = appendRows(rows, path, "group", n.Groups)
		rows = appendRows(rows, path, "token", n.Tokens)
	}
	return rows, nil
}

func appendRows(rows []schema.GetAccessAclRow, path, kind string, g usercfg.Grants) []schema.GetAccessAclRow {
	for _, member := range slices.Sorted(maps.Keys(g)) {
		for _, role := range slices.Sorted(maps.Keys(g[member])) {
			rows = append(rows, schema.GetAccessAclRow{
				Path: path, Type: kind, Ugid: member, Roleid: role, Propagate: new(schema.Bool(g[member][role])),
			})
		}
	}
	return rows
}

// PutAccessAcl grants roles at a path or takes them back. Who may not change permissions there in general can hand out
// what it holds itself, and no more.
func (s *Service) PutAccessAcl(ctx context.Context, req *schema.PutAccessAcl) (any, error) {
	users, groups, tokens := schema.Value(req.Users, ""), schema.Value(req.Groups, ""), schema.Value(req.Tokens, "")
	if users == "" && groups == "" && tokens == "" {
		const why = "either 'users', 'groups' or 'tokens' is required."
		return nil, call.ParamErrors{"users": why, "groups": why, "tokens": why}
	}
	path, ok := usercfg.NormalizePath(req.Path)
	if !ok || !schema.Value(req.Delete, false) && !usercfg.ValidPath(path) {
		return nil, call.Param("path", "invalid ACL path '%s'", req.Path)
	}
	g := &granting{
		path: path, remove: schema.Value(req.Delete, false), propagate: schema.Value(req.Propagate, true),
		roles: usercfg.SplitList(req.Roles), users: usercfg.SplitList(users), groups: usercfg.SplitList(groups), tokens: usercfg.SplitList(tokens),
	}
	caller := call.From(ctx).AuthID
	return nil, prefixed("ACL update failed", s.Update(ctx, func(cfg *UserConfig) error {
		held := Viewer{eval: usercfg.NewEvaluator(cfg), authID: caller}.Held(path) // as stored now, before this change
		return g.apply(cfg, held)
	}))
}

// granting is one change of the list at a path.
type granting struct {
	path                         string
	remove, propagate            bool
	roles, users, groups, tokens []string
}

func (g *granting) apply(cfg *usercfg.Config, held usercfg.Held) error {
	n := cfg.ACL.At(g.path)
	for _, role := range g.roles {
		privs, ok := cfg.Roles[role]
		if !ok {
			return noSuchRole(role)
		}
		if err := g.mayHandOut(role, privs, held); err != nil {
			return err
		}
		for _, name := range g.groups {
			if cfg.Groups[name] == nil {
				return noSuchGroup(name)
			}
			g.edit(n.Groups, name, role)
		}
		for _, user := range g.users {
			if cfg.Users[user] == nil {
				return call.Errorf("user '%s' does not exist", user)
			}
			g.edit(n.Users, user, role)
		}
		for _, id := range g.tokens {
			user, token, _ := usercfg.SplitTokenID(id)
			if _, err := tokenOf(cfg, user, token); err != nil {
				return err
			}
			g.edit(n.Tokens, id, role)
		}
	}
	return nil
}

func (g *granting) edit(grants usercfg.Grants, member, role string) {
	if g.remove {
		grants.Unset(member, role)
		return
	}
	grants.Set(member, role, g.propagate)
}

// mayHandOut refuses a role that the caller does not hold in full, unless it may change permissions here anyway.
func (g *granting) mayHandOut(role string, privs usercfg.PrivSet, held usercfg.Held) error {
	if modify, _ := usercfg.Privilege("Permissions.Modify"); held.Privs.Has(modify) {
		return nil
	}
	verb := "add"
	if g.remove {
		verb = "remove"
	}
	switch {
	case !held.Privs.Has(privs):
		return call.Param("role", "Cannot %s role '%s' - requires 'Permissions.Modify' or superset of privileges.", verb, role)
	case g.propagate && !g.remove && !held.Propagated.Has(privs):
		return call.Param("role", "Cannot %s role '%s' with propagation - requires 'Permissions.Modify' or propagated superset of privileges.", verb, role)
	case role == usercfg.RoleNoAccess:
		return call.Param("role", "Cannot %s role '%s' - requires 'Permissions.Modify'", verb, role)
	}
	return nil
}
