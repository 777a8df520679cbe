package firewall

import (
	"net/netip"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// Fault is what is wrong with a parameter of a rule, in Proxmox's words.
type Fault struct {
	Key, Text string
	fatal     bool // in a file the whole line is dropped
}

// Error prints the text alone.
func (f *Fault) Error() string { return f.Text }

// CheckRule checks a rule of in (or, with inGroup, of a security group in it) and returns the first fault, nil for a good
// rule. It notes all faults and the IP version in the rule and gives a macro its canonical name.
func CheckRule(in *Config, scope *Scope, r *Rule, inGroup bool) *Fault {
	s := scope.within(in)
	if inGroup {
		s = s.groups()
	}
	return s.Check(r, inGroup)
}

// checker collects the faults of one rule.
type checker struct {
	s     *Scope
	r     *Rule
	first *Fault
}

func (c *checker) fault(key, text string) {
	if c.first == nil {
		c.first = &Fault{Key: key, Text: text}
	}
	if c.r.Faults == nil {
		c.r.Faults = map[string]string{}
	}
	if _, ok := c.r.Faults[key]; !ok {
		c.r.Faults[key] = text
	}
}

// Check is [CheckRule] in a scope that belongs to the rule's file.
func (s *Scope) Check(r *Rule, inGroup bool) *Fault {
	r.Faults, r.IPVersion = nil, 0
	c := &checker{s: s, r: r}
	c.kind(inGroup)
	c.iface(inGroup)
	if r.Type == "group" {
		return c.first
	}
	c.macro()
	c.protocol()
	c.ports()
	for _, p := range [...]struct{ key, value string }{{"source", r.Source}, {"dest", r.Dest}} {
		if given(p.value) {
			c.address(p.key, p.value)
		}
	}
	c.macroParameters()
	return c.first
}

// given tells whether a value counts: "0" does not, as empty does not.
func given(v string) bool { return v != "" && v != "0" }

// kind checks type and action.
func (c *checker) kind(inGroup bool) {
	r := c.r
	if !given(r.Type) {
		c.fault("type", "missing property")
	} else if env, ok := c.s.allows(r.Type, inGroup); !ok {
		c.fault("type", "invalid rule type '"+r.Type+"' for rule_env '"+env+"'")
	}
	switch {
	case !given(r.Action):
		c.fault("action", "missing property")
	case r.Type == "group":
		if !isName(r.Action) || len(r.Action) > maxGroupName {
			c.fault("action", "invalid characters in security group name")
		}
	case r.Type == "forward" && r.Action == "REJECT":
		c.fault("action", "cannot define REJECT rules on forward chain")
	case r.Action != "ACCEPT" && r.Action != "DROP" && r.Action != "REJECT":
		c.fault("action", "unknown action '"+r.Action+"'")
	}
}

// allows tells whether rules of a type may be where the scope is, and how Proxmox calls that place.
func (s *Scope) allows(kind string, inGroup bool) (env string, ok bool) {
	env = s.level.String()
	if inGroup {
		env = "group"
	}
	switch kind {
	case "in", "out":
		return env, inGroup || s.level != VNet
	case "forward":
		return env, inGroup || s.level != Guest
	case "group":
		return env, !inGroup
	}
	return env, false
}

func (c *checker) iface(inGroup bool) {
	v := c.r.Iface
	switch {
	case !given(v):
	case inGroup || c.s.level == VNet:
		c.fault("type", "parameter -i not allowed for this rule type")
	case c.s.level == Guest:
		if _, ok := nicNumber(v); !ok {
			c.fault("iface", `value does not match the regex pattern 'net\d+'`)
		}
	default:
		if err := pveconf.CheckFormat("pve-iface", v); err != nil {
			c.fault("iface", err.Error())
		}
	}
}

func (c *checker) macro() {
	if !given(c.r.Macro) {
		return
	}
	name, ok := macroName(c.r.Macro)
	if !ok {
		c.fault("macro", "unknown macro '"+c.r.Macro+"'")
		return
	}
	c.r.Macro = name
}

// protocol checks the protocol, which may bind the rule to a family.
func (c *checker) protocol() {
	v := c.r.Proto
	if !given(v) {
		return
	}
	if err := pveconf.CheckFormat("pve-fw-protocol-spec", v); err != nil {
		c.fault("proto", err.Error())
	}
	c.r.IPVersion = icmpFamily(v)
}

func (c *checker) ports() {
	r := c.r
	if given(r.Dport) {
		var isType func(string) bool
		if icmpFamily(r.Proto) != 0 {
			isType = func(name string) bool { return isICMPName(icmpFamily(r.Proto), name) }
		}
		err := pveconf.CheckPorts(r.Dport, isType)
		if err == nil && isType != nil {
			err = checkICMPPort(r.Dport)
		}
		if err != nil {
			c.fault("dport", err.Error())
		}
		c.needsPorts("dport", true)
	}
	if given(r.ICMPType) {
		family := icmpFamily(r.Proto)
		switch {
		case !given(r.Proto):
			c.fault("proto", "missing property - 'icmp-type' requires this property")
		case given(r.Dport):
			c.fault("icmp-type", "'icmp-type' cannot be specified together with 'dport'")
		case family == 0 || !isICMPName(family, r.ICMPType):
			c.fault("icmp-type", "invalid icmp-type '"+r.ICMPType+"' for proto '"+r.Proto+"'")
		}
	}
	if given(r.Sport) {
		if err := pveconf.CheckPorts(r.Sport, nil); err != nil {
			c.fault("sport", err.Error())
		}
		c.needsPorts("sport", false)
	}
}

// needsPorts checks that the protocol goes with ports.
func (c *checker) needsPorts(key string, icmp bool) {
	switch proto := c.r.Proto; {
	case !given(proto):
		c.fault("proto", "missing property - '"+key+"' requires this property")
	case !hasPorts(proto) && !(icmp && icmpFamily(proto) != 0):
		c.fault(key, "protocol '"+proto+"' does not support ports")
	}
}

// address checks source or destination, and what it says of the family.
func (c *checker) address(key, v string) {
	if set, ok := strings.CutPrefix(v, "+"); ok {
		if _, name := splitScope(set); !isName(name) {
			c.fault(key, "invalid ipset name '"+v+"'")
			return
		}
	}
	if err := pveconf.CheckFormat("pve-fw-addr-spec", v); err != nil {
		c.fault(key, err.Error())
		return
	}
	if set, ok := strings.CutPrefix(v, "+"); ok {
		if !c.s.known(set) {
			_, name := splitScope(set)
			c.fault(key, "no such ipset '"+name+"'")
		}
		return
	}
	version, fatal := 0, false
	if isAliasName(v) {
		a, ok := c.s.alias(v)
		if !ok {
			c.fault(key, "no such alias '"+v+"'")
			return
		}
		version, fatal = ipVersion(a.CIDR), true
	} else {
		ranges, bad := parseRanges(v)
		if bad != "" {
			c.fault(key, "invalid IP address: "+bad)
			return
		}
		version = familyOf(ranges[0].from)
	}
	if c.r.IPVersion != 0 && version != 0 && version != c.r.IPVersion {
		c.fault(key, "detected mixed ipv4/ipv6 addresses in rule")
		if fatal {
			c.first = &Fault{Key: key, Text: "detected mixed ipv4/ipv6 addresses in rule", fatal: true}
		}
		return
	}
	if version != 0 {
		c.r.IPVersion = version
	}
}

// macroParameters checks that the rule says nothing else than its macro.
func (c *checker) macroParameters() {
	if !given(c.r.Macro) || c.r.Faults["macro"] != "" {
		return
	}
	family := 4
	if c.r.IPVersion == 6 {
		family = 6
	}
	entries := macroEntries(c.r.Macro, family)
	if len(entries) == 0 { // for the other family alone
		entries = macroEntries(c.r.Macro, 10-family)
	}
	for _, e := range entries {
		if _, fault := c.r.expand(e); fault != nil {
			c.fault(fault.Key, fault.Text)
			return
		}
	}
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// isAliasName tells whether v is the name of an alias rather than addresses. A name begins with a letter, and so does no
// IPv4 address; IPv6 addresses have colons.
func isAliasName(v string) bool {
	scope, name := splitScope(v)
	return scope != "sdn" && isName(name)
}
