package firewall

import (
	"fmt"
	"slices"
	"strings"
)

// Level is the kind of a firewall file: it decides which sections, options and rules the file may have.
type Level int

// The kinds of files.
const (
	Cluster Level = iota // cluster.fw: all that the whole cluster shares
	Host                 // host.fw of a node
	Guest                // VMID.fw of a virtual machine or container
	VNet                 // VNET.fw of a virtual network
)

func (l Level) String() string {
	switch l {
	case Cluster:
		return "cluster"
	case Host:
		return "host"
	case Guest:
		return "vm"
	case VNet:
		return "vnet"
	}
	return fmt.Sprintf("level %d", int(l))
}

// Config is what a firewall file says.
type Config struct {
	Level   Level
	Options map[string]string // by key; values normalised: policies in upper case, booleans 0 or 1
	Aliases []Alias           // in the order of the file; at most one per name in lower case
	Sets    []*IPSet          // at most one per name
	Rules   []*Rule
	Groups  []*Group // security groups, in cluster.fw; at most one per name
}

// NewConfig returns an empty configuration.
func NewConfig(l Level) *Config { return &Config{Level: l, Options: map[string]string{}} }

// Alias is a name for an address or network.
type Alias struct {
	Name    string // in the case it was written in; it is looked up without regard to case
	CIDR    string
	Comment string
}

// IPSet is a named list of addresses.
type IPSet struct {
	Name    string // in lower case where it comes from a file
	Comment string
	Entries []Entry
}

// Entry is a line of an IPSet.
type Entry struct {
	CIDR    string // an address, a network, or the name of an alias with or without its scope
	NoMatch bool   // what it covers is not in the set, where no longer prefix says otherwise
	Comment string
	Fault   string // why it gets into no set; empty for a good one
}

// Group is a security group: rules that other lists of rules call.
type Group struct {
	Name    string
	Comment string
	Rules   []*Rule
}

// Rule is a line of a list of rules. All values but Enable are texts as in the file; empty means not given.
type Rule struct {
	Type     string // in, out, forward or group
	Action   string // ACCEPT, DROP, REJECT, or the name of the group
	Macro    string
	Iface    string
	Source   string
	Dest     string
	Proto    string
	Dport    string
	Sport    string
	ICMPType string
	Log      string
	Comment  string
	Enable   bool

	IPVersion int               // 4 or 6 where protocol or addresses bind the rule to one family, else 0
	Faults    map[string]string // by key, what is wrong with the rule; a faulty rule has no effect
}

// Alias finds an alias by its name in any case.
func (c *Config) Alias(name string) (Alias, bool) {
	if c == nil {
		return Alias{}, false
	}
	for _, a := range c.Aliases {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return Alias{}, false
}

// Set finds a set by its exact name.
func (c *Config) Set(name string) (*IPSet, bool) {
	if c == nil {
		return nil, false
	}
	i := slices.IndexFunc(c.Sets, func(s *IPSet) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return c.Sets[i], true
}

// Group finds a security group by its exact name.
func (c *Config) Group(name string) (*Group, bool) {
	if c == nil {
		return nil, false
	}
	i := slices.IndexFunc(c.Groups, func(g *Group) bool { return g.Name == name })
	if i < 0 {
		return nil, false
	}
	return c.Groups[i], true
}

// Empty reports whether the file of c would be empty, and so is not kept.
func (c *Config) Empty() bool {
	return len(c.Options) == 0 && len(c.Aliases) == 0 && len(c.Sets) == 0 && len(c.Rules) == 0 && len(c.Groups) == 0
}

// Warning is a line of a file that was not fully understood.
type Warning struct {
	Line int // from 1
	Text string
}

func (w Warning) String() string { return fmt.Sprintf("line %d: %s", w.Line, w.Text) }
