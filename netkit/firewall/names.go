package firewall

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// IP protocols that the package treats on their own.
const (
	protoICMP  = 1
	protoIGMP  = 2
	protoTCP   = 6
	protoUDP   = 17
	protoICMP6 = 58
)

// macroEntry is one of the rules that a macro stands for.
type macroEntry struct{ proto, dport, sport string }

// icmpKind is a type of ICMP messages and the code within; -1 is any.
type icmpKind struct{ typ, code int }

// MacroNames returns the names of all macros, sorted.
func MacroNames() []string { return macroNames() }

// macroName finds a macro in any case.
func macroName(v string) (string, bool) {
	for _, name := range macroNames() {
		if strings.EqualFold(name, v) {
			return name, true
		}
	}
	return "", false
}

// macroEntries returns what a macro stands for in a family.
func macroEntries(name string, family int) []macroEntry {
	if family == 6 {
		if entries, ok := macro6(name); ok {
			return entries
		}
	}
	entries, _ := macro4(name)
	return entries
}

// expand returns the rule that r is for one entry of its macro.
func (r *Rule) expand(e macroEntry) (*Rule, *Fault) {
	out := *r
	out.Macro = ""
	for _, p := range [...]struct {
		key, entry string
		value      *string
	}{{"dport", e.dport, &out.Dport}, {"proto", e.proto, &out.Proto}, {"sport", e.sport, &out.Sport}} {
		if p.entry == "" {
			continue
		}
		if given(*p.value) && *p.value != p.entry {
			return nil, &Fault{Key: p.key, Text: "parameter '" + p.key + "' already define in macro (value = '" + p.entry + "')"}
		}
		*p.value = p.entry
	}
	return &out, nil
}

// protocol returns the number of a protocol by name or number; ok is false for numbers no packet carries.
func protocol(v string) (int, bool) {
	n, ok := protocolNumber(v)
	if !ok {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			return 0, false
		}
	}
	return n, n >= 0 && n <= 255
}

// icmpFamily is the family that a protocol's name binds a rule to, 0 for none.
func icmpFamily(proto string) int {
	switch proto {
	case "icmp":
		return 4
	case "icmpv6", "ipv6-icmp":
		return 6
	}
	return 0
}

// hasPorts tells whether rules of a protocol may have ports.
func hasPorts(proto string) bool {
	switch proto {
	case "udp", "udplite", "tcp", "dccp", "sctp", "17", "136", "6", "33", "132":
		return true
	}
	return false
}

func isICMPName(family int, name string) bool {
	_, ok := icmpByName(family, name)
	return ok
}

func icmpByName(family int, name string) (icmpKind, bool) {
	if family == 6 {
		return icmp6Type(name)
	}
	return icmp4Type(name)
}

// checkICMPPort checks a port that is an ICMP type: a name, or a number of one byte.
func checkICMPPort(v string) error {
	if strings.ContainsAny(v, ",:") {
		return errors.New("ICMP ports not allowed in port range")
	}
	if n, err := strconv.Atoi(v); err == nil && n > 255 {
		return errors.New("invalid port '" + v + "'")
	}
	return nil
}

// portRange is a range of ports, both ends included.
type portRange struct{ from, to uint16 }

// parsePorts reads a checked list of ports.
func parsePorts(v string) ([]portRange, bool) {
	var out []portRange
	for element := range strings.SplitSeq(v, ",") {
		if n, ok := servicePort(element); ok {
			out = append(out, portRange{uint16(n), uint16(n)})
			continue
		}
		first, last, isRange := strings.Cut(element, ":")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || from > to {
			return nil, false
		}
		out = append(out, portRange{uint16(from), uint16(to)})
	}
	return out, true
}

// addrRange is a range of addresses of one family, both ends included.
type addrRange struct{ from, to netip.Addr }

func (r addrRange) contains(a netip.Addr) bool {
	return a.BitLen() == r.from.BitLen() && r.from.Compare(a) <= 0 && a.Compare(r.to) <= 0
}

// rangeOf returns the addresses of a network, whatever its host bits.
func rangeOf(p netip.Prefix) addrRange {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	to, _ := netip.AddrFromSlice(last)
	return addrRange{p.Addr(), to}
}

// parseRanges reads the literal addresses of a rule: a comma list of addresses and networks without host bits, or one range.
// bad is the element that is none.
func parseRanges(v string) (out []addrRange, bad string) {
	for element := range strings.SplitSeq(v, ",") {
		element = strings.TrimSpace(element)
		if first, last, ok := strings.Cut(element, "-"); ok {
			from, err := netip.ParseAddr(first)
			to, err2 := netip.ParseAddr(last)
			if err != nil || err2 != nil || from.BitLen() != to.BitLen() || to.Less(from) {
				return nil, element
			}
			out = append(out, addrRange{from, to})
			continue
		}
		p, ok := parsePrefix(element)
		if !ok || p.Masked() != p {
			return nil, element
		}
		out = append(out, rangeOf(p))
	}
	return out, ""
}

// nicNumber reads `netN`.
func nicNumber(v string) (int, bool) {
	s, ok := strings.CutPrefix(v, "net")
	if !ok || !digits(s) {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// Protocol returns the number of an IP protocol, given by name or number.
func Protocol(v string) (uint8, bool) {
	n, ok := protocol(v)
	return uint8(n), ok
}

// ICMPType returns the type and code that a name or number says for icmp or icmpv6. A name that stands for a whole type
// has code 0.
func ICMPType(proto, v string) (typ, code uint8, ok bool) {
	if k, ok := icmpByName(icmpFamily(proto), v); ok {
		return uint8(max(k.typ, 0)), uint8(max(k.code, 0)), true
	}
	n, err := strconv.ParseUint(v, 10, 8)
	return uint8(n), 0, err == nil
}
