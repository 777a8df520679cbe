package access

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// prefixed puts the name of what failed before the text of a 500, as Proxmox VE's locked sections do.
func prefixed(what string, err error) error {
	e, ok := errors.AsType[*call.Error](err)
	if !ok || e.Status != http.StatusInternalServerError {
		return err
	}
	return &call.Error{Status: e.Status, Text: what + ": " + e.Text, Err: e}
}

// text returns a pointer to s, nil if it is empty: an option that is not shown when unset.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// visibleUsers are the users that the caller may know of, sorted: all, or those of its groups and itself.
func (v Viewer) visibleUsers() []string {
	privs := []string{"User.Modify", "Sys.Audit"}
	all := v.CanAny("/access/groups", privs...)
	groups := map[string]bool{} // answers by group, asked once each
	if !all {
		for name := range v.eval.Config().Groups {
			groups[name] = v.CanAny("/access/groups/"+name, privs...)
		}
	}
	var ids []string
	for id := range v.eval.Config().Users {
		if all || id == v.authID || slices.ContainsFunc(v.eval.GroupsOf(id), func(g string) bool { return groups[g] }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// GetAccessUsers lists the users that the caller may see.
func (s *Service) GetAccessUsers(ctx context.Context, req *schema.GetAccessUsers) ([]schema.GetAccessUsersRow, error) {
	v, err := s.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	domains, err := s.domains.get(ctx)
	if err != nil {
		return nil, err
	}
	rows := []schema.GetAccessUsersRow{}
	for _, id := range v.visibleUsers() {
		u := v.eval.Config().Users[id]
		if req.Enabled != nil && u.Enable != *req.Enabled {
			continue
		}
		row := schema.GetAccessUsersRow{
			Userid: id, Enable: new(schema.Bool(u.Enable)), Expire: &u.Expire, Firstname: text(u.FirstName),
			Lastname: text(u.LastName), Email: text(u.Email), Comment: text(u.Comment), Keys: text(u.Keys),
		}
		if _, realmID, ok := usercfg.SplitUserID(id); ok {
			if r := domains.Get(realmID); r != nil {
				row.RealmType = &r.Type
			}
		}
		if schema.Value(req.Full, false) {
			row.Groups = new(strings.Join(v.eval.GroupsOf(id), ","))
			for _, name := range slices.Sorted(maps.Keys(u.Tokens)) {
				t := u.Tokens[name]
				row.Tokens = append(row.Tokens, schema.GetAccessUsersRowTokens{
					Tokenid: name, Expire: &t.Expire, Privsep: new(schema.Bool(t.PrivSep)), Comment: text(t.Comment),
				})
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// UserDetails is the answer of GET /access/users/{userid}; its lists are there even when empty.
type UserDetails struct {
	schema.GetAccessUsersUseridReply
	Groups []string                                          `json:"groups"`
	Tokens map[string]schema.GetAccessUsersUseridReplyTokens `json:"tokens"`
}

// GetAccessUsersUserid shows one user.
func (s *Service) GetAccessUsersUserid(ctx context.Context, req *schema.GetAccessUsersUserid) (any, error) {
	e, err := s.users.get(ctx)
	if err != nil {
		return nil, err
	}
	u := e.Config().Users[req.Userid]
	if u == nil {
		return nil, noSuchUser(req.Userid)
	}
	out := &UserDetails{
		GetAccessUsersUseridReply: schema.GetAccessUsersUseridReply{
			Enable: new(schema.Bool(u.Enable)), Expire: &u.Expire, Firstname: text(u.FirstName), Lastname: text(u.LastName),
			Email: text(u.Email), Comment: text(u.Comment), Keys: text(u.Keys),
		},
		Groups: append([]string{}, e.GroupsOf(req.Userid)...),
		Tokens: map[string]schema.GetAccessUsersUseridReplyTokens{},
	}
	for name, t := range u.Tokens {
		out.Tokens[name] = schema.GetAccessUsersUseridReplyTokens{Expire: &t.Expire, Privsep: new(schema.Bool(t.PrivSep)), Comment: text(t.Comment)}
	}
	return out, nil
}

// set applies the fields given; an empty text clears one.
func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

// joinGroups puts the user into the groups of a list.
func joinGroups(cfg *usercfg.Config, user, list string) error {
	for _, name := range usercfg.SplitList(list) {
		g := cfg.Groups[name]
		if g == nil {
			return call.Errorf("no such group '%s'", name)
		}
		g.Members.Add(user)
	}
	return nil
}

// PostAccessUsers creates a user, with a password if one is given.
func (s *Service) PostAccessUsers(ctx context.Context, req *schema.PostAccessUsers) (any, error) {
	if !usercfg.SafeUserID(req.Userid) {
		return nil, call.Param("userid", "invalid format - value '%s' does not look like a valid user name\n", req.Userid)
	}
	return nil, prefixed("create user failed", s.createUser(ctx, req))
}

func (s *Service) createUser(ctx context.Context, req *schema.PostAccessUsers) error {
	domains, err := s.domains.get(ctx)
	if err != nil {
		return err
	}
	store := func(*change) error { return nil }
	if req.Password != nil {
		if store, err = s.passwordFor(ctx, req.Userid, *req.Password); err != nil {
			return err
		}
	}
	return s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		if cfg.Users[req.Userid] != nil || domains.FoldsCase(req.Userid) && len(foldedMatches(cfg, req.Userid)) > 0 {
			return call.Errorf("user '%s' already exists", req.Userid)
		}
		if err := joinGroups(cfg, req.Userid, schema.Value(req.Groups, "")); err != nil {
			return err
		}
		u := usercfg.NewUser()
		set(&u.Enable, req.Enable)
		set(&u.Expire, req.Expire)
		set(&u.FirstName, req.Firstname)
		set(&u.LastName, req.Lastname)
		set(&u.Email, req.Email)
		set(&u.Comment, req.Comment)
		set(&u.Keys, req.Keys)
		cfg.Users[req.Userid] = u
		return store(c)
	})
}

// PutAccessUsersUserid changes what is given.
func (s *Service) PutAccessUsersUserid(ctx context.Context, req *schema.PutAccessUsersUserid) (any, error) {
	return nil, prefixed("update user failed", s.Update(ctx, func(cfg *UserConfig) error {
		u := cfg.Users[req.Userid]
		if u == nil {
			return noSuchUser(req.Userid)
		}
		set(&u.Enable, req.Enable)
		set(&u.Expire, req.Expire)
		set(&u.FirstName, req.Firstname)
		set(&u.LastName, req.Lastname)
		set(&u.Email, req.Email)
		set(&u.Comment, req.Comment)
		set(&u.Keys, req.Keys)
		if req.Groups == nil {
			return nil
		}
		if !schema.Value(req.Append, false) {
			for _, g := range cfg.Groups {
				g.Members.Remove(req.Userid)
			}
		}
		return joinGroups(cfg, req.Userid, *req.Groups)
	}))
}

// DeleteAccessUsersUserid removes a user with its password, tokens, memberships and permissions. One that is not there
// is no error.
func (s *Service) DeleteAccessUsersUserid(ctx context.Context, req *schema.DeleteAccessUsersUserid) (any, error) {
	name, realmID, _ := usercfg.SplitUserID(req.Userid)
	domains, err := s.domains.get(ctx)
	if err != nil {
		return nil, err
	}
	kept := domains.KeepsPasswords(realmID)
	return nil, prefixed("delete user failed", s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		cfg.DropUser(req.Userid)
		tokens, err := c.tokens()
		if err != nil {
			return err
		}
		maps.DeleteFunc(tokens, func(id string, _ [32]byte) bool { return usercfg.UserOf(id) == req.Userid })
		if !kept {
			return nil
		}
		sec, err := c.secrets(&s.shadow)
		if err == nil {
			delete(sec, name)
		}
		return err
	}))
}
