package usercfg

import (
	"maps"
	"slices"
	"strings"
)

// Root is the user that always exists and passes every check.
const Root = "root@pam"

// Config is the content of user.cfg. References may dangle (a group may list users that do not exist): the file format allows it.
type Config struct {
	Users  map[string]*User  // by user@realm
	Groups map[string]*Group // by name
	Pools  map[string]*Pool  // by full name, "a/b"; every parent exists
	Roles  map[string]PrivSet
	ACL    *Node // the root of the tree of access control lists, never nil
}

// User is an account. The realm that checks its password is in domains.cfg.
type User struct {
	Enable    bool
	Expire    int64 // Unix seconds, 0 = never
	FirstName string
	LastName  string
	Email     string
	Comment   string
	Keys      string            // "x": second factors are in tfa.cfg; else old TOTP secrets or Yubico ids
	Tokens    map[string]*Token // by token name, without the user
}

// Token is an API token of a user; its secret is not here.
type Token struct {
	Expire  int64 // Unix seconds, 0 = never
	PrivSep bool  // false: has the privileges of its user; true: only what is granted to itself and held by the user
	Comment string
}

// Group is a set of users.
type Group struct {
	Members Set // of user@realm
	Comment string
}

// Pool is a set of guests and storages. A guest is in one pool at most.
type Pool struct {
	VMs      Set // of VM ids as text
	Storages Set // of storage ids
	Comment  string
}

// New returns the configuration of a fresh cluster: built-in roles and root@pam.
func New() *Config {
	c := &Config{
		Users: map[string]*User{}, Groups: map[string]*Group{}, Pools: map[string]*Pool{},
		Roles: builtinRoles(), ACL: &Node{},
	}
	c.ensureRoot()
	return c
}

func (c *Config) ensureRoot() {
	if c.Users[Root] == nil {
		c.Users[Root] = NewUser()
	}
}

// NewUser returns an enabled user without any detail.
func NewUser() *User { return &User{Enable: true, Tokens: map[string]*Token{}} }

// Token returns the token of a full token id, nil if there is none.
func (c *Config) Token(id string) *Token {
	user, token, ok := SplitTokenID(id)
	if !ok || c.Users[user] == nil {
		return nil
	}
	return c.Users[user].Tokens[token]
}

// GroupsOf returns the names of the groups that list the user, sorted.
func (c *Config) GroupsOf(user string) []string {
	var names []string
	for name, g := range c.Groups {
		if g.Members.Has(user) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// AddPool returns the pool of that name, made with its parents if missing.
func (c *Config) AddPool(name string) *Pool {
	if p := c.Pools[name]; p != nil {
		return p
	}
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		c.AddPool(name[:i])
	}
	p := &Pool{VMs: Set{}, Storages: Set{}}
	c.Pools[name] = p
	return p
}

// PoolOf returns the name of the pool that the guest is in, "" if it is in none.
func (c *Config) PoolOf(vmid string) string {
	for name, p := range c.Pools {
		if p.VMs.Has(vmid) {
			return name
		}
	}
	return ""
}

// DropGuest removes what the configuration knows of a guest: its pool membership and the list at /vms/ID.
func (c *Config) DropGuest(vmid string) {
	for _, p := range c.Pools {
		p.VMs.Remove(vmid)
	}
	c.ACL.Prune("/vms/" + vmid)
}

// DropUser removes the account with its tokens, its memberships and the entries of both in all lists.
func (c *Config) DropUser(user string) {
	delete(c.Users, user)
	for _, g := range c.Groups {
		g.Members.Remove(user)
	}
	c.DropUserACL(user)
	for _, n := range c.ACL.Walk() {
		maps.DeleteFunc(n.Tokens, func(id string, _ map[string]bool) bool { return UserOf(id) == user })
	}
}

// DropUserACL removes the user's own entries in all lists.
func (c *Config) DropUserACL(user string) {
	for _, n := range c.ACL.Walk() {
		delete(n.Users, user)
	}
}

// DropGroup removes the group and its entries in all lists.
func (c *Config) DropGroup(group string) {
	delete(c.Groups, group)
	c.DropGroupACL(group)
}

// DropGroupACL removes the group's entries in all lists.
func (c *Config) DropGroupACL(group string) {
	for _, n := range c.ACL.Walk() {
		delete(n.Groups, group)
	}
}

// DropRole removes the role and takes it back from everybody.
func (c *Config) DropRole(role string) {
	delete(c.Roles, role)
	for _, n := range c.ACL.Walk() {
		for _, grants := range []Grants{n.Users, n.Groups, n.Tokens} {
			for member := range grants {
				grants.Unset(member, role)
			}
		}
	}
}

// DropToken removes the token and its entries in all lists.
func (c *Config) DropToken(id string) {
	if user, token, ok := SplitTokenID(id); ok && c.Users[user] != nil {
		delete(c.Users[user].Tokens, token)
	}
	for _, n := range c.ACL.Walk() {
		delete(n.Tokens, id)
	}
}

// Set is a set of names.
type Set map[string]struct{}

// SetOf returns the set of the names.
func SetOf(names ...string) Set {
	s := make(Set, len(names))
	for _, n := range names {
		s.Add(n)
	}
	return s
}

// Add puts a name into the set.
func (s Set) Add(name string) { s[name] = struct{}{} }

// Remove takes a name out of the set.
func (s Set) Remove(name string) { delete(s, name) }

// Has reports whether the name is in the set.
func (s Set) Has(name string) bool { _, ok := s[name]; return ok }

// Sorted returns the names as a sorted slice, empty rather than nil.
func (s Set) Sorted() []string {
	names := slices.AppendSeq(make([]string, 0, len(s)), maps.Keys(s))
	slices.Sort(names)
	return names
}
