package firewall

import (
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// clause is a condition on packets: all of its parts must hold. A part without content always holds.
type clause struct {
	family int // 4, 6, or 0 for both
	iface  string
	src    place
	dst    place
	proto  int // 0 any
	sport  []portRange
	dport  []portRange
	icmp   *icmpKind // of the protocol of the family
}

// place is what a rule says of an address: nothing, ranges, or a set.
type place struct {
	ranges []addrRange
	set    *setRef
}

// setRef is a set as a rule names it.
type setRef struct {
	set    *IPSet
	origin origin
	scope  *Scope // that its entries are resolved in
}

func (p place) any() bool { return p.ranges == nil && p.set == nil }

// sameAs tells whether two clauses differ by nothing but their family.
func (c *clause) sameAs(o *clause) bool {
	return c.iface == o.iface && c.proto == o.proto && slices.Equal(c.sport, o.sport) && slices.Equal(c.dport, o.dport) &&
		c.src.any() && o.src.any() && c.dst.any() && o.dst.any() && c.icmp == nil && o.icmp == nil
}

// clauses returns what an effective rule matches, in order, or why it matches nothing.
func (s *Scope) clauses(r *Rule) ([]clause, string) {
	four, why4 := s.familyClauses(r, 4)
	six, why6 := s.familyClauses(r, 6)
	if len(four) == len(six) && len(four) > 0 {
		same := true
		for i := range four {
			same = same && four[i].sameAs(&six[i])
		}
		if same {
			for i := range four {
				four[i].family = 0
			}
			return four, ""
		}
	}
	why := why4
	if r.IPVersion == 6 || why == "" {
		why = why6
	}
	if len(four)+len(six) > 0 {
		why = ""
	}
	return append(four, six...), why
}

// familyClauses returns the clauses for one family: one, or as many as the macro has entries, all or none.
func (s *Scope) familyClauses(r *Rule, family int) ([]clause, string) {
	if !given(r.Macro) {
		c, why, ok := s.clause(r, family)
		if !ok {
			return nil, why
		}
		return []clause{c}, ""
	}
	var out []clause
	for _, e := range macroEntries(r.Macro, family) {
		x, fault := r.expand(e)
		if fault != nil {
			return nil, fault.Text
		}
		c, why, ok := s.clause(x, family)
		switch {
		case why != "":
			return nil, why
		case ok:
			out = append(out, c)
		}
	}
	return out, ""
}

// clause returns what a rule without macro matches in a family; ok is false if nothing, and why says so if that is a fault.
func (s *Scope) clause(r *Rule, family int) (c clause, why string, ok bool) {
	c.family = family
	if bound := icmpFamily(r.Proto); bound != 0 && bound != family {
		return c, "", false
	}
	if given(r.Proto) {
		n, ok := protocol(r.Proto)
		if !ok {
			return c, "unknown protocol '" + r.Proto + "'", false
		}
		c.proto = n
	}
	if why, ok := s.place(&c.src, r.Source, family); !ok {
		return c, why, false
	}
	if why, ok := s.place(&c.dst, r.Dest, family); !ok {
		return c, why, false
	}
	if given(r.Iface) {
		c.iface = r.Iface
	}
	if bound := icmpFamily(r.Proto); bound != 0 {
		return c, "", c.setICMP(r, bound)
	}
	if c.proto == 0 { // a port of 0 needs no protocol, and says nothing
		return c, "", true
	}
	return c, "", setPorts(&c.sport, r.Sport) && setPorts(&c.dport, r.Dport)
}

func setPorts(dst *[]portRange, v string) bool {
	if !given(v) {
		return true
	}
	var ok bool
	*dst, ok = parsePorts(v)
	return ok
}

// setICMP reads the type of messages from icmp-type, or from dport, where 0 is a type.
func (c *clause) setICMP(r *Rule, family int) bool {
	v := r.ICMPType
	if !given(v) {
		v = r.Dport
	}
	if v == "" {
		return true
	}
	if k, ok := icmpByName(family, v); ok {
		if k.typ >= 0 {
			c.icmp = &k
		}
		return true
	}
	n, err := strconv.Atoi(v)
	c.icmp = &icmpKind{n, -1}
	return err == nil && n >= 0 && n <= 255
}

// place reads source or destination for a family; ok is false if it has no address of the family.
func (s *Scope) place(dst *place, v string, family int) (why string, ok bool) {
	if !given(v) {
		return "", true
	}
	if name, isSet := strings.CutPrefix(v, "+"); isSet {
		set, from, ok := s.set(name)
		if !ok {
			return "no such ipset '" + name + "'", false
		}
		where := s
		if from != fromGuest {
			where = s.groups() // a set of the cluster means the same to all guests
		}
		dst.set = &setRef{set, from, where}
		return "", true
	}
	if isAliasName(v) {
		a, ok := s.alias(v)
		if !ok {
			return "no such alias '" + v + "'", false
		}
		p, ok := parsePrefix(a.CIDR)
		if !ok {
			return "invalid address of alias '" + v + "'", false
		}
		dst.ranges = []addrRange{rangeOf(p)}
	} else {
		ranges, bad := parseRanges(v)
		if bad != "" {
			return "invalid IP address: " + bad, false
		}
		dst.ranges = joinRanges(ranges)
	}
	return "", familyOf(dst.ranges[0].from) == family
}
