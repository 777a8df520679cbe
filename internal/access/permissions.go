package access

import (
	"context"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// GetAccess lists the children of /access.
func (s *Service) GetAccess(context.Context, *schema.GetAccess) ([]schema.GetAccessRow, error) {
	var rows []schema.GetAccessRow
	for _, name := range []string{"users", "groups", "roles", "acl", "domains", "openid", "tfa", "ticket", "password"} {
		rows = append(rows, schema.GetAccessRow{Subdir: name})
	}
	return rows, nil
}

// GetAccessPermissions shows what the caller, or with Sys.Audit on /access somebody else, may do: path, privilege,
// propagate. A user may always ask about its own tokens, a token about itself alone.
func (s *Service) GetAccessPermissions(ctx context.Context, req *schema.GetAccessPermissions) (map[string]map[string]schema.Bool, error) {
	v, err := s.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	id := schema.Value(req.Userid, v.authID)
	owner, _, isToken := usercfg.SplitTokenID(id)
	if id != v.authID && !(isToken && owner == v.authID) {
		if err := v.Check("/access", "Sys.Audit"); err != nil {
			return nil, err
		}
	}
	if path := schema.Value(req.Path, ""); path != "" {
		of := Viewer{eval: v.eval, authID: id}
		return shownFlags(map[string]map[string]bool{path: of.Held(path).Map()}), nil
	}
	return shownFlags(v.eval.Effective(id)), nil
}
