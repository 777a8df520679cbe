package usercfg

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
	"sync"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Names of roles that have a meaning of their own.
const (
	RoleAdministrator = "Administrator" // every privilege; what root@pam has everywhere
	RoleNoAccess      = "NoAccess"      // beats every other role at the same path
)

// PrivSet is a set of privileges, one bit for each name of Proxmox VE's table, in the table's (sorted) order.
type PrivSet uint64

// table is the immutable index of privilege names.
type table struct {
	names   []string
	bit     map[string]PrivSet
	builtin map[string]PrivSet
}

var privileges = sync.OnceValue(func() *table {
	t := &table{names: schema.Privileges(), bit: map[string]PrivSet{}, builtin: map[string]PrivSet{}}
	if len(t.names) > 64 {
		panic("usercfg: more privileges than bits in a PrivSet")
	}
	for i, name := range t.names {
		t.bit[name] = 1 << i
	}
	for role, privs := range schema.BuiltinRoles() {
		var s PrivSet
		for _, p := range privs {
			s |= t.bit[p]
		}
		t.builtin[role] = s
	}
	return t
})

// Privilege returns the set that holds just the named privilege; ok is false for a name that Proxmox VE does not know.
func Privilege(name string) (s PrivSet, ok bool) {
	s, ok = privileges().bit[name]
	return s, ok
}

// PrivSetOf returns the set of the named privileges. Unknown names are held by nobody: they are returned as bad.
func PrivSetOf(names ...string) (s PrivSet, bad []string) {
	for _, name := range names {
		b, ok := Privilege(name)
		if !ok {
			bad = append(bad, name)
		}
		s |= b
	}
	return s, bad
}

// AllPrivileges is the set of every privilege.
func AllPrivileges() PrivSet { return privileges().builtin[RoleAdministrator] }

// IsBuiltin reports whether the role is one of Proxmox VE's own, which user.cfg cannot change.
func IsBuiltin(role string) bool {
	_, ok := privileges().builtin[role]
	return ok
}

func builtinRoles() map[string]PrivSet { return maps.Clone(privileges().builtin) }

// Has reports whether all privileges of o are in s.
func (s PrivSet) Has(o PrivSet) bool { return s&o == o }

// Names yields the names of the privileges in s, sorted.
func (s PrivSet) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		names := privileges().names
		for rest := uint64(s); rest != 0; rest &= rest - 1 {
			if !yield(names[bits.TrailingZeros64(rest)]) {
				return
			}
		}
	}
}

// List returns the names of the privileges in s, sorted.
func (s PrivSet) List() []string { return slices.Collect(s.Names()) }
