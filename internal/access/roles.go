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

// reservedRole begins, in any case, the names of roles that are Proxmox VE's own.
const reservedRole = "PVE"

// GetAccessRoles lists all roles.
func (s *Service) GetAccessRoles(ctx context.Context, _ *schema.GetAccessRoles) ([]schema.GetAccessRolesRow, error) {
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	rows := []schema.GetAccessRolesRow{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Roles)) {
		rows = append(rows, schema.GetAccessRolesRow{
			Roleid: name, Privs: new(strings.Join(cfg.Roles[name].List(), ",")), Special: new(schema.Bool(usercfg.IsBuiltin(name))),
		})
	}
	return rows, nil
}

func noSuchRole(name string) error { return call.Errorf("role '%s' does not exist", name) }

// GetAccessRolesRoleid shows the privileges of a role.
func (s *Service) GetAccessRolesRoleid(ctx context.Context, req *schema.GetAccessRolesRoleid) (map[string]schema.Bool, error) {
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	privs, ok := cfg.Roles[req.Roleid]
	if !ok {
		return nil, noSuchRole(req.Roleid)
	}
	out := map[string]schema.Bool{}
	for name := range privs.Names() {
		out[name] = true
	}
	return out, nil
}

// PostAccessRoles creates a role.
func (s *Service) PostAccessRoles(ctx context.Context, req *schema.PostAccessRoles) (any, error) {
	if len(req.Roleid) >= len(reservedRole) && strings.EqualFold(req.Roleid[:len(reservedRole)], reservedRole) {
		return nil, call.Param("roleid", "cannot use role ID starting with the (case-insensitive) 'PVE' namespace")
	}
	return nil, prefixed("create role failed", s.Update(ctx, func(cfg *UserConfig) error {
		if _, ok := cfg.Roles[req.Roleid]; ok {
			return call.Errorf("role '%s' already exists", req.Roleid)
		}
		return setRole(cfg, req.Roleid, req.Privs, false)
	}))
}

// setRole replaces or adds privileges of a role.
func setRole(cfg *usercfg.Config, role string, list *string, add bool) error {
	privs, bad := usercfg.PrivSetOf(usercfg.SplitList(schema.Value(list, ""))...)
	if len(bad) > 0 {
		return call.Errorf("invalid privilege '%s'", bad[0])
	}
	if add {
		privs |= cfg.Roles[role]
	}
	cfg.Roles[role] = privs
	return nil
}

// PutAccessRolesRoleid replaces the privileges of a role, or adds to them.
func (s *Service) PutAccessRolesRoleid(ctx context.Context, req *schema.PutAccessRolesRoleid) (any, error) {
	if usercfg.IsBuiltin(req.Roleid) {
		return nil, call.Errorf("auto-generated role '%s' cannot be modified", req.Roleid)
	}
	return nil, prefixed("update role failed", s.Update(ctx, func(cfg *UserConfig) error {
		if _, ok := cfg.Roles[req.Roleid]; !ok {
			return noSuchRole(req.Roleid)
		}
		return setRole(cfg, req.Roleid, req.Privs, schema.Value(req.Append, false))
	}))
}

// DeleteAccessRolesRoleid removes a role; where it was granted, it is no more.
func (s *Service) DeleteAccessRolesRoleid(ctx context.Context, req *schema.DeleteAccessRolesRoleid) (any, error) {
	if usercfg.IsBuiltin(req.Roleid) {
		return nil, call.Errorf("auto-generated role '%s' cannot be deleted", req.Roleid)
	}
	return nil, prefixed("delete role failed", s.Update(ctx, func(cfg *UserConfig) error {
		if _, ok := cfg.Roles[req.Roleid]; !ok {
			return noSuchRole(req.Roleid)
		}
		cfg.DropRole(req.Roleid)
		return nil
	}))
}
