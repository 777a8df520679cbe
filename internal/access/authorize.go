package access

import (
	"context"
	"errors"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Authorize applies the permission expression of a method to a caller; nil is root@pam only. params are the parameters
// as sent, unchecked. Refusals have status 403 and Proxmox VE's text; a user named by a parameter that does not exist is a 500.
func (s *Service) Authorize(ctx context.Context, c call.Caller, p *schema.Permission, params map[string]string) error {
	if p != nil && p.Kind == schema.PermWorld {
		return nil
	}
	switch {
	case c.AuthID == "":
		return call.Forbidden("user != null")
	case c.AuthID == call.Root:
		return nil
	case p == nil:
		return call.Forbidden("user != root@pam")
	case p.Kind == schema.PermAll:
		return nil
	}
	v, err := s.viewerOf(ctx, c.AuthID)
	if err != nil {
		return err
	}
	x := expression{Viewer: v, params: params}
	err = x.holds(p, false)
	if hard, ok := errors.AsType[hardError](err); ok {
		return hard.error
	}
	return err
}

// expression is a permission expression under evaluation.
type expression struct {
	Viewer
	params map[string]string
}

// errBranch is a failed alternative below "or", which has no text of its own.
var errBranch = call.Forbidden("")

// holds returns nil if p holds. branch says that p is an alternative below "or": then most failures are errBranch, and
// the rest end the evaluation, as they do in Proxmox VE.
func (x expression) holds(p *schema.Permission, branch bool) error {
	err := x.kind(p)
	if err != nil && branch && soft(p, err) {
		return errBranch
	}
	return err
}

// hardError marks a failure that an enclosing "or" does not forgive.
type hardError struct{ error }

func (h hardError) Unwrap() error { return h.error }

// soft reports whether a failure of an alternative lets the next one be tried.
func soft(p *schema.Permission, err error) bool {
	_, hard := errors.AsType[hardError](err)
	return p.Kind != schema.PermAnd && !hard
}

func (x expression) kind(p *schema.Permission) error {
	switch p.Kind {
	case schema.PermWorld, schema.PermAll:
		return nil
	case schema.PermAnd:
		for _, child := range p.Children {
			if err := x.holds(child, false); err != nil {
				return err
			}
		}
		return nil
	case schema.PermOr:
		for _, child := range p.Children {
			err := x.holds(child, true)
			if err == nil || err != errBranch { //nolint:errorlint // the very value
				return err
			}
		}
		return call.Forbidden("")
	case schema.PermPath:
		return x.perm(p)
	case schema.PermUseridParam:
		return x.useridParam(p)
	case schema.PermUseridGroup:
		return x.useridGroup(p)
	case schema.PermModify:
		return x.modify(p)
	}
	return call.Forbidden("")
}

// path fills the placeholders of a path with parameters; those not given are empty.
func (x expression) path(template string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(x.params[name])
		template = after
	}
}

func (x expression) perm(p *schema.Permission) error {
	if p.RequireParam != "" {
		if _, given := x.params[p.RequireParam]; !given {
			return call.Forbidden("")
		}
	}
	if p.Any {
		return x.CheckAny(x.path(p.Path), p.Privs...)
	}
	return x.Check(x.path(p.Path), p.Privs...)
}

func (x expression) modify(p *schema.Permission) error {
	raw := x.path(p.Path)
	path, ok := usercfg.NormalizePath(raw)
	if !ok {
		return call.Param("path", "invalid ACL path '%s'", raw) // what the method itself would answer
	}
	return x.CheckAny(path, modifyPrivs(path)...)
}

func noSuchUser(id string) error { return call.Errorf("no such user ('%s')", id) }

func (x expression) config() *usercfg.Config { return x.Viewer.eval.Config() }

func (x expression) exists(id string) bool { return x.config().Users[id] != nil }

func (x expression) useridParam(p *schema.Permission) error {
	id := x.params["userid"]
	_, realm, ok := usercfg.SplitUserID(id)
	if !ok {
		return hardError{call.Errorf("value '%s' does not look like a valid user name", id)}
	}
	if p.Param != "self" {
		return x.Check("/access/realm/"+realm, p.Param)
	}
	switch {
	case !x.exists(id):
		return noSuchUser(id)
	case id != x.authID:
		return call.Forbidden("")
	}
	return nil
}

func (x expression) useridGroup(p *schema.Permission) error {
	id := x.params["userid"]
	existing := p.GroupsParam != "create"
	if existing && !x.exists(id) {
		return noSuchUser(id)
	}
	if x.CanAny("/access/groups", p.Privs...) {
		return nil
	}
	if p.GroupsParam != "" {
		if err := x.groupsParam(p.Privs); err != nil {
			return hardError{err}
		}
	}
	if existing && !x.managed(id, p.Privs) {
		return call.Forbidden("")
	}
	return nil
}

// groupsParam checks the groups that a user is to be put into.
func (x expression) groupsParam(privs []string) error {
	names := strings.Join(privs, "|")
	groups := usercfg.SplitList(x.params["groups"])
	if len(groups) == 0 {
		return call.Forbidden("/access/groups, " + names)
	}
	for _, g := range groups {
		if x.config().Groups[g] == nil || !x.CanAny("/access/groups/"+g, privs...) {
			return call.Forbidden("/access/groups/" + g + ", " + names)
		}
	}
	return nil
}

// managed reports whether the user is in a group on which the caller holds one of the privileges.
func (v Viewer) managed(user string, privs []string) bool {
	for _, g := range v.eval.GroupsOf(user) {
		if v.CanAny("/access/groups/"+g, privs...) {
			return true
		}
	}
	return false
}
