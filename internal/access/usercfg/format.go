package usercfg

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// FormatError says which value of a Config cannot be written, because reading would not give it back.
type FormatError struct {
	Record, Value string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("user config: %s %q cannot be written", e.Record, e.Value)
}

// writer collects the text and the first value that user.cfg cannot hold. Without this check a line feed or a colon in a
// value that is written as it is would become a record or a field of its own.
type writer struct {
	strings.Builder
	err error
}

func (w *writer) refuse(record, value string) {
	if w.err == nil {
		w.err = &FormatError{Record: record, Value: value}
	}
}

func (w *writer) check(ok bool, record, value string) {
	if !ok {
		w.refuse(record, value)
	}
}

func (w *writer) record(fields ...string) {
	for _, f := range fields {
		w.WriteString(f)
		w.WriteByte(':')
	}
	w.WriteByte('\n')
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// members joins a set, refusing what would not come back as one element of the list.
func (w *writer) members(kind string, s Set, valid func(string) bool) string {
	names := s.Sorted()
	for _, n := range names {
		w.check(valid(n) && !strings.ContainsAny(n, ",;"), kind, n)
	}
	return strings.Join(names, ",")
}

func validUser(id string) bool  { _, _, ok := SplitUserID(id); return ok }
func validToken(id string) bool { _, _, ok := SplitTokenID(id); return ok }

// Format returns the text of user.cfg, canonical: equal configurations give equal texts. The error is a *[FormatError].
func (c *Config) Format() (string, error) {
	w := &writer{}
	for _, id := range slices.Sorted(maps.Keys(c.Users)) {
		w.user(id, c.Users[id])
	}
	w.WriteByte('\n')
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		g := c.Groups[name]
		w.check(ValidGroup(name), "group", name)
		w.record("group", name, w.members("group member", g.Members, validUser), encodeText(g.Comment))
	}
	w.WriteByte('\n')
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		p := c.Pools[name]
		w.check(ValidPool(name), "pool", name)
		w.record("pool", name, encodeText(p.Comment), w.members("guest", p.VMs, isDigits), w.members("storage", p.Storages, validStorage))
	}
	w.WriteByte('\n')
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		if !IsBuiltin(name) {
			w.check(ValidRole(name), "role", name)
			w.record("role", name, strings.Join(c.Roles[name].List(), ","))
		}
	}
	w.WriteByte('\n')
	for path, n := range c.ACL.Walk() {
		w.acl(path, n)
	}
	return w.String(), w.err
}

// raw checks a value that is written as it is.
func (w *writer) raw(record, value string) string {
	w.check(!strings.ContainsAny(value, ":\n") && strings.Trim(value, blanks) == value, record, value)
	return value
}

func (w *writer) user(id string, u *User) {
	w.check(validUser(id), "user", id)
	w.record("user", id, flag(u.Enable), strconv.FormatInt(u.Expire, 10), encodeText(u.FirstName), encodeText(u.LastName),
		w.raw("email", u.Email), encodeText(u.Comment), w.raw("keys", u.Keys))
	for _, name := range slices.Sorted(maps.Keys(u.Tokens)) {
		t := u.Tokens[name]
		full := id + "!" + name
		w.check(validToken(full), "token", full)
		w.record("token", full, strconv.FormatInt(t.Expire, 10), flag(t.PrivSep), encodeText(t.Comment))
	}
}

// acl writes the lists of one path: by flag, one line for each distinct list of roles.
func (w *writer) acl(path string, n *Node) {
	normal, ok := NormalizePath(path)
	w.check(ok && normal == path || n.empty(), "path", path)
	for _, propagate := range []bool{false, true} {
		byRoles := map[string]Set{}
		w.collect(byRoles, n.Groups, propagate, "@", ValidGroup)
		w.collect(byRoles, n.Users, propagate, "", validUser)
		w.collect(byRoles, n.Tokens, propagate, "", validToken)
		for _, roles := range slices.Sorted(maps.Keys(byRoles)) {
			w.record("acl", flag(propagate), path, strings.Join(byRoles[roles].Sorted(), ","), roles)
		}
	}
}

func (w *writer) collect(byRoles map[string]Set, grants Grants, propagate bool, prefix string, valid func(string) bool) {
	for member, roles := range grants {
		if member == Root && prefix == "" {
			continue // passes every check anyway
		}
		var list []string
		for role, p := range roles {
			if p == propagate {
				w.check(ValidRole(role), "role", role)
				list = append(list, role)
			}
		}
		if list == nil {
			continue
		}
		w.check(valid(member) && !strings.ContainsAny(member, ",;"), "list member", member)
		slices.Sort(list)
		key := strings.Join(list, ",")
		if byRoles[key] == nil {
			byRoles[key] = Set{}
		}
		byRoles[key].Add(prefix + member)
	}
}

// encodeText prints a name or comment. Blanks around it would be cut on reading.
func encodeText(s string) string { return pveconf.EncodeText(strings.Trim(s, " ")) }
