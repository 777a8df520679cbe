package realm

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// Entry is a user or group as a directory server described it. Attribute names compare without case.
type Entry struct {
	DN         string
	Attributes map[string][]string
	Members    []string // DNs of a group's members
}

func (e *Entry) first(attribute string) (string, bool) {
	for name, values := range e.Attributes {
		if strings.EqualFold(name, attribute) && len(values) > 0 {
			return values[0], true
		}
	}
	return "", false
}

// SyncOptions say what a synchronisation does.
type SyncOptions struct {
	Users, Groups    bool // the scope
	EnableNew        bool // users that are new are enabled
	RemoveEntries    bool // remove-vanished=entry: users and groups not found are deleted
	RemoveProperties bool // remove-vanished=properties: what the directory does not say of those found is cleared
	RemoveACL        bool // remove-vanished=acl: list entries of those not found are deleted
}

// Directory is how a realm's directory names things.
type Directory struct {
	Realm         string
	UserAttr      string // attribute with the user name, such as uid
	GroupNameAttr string // attribute with the group name; empty: the first value of the DN
	// Attributes maps fields of a user (firstname, email, …) to attributes, besides those of the field's own name.
	Attributes map[string]string
}

// Sync brings the users and groups of a realm in line with what its directory holds. The lines say what was done, for
// the log of the task. It changes cfg only; nothing is asked of any server.
func Sync(cfg *usercfg.Config, d Directory, users, groups []Entry, o SyncOptions) []string {
	s := &syncer{cfg: cfg, dir: d, opts: o, byDN: map[string]string{}}
	found := s.users(users)
	if o.Users {
		s.syncUsers(found)
	}
	if o.Groups {
		s.syncGroups(groups)
	}
	return s.log
}

type syncer struct {
	cfg  *usercfg.Config
	dir  Directory
	opts SyncOptions
	byDN map[string]string // lower-case DN of a user found: its id
	log  []string
}

func (s *syncer) logf(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// users returns the fields of the users found, by user id.
func (s *syncer) users(entries []Entry) map[string]map[string]string {
	found := map[string]map[string]string{}
	for i := range entries {
		e := &entries[i]
		name, ok := e.first(s.dir.UserAttr)
		if !ok {
			s.logf("warning: skipping '%s': no attribute '%s'", e.DN, s.dir.UserAttr)
			continue
		}
		id := name + "@" + s.dir.Realm
		if !usercfg.SafeUserID(id) {
			s.logf("warning: skipping '%s': value '%s' does not look like a valid user name", e.DN, id)
			continue
		}
		s.byDN[strings.ToLower(e.DN)] = id
		found[id] = s.fields(e)
	}
	return found
}

// fields reads what the directory says of a user. A value that the field cannot hold is skipped.
func (s *syncer) fields(e *Entry) map[string]string {
	out := map[string]string{}
	for field, valid := range userFields() {
		for _, attribute := range []string{field, s.dir.Attributes[field]} {
			if v, ok := e.first(attribute); ok && attribute != "" && valid(v) {
				out[field] = v
			}
		}
	}
	return out
}

// userFields are the fields of a user that a directory can fill, with the schema's checks of their values.
var userFields = sync.OnceValue(func() map[string]func(string) bool {
	length := func(n int) func(string) bool {
		return func(s string) bool { return utf8.RuneCountInString(s) <= n }
	}
	keys := regexp.MustCompile(`^[0-9a-zA-Z!=]*$`)
	return map[string]func(string) bool{
		"enable":    func(s string) bool { return s == "0" || s == "1" },
		"expire":    func(s string) bool { _, err := strconv.ParseUint(s, 10, 63); return err == nil },
		"firstname": length(1024),
		"lastname":  length(1024),
		"email":     func(s string) bool { return len(s) <= 254 && pveconf.CheckFormat("email-opt", s) == nil },
		"comment":   length(2048),
		"keys":      func(s string) bool { return len(s) <= 4096 && keys.MatchString(s) },
	}
})

func apply(u *usercfg.User, fields map[string]string) {
	for field, v := range fields {
		switch field {
		case "enable":
			u.Enable = v == "1"
		case "expire":
			u.Expire, _ = strconv.ParseInt(v, 10, 64) // checked before
		case "firstname":
			u.FirstName = v
		case "lastname":
			u.LastName = v
		case "email":
			u.Email = v
		case "comment":
			u.Comment = v
		case "keys":
			u.Keys = v
		}
	}
}

func (s *syncer) syncUsers(found map[string]map[string]string) {
	s.vanishedUsers(found)
	for _, id := range slices.Sorted(maps.Keys(found)) {
		old := s.cfg.Users[id]
		u := usercfg.NewUser()
		switch {
		case old == nil:
			apply(u, found[id])
			u.Enable = s.opts.EnableNew
			s.logf("adding user '%s'", id)
		case s.opts.RemoveProperties:
			apply(u, found[id])
			u.Enable, u.Tokens = old.Enable, old.Tokens
			s.logf("overwriting user '%s'", id)
		default:
			u = old
			apply(u, found[id])
			s.logf("updating user '%s'", id)
		}
		s.cfg.Users[id] = u
	}
}

// vanishedUsers deals with users of the realm that the directory does not know. Records of groups are left alone.
func (s *syncer) vanishedUsers(found map[string]map[string]string) {
	for _, id := range slices.Sorted(maps.Keys(s.cfg.Users)) {
		_, realm, _ := usercfg.SplitUserID(id)
		if _, here := found[id]; here || realm != s.dir.Realm {
			continue
		}
		if s.opts.RemoveEntries {
			delete(s.cfg.Users, id)
			s.logf("deleting user '%s'", id)
		}
		if s.opts.RemoveACL {
			s.cfg.DropUserACL(id)
			s.logf("deleting permissions of user '%s'", id)
		}
	}
}

func (s *syncer) syncGroups(entries []Entry) {
	found := map[string]usercfg.Set{}
	for i := range entries {
		e := &entries[i]
		name := s.groupName(e)
		if !usercfg.ValidGroup(name) {
			s.logf("warning: skipping '%s': group name '%s' contains invalid characters", e.DN, name)
			continue
		}
		members := usercfg.Set{}
		for _, dn := range e.Members {
			if id, ok := s.byDN[strings.ToLower(dn)]; ok {
				members.Add(id)
			}
		}
		found[name] = members
	}
	s.vanishedGroups(found)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		g := s.cfg.Groups[name]
		switch {
		case g == nil:
			s.logf("adding group '%s'", name)
		case s.opts.RemoveProperties:
			s.logf("overwriting group '%s'", name)
		default:
			g.Members = found[name]
			s.logf("updating group '%s'", name)
			continue
		}
		s.cfg.Groups[name] = &usercfg.Group{Members: found[name]}
	}
}

func (s *syncer) vanishedGroups(found map[string]usercfg.Set) {
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Groups)) {
		if _, here := found[name]; here || !strings.HasSuffix(name, "-"+s.dir.Realm) {
			continue
		}
		if s.opts.RemoveEntries {
			delete(s.cfg.Groups, name)
			s.logf("deleting group '%s'", name)
		}
		if s.opts.RemoveACL {
			s.cfg.DropGroupACL(name)
			s.logf("deleting permissions of group '%s'", name)
		}
	}
}

// groupName is the group's name in the directory with the realm after it, so that realms cannot take each other's groups.
func (s *syncer) groupName(e *Entry) string {
	if s.dir.GroupNameAttr != "" {
		if v, ok := e.first(s.dir.GroupNameAttr); ok {
			return v + "-" + s.dir.Realm
		}
	}
	_, rest, _ := strings.Cut(e.DN, "=")
	end := strings.IndexAny(rest, ",+")
	if end < 0 {
		end = len(rest)
	}
	return strings.TrimSpace(rest[:end]) + "-" + s.dir.Realm
}
