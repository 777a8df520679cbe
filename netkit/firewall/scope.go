package firewall

import (
	"net/netip"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// Scope is what the rules of a file may name besides the file's own aliases and sets.
type Scope struct {
	Cluster *Config  // cluster.fw; its own file where that is what is read
	SDN     []*IPSet // sets made from the network configuration

	own   *Config // the guest's
	level Level
	group bool // rules of security groups
}

// within returns the scope of rules in c.
func (s *Scope) within(c *Config) *Scope {
	out := &Scope{level: c.Level}
	if s != nil {
		out.Cluster, out.SDN = s.Cluster, s.SDN
	}
	switch c.Level {
	case Cluster:
		out.Cluster = c
	case Guest:
		out.own = c
	}
	return out
}

// groups returns the scope of rules in security groups: they do not see what a guest defines.
func (s *Scope) groups() *Scope {
	out := *s
	out.own, out.group = nil, true
	return &out
}

// splitScope takes the scope off the name of an alias or set.
func splitScope(v string) (scope, name string) {
	for _, scope := range [...]string{"dc", "guest", "sdn"} {
		if name, ok := strings.CutPrefix(v, scope+"/"); ok {
			return scope, name
		}
	}
	return "", v
}

// alias resolves `[dc/|guest/]NAME`.
func (s *Scope) alias(v string) (Alias, bool) {
	scope, name := splitScope(v)
	if scope != "dc" {
		if a, ok := s.own.Alias(name); ok {
			return a, true
		}
	}
	if scope == "" || scope == "dc" {
		return s.Cluster.Alias(name)
	}
	return Alias{}, false
}

// origin is where a set is defined.
type origin int

const (
	fromGuest origin = iota
	fromCluster
	fromSDN
)

// set resolves `[dc/|guest/|sdn/]NAME`, without the plus. Entries of a set are resolved where the set is defined: see
// [setRef].
func (s *Scope) set(v string) (*IPSet, origin, bool) {
	scope, name := splitScope(v)
	if scope == "" || scope == "guest" {
		if set, ok := s.own.Set(name); ok {
			return set, fromGuest, true
		}
	}
	if scope == "" || scope == "dc" {
		if set, ok := s.Cluster.Set(name); ok {
			return set, fromCluster, true
		}
	}
	if scope == "" || scope == "sdn" {
		for _, set := range s.SDN {
			if set.Name == name {
				return set, fromSDN, true
			}
		}
	}
	return nil, 0, false
}

// known tells whether a set of the name is defined anywhere in sight, whatever the scope says.
func (s *Scope) known(v string) bool {
	_, name := splitScope(v)
	_, _, ok := s.set(name)
	return ok
}

// checkEntries notes what is wrong with the entries of a set.
func (s *Scope) checkEntries(set *IPSet) {
	seen := make(map[string]bool, len(set.Entries))
	for i := range set.Entries {
		e := &set.Entries[i]
		e.Fault = s.entryFault(e.CIDR)
		if e.Fault == "" && seen[e.CIDR] {
			e.Fault = "duplicate ipset entry for '" + e.CIDR + "'"
		}
		seen[e.CIDR] = true
	}
}

func (s *Scope) entryFault(v string) string {
	if scope, name := splitScope(v); scope != "sdn" && isName(name) && len(name) <= maxSetName {
		if _, ok := s.alias(v); !ok {
			return "no such alias '" + v + "'"
		}
		return ""
	}
	if err := pveconf.CheckFormat("IPorCIDR", v); err != nil {
		return err.Error()
	}
	if p, ok := parsePrefix(v); ok && p.Bits() == 0 {
		return "a zero prefix is not allowed in ipset entries"
	}
	return ""
}

// parsePrefix reads an address or network; host bits stay.
func parsePrefix(v string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(v); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(v)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// ipVersion is 4 or 6, or 0 for what is no address or network.
func ipVersion(v string) int {
	p, ok := parsePrefix(v)
	switch {
	case !ok:
		return 0
	case p.Addr().Is4():
		return 4
	}
	return 6
}
