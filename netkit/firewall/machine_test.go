package firewall

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// machine interprets a ruleset as the kernel does: a second reading of it, which must come to the verdicts of the Evaluator.
type machine struct {
	rs *Ruleset
	w  *World
	p  *Packet

	iif, oif, ibridge string
	logs              []string
	sets              map[*Set]map[string]Element // elements that are single values, by key
}

// verdict sends the packet through the hooks that it meets on the node.
func (m *machine) verdict() Action {
	p := m.p
	from, to := m.w.bridgeOf(p.From), m.w.bridgeOf(p.To)
	ip := p.family() != 0
	if !p.From.IsNode() {
		m.iif, m.ibridge = m.port(p.From), from
		if a := m.hook("bridge", "prerouting"); a != Accept {
			return a
		}
	}
	if !p.From.IsNode() && !p.To.IsNode() {
		family := "bridge"
		if from != to {
			family = "inet"
			m.iif = from
		}
		if a := m.hook(family, "forward"); a != Accept && (ip || family == "bridge") {
			return a
		}
	}
	if p.From.IsNode() && ip {
		m.oif = m.device(to, p.To)
		if a := m.hook("inet", "output"); a != Accept {
			return a
		}
	}
	if p.To.IsNode() && ip {
		m.iif = m.device(from, p.From)
		if a := m.hook("inet", "input"); a != Accept {
			return a
		}
	}
	if !p.To.IsNode() {
		m.oif = m.port(p.To)
		return m.hook("bridge", "postrouting")
	}
	return Accept
}

func (m *machine) port(at Endpoint) string {
	if g := m.w.guest(at.Guest); g != nil && at.Guest != 0 {
		n, _ := g.nic(at.NIC)
		return g.Port(n)
	}
	return "eth9"
}

func (m *machine) device(bridge string, peer Endpoint) string {
	switch {
	case m.p.Interface != "":
		return m.p.Interface
	case peer.IsNode():
		return "lo"
	}
	return bridge
}

func (m *machine) hook(family, hook string) Action {
	type base struct {
		t *Table
		c *Chain
	}
	var bases []base
	for _, t := range m.rs.Tables {
		for _, c := range t.Chains {
			if t.Family == family && c.Hook == hook {
				bases = append(bases, base{t, c})
			}
		}
	}
	slices.SortStableFunc(bases, func(a, b base) int { return a.c.Priority - b.c.Priority })
	for _, b := range bases {
		switch v := m.chain(b.t, b.c, 0); v.Kind {
		case VerdictDrop:
			return Drop
		case VerdictReject:
			if family == "bridge" && hook != "prerouting" && hook != "input" {
				panic("the kernel rejects in prerouting and input of bridges alone")
			}
			return Reject
		}
	}
	return Accept
}

// chain returns the verdict of a chain, or continue at its end.
func (m *machine) chain(t *Table, c *Chain, depth int) Verdict {
	if depth > 15 {
		panic("chains too deep")
	}
	for i := range c.Rules {
		v, ok := m.statement(t, &c.Rules[i])
		if !ok {
			continue
		}
		switch v.Kind {
		case VerdictContinue:
		case VerdictReturn:
			return Verdict{}
		case VerdictJump, VerdictGoto:
			next, ok := t.Chain(v.Chain)
			if !ok {
				panic("no chain " + v.Chain)
			}
			if r := m.chain(t, next, depth+1); r.Kind != VerdictContinue || v.Kind == VerdictGoto {
				return r
			}
		default:
			return v
		}
	}
	return Verdict{}
}

func (m *machine) statement(t *Table, s *Statement) (Verdict, bool) {
	if s.Meter != nil { // no source is above the rate
		return Verdict{}, false
	}
	for _, match := range s.Matches {
		if !m.match(t, match) {
			return Verdict{}, false
		}
	}
	if s.Log != "" {
		m.logs = append(m.logs, s.Log)
	}
	if s.Map == nil {
		return s.Verdict, true
	}
	e, ok := m.lookup(t, s.Map.Set, s.Map.Fields)
	return e.Verdict, ok
}

func (m *machine) match(t *Table, c Match) bool {
	if c.Op == OpIn || c.Op == OpNotIn {
		for _, f := range c.Fields {
			if _, ok := m.load(f); !ok {
				return false
			}
		}
		_, in := m.lookup(t, c.Set, c.Fields)
		return in == (c.Op == OpIn)
	}
	v, ok := m.load(c.Fields[0])
	if !ok {
		return false
	}
	switch c.Op {
	case OpIs:
		return c.Span.Lo <= v && v <= c.Span.Hi
	case OpIsNot:
		return v < c.Span.Lo || c.Span.Hi < v
	case OpAnyBit:
		return binary.NativeEndian.Uint32([]byte(v))&binary.NativeEndian.Uint32([]byte(c.Mask)) != 0
	}
	return v[0]&c.Mask[0] == c.Span.Lo[0]
}

func (m *machine) lookup(t *Table, name string, fields []Field) (Element, bool) {
	s, ok := t.Set(name)
	if !ok {
		panic("no set " + name)
	}
	if fmt.Sprint(s.Key) != fmt.Sprint(fields) && typesOf(s.Key) != typesOf(fields) {
		panic(fmt.Sprintf("set %s has key %v, asked for %v", name, s.Key, fields))
	}
	values := make([]string, len(fields))
	for i, f := range fields {
		if values[i], ok = m.load(f); !ok {
			return Element{}, false
		}
	}
	if !s.Interval {
		e, ok := m.single(s)[strings.Join(values, "\x01\xff")]
		return e, ok
	}
	for _, e := range s.Elements {
		in := true
		for i, k := range e.Key {
			in = in && k.Lo <= values[i] && values[i] <= k.Hi
		}
		if in {
			return e, true
		}
	}
	return Element{}, false
}

func (m *machine) single(s *Set) map[string]Element {
	if m.sets == nil {
		m.sets = map[*Set]map[string]Element{}
	}
	if x, ok := m.sets[s]; ok {
		return x
	}
	x := map[string]Element{}
	for _, e := range s.Elements {
		values := make([]string, len(e.Key))
		for i, k := range e.Key {
			if !k.Single() {
				panic("range in a set without ranges")
			}
			values[i] = k.Lo
		}
		x[strings.Join(values, "\x01\xff")] = e
	}
	m.sets[s] = x
	return x
}

func typesOf(fields []Field) string {
	var types []string
	for _, f := range fields {
		types = append(types, f.spec().typ)
	}
	return strings.Join(types, " . ")
}

// load reads a field of the packet; false if it has none.
func (m *machine) load(f Field) (string, bool) {
	p := m.p
	family := p.family()
	switch f {
	case FieldIIF:
		return ifaceValue(m.iif), m.iif != ""
	case FieldOIF:
		return ifaceValue(m.oif), m.oif != ""
	case FieldIBridge:
		return ifaceValue(m.ibridge), m.ibridge != ""
	case FieldNFProto:
		return uint8Value(map[int]int{4: 2, 6: 10}[family]), family != 0
	case FieldEtherType:
		n := p.EtherType
		if n == 0 {
			n = map[int]uint16{4: EtherIPv4, 6: EtherIPv6}[family]
		}
		return uint16Value(n), true
	case FieldSrcMAC:
		return string(m.w.srcMAC(p)), true
	case FieldDstMAC:
		if g := m.w.guest(p.To.Guest); g != nil && p.To.Guest != 0 {
			n, _ := g.nic(p.To.NIC)
			return string(n.MAC), true
		}
		return "\x02\x00\x00\x00\x00\x09", true
	case FieldARPSender:
		return addrValue(p.ARPSender), p.EtherType == EtherARP
	case FieldConnState:
		bits := map[ConnState]uint32{New: ctNew, Established: ctEstablished, Related: ctRelated, Invalid: ctInvalid, Untracked: ctUntracked}
		return hostUint32(bits[p.State]), true
	case FieldDstType:
		types := map[AddrType]uint32{Unicast: routeUnicast, Broadcast: routeBroadcast, Multicast: routeMulticast, Anycast: routeAnycast}
		return hostUint32(types[m.w.dstType(p)]), family != 0
	}
	return m.loadIP(f, family)
}

func (m *machine) loadIP(f Field, family int) (string, bool) {
	p := m.p
	switch f {
	case FieldSrc4:
		return addrValue(p.Src), family == 4
	case FieldDst4:
		return addrValue(p.Dst), family == 4
	case FieldSrc6:
		return addrValue(p.Src), family == 6
	case FieldDst6:
		return addrValue(p.Dst), family == 6
	case FieldL4Proto:
		return uint8Value(int(p.Proto)), family != 0
	case FieldSrcPort:
		return uint16Value(p.SrcPort), p.ports()
	case FieldDstPort:
		return uint16Value(p.DstPort), p.ports()
	case FieldTCPFlags:
		return uint8Value(int(p.tcpFlags())), p.Proto == protoTCP
	case FieldICMPType:
		return uint8Value(int(p.ICMPType)), p.Proto == protoICMP
	case FieldICMPCode:
		return uint8Value(int(p.ICMPCode)), p.Proto == protoICMP
	case FieldICMP6Type:
		return uint8Value(int(p.ICMPType)), p.Proto == protoICMP6
	case FieldICMP6Code:
		return uint8Value(int(p.ICMPCode)), p.Proto == protoICMP6
	}
	panic("unknown field")
}
