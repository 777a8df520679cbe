package firewall

import "strings"

// helperSpec is a conntrack helper and the connections it is for.
type helperSpec struct {
	name     string
	proto    int
	port     uint16
	ipv4Only bool
}

func helperSpecs() []helperSpec {
	return []helperSpec{
		{"amanda", protoUDP, 10080, false}, {"ftp", protoTCP, 21, false}, {"irc", protoTCP, 6667, true},
		{"netbios-ns", protoUDP, 137, true}, {"pptp", protoTCP, 1723, true}, {"sane", protoTCP, 6566, false},
		{"sip", protoUDP, 5060, false}, {"snmp", protoUDP, 161, true}, {"tftp", protoUDP, 69, false},
	}
}

// helpers assigns the conntrack helpers of the host's option, once a connection is known and before it is filtered.
func (t *tableBuilder) helpers() {
	if t.c.w.Host == nil || t.c.w.Host.Options["nf_conntrack_helpers"] == "" {
		return
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(t.c.w.Host.Options["nf_conntrack_helpers"], ",") {
		wanted[name] = true
	}
	in, out := t.base("helpers-in", "prerouting", priorityHelper), t.base("helpers-out", "output", priorityHelper)
	for _, spec := range helperSpecs() {
		if !wanted[spec.name] {
			continue
		}
		h := Helper{spec.name, spec.proto}
		t.t.Helpers = append(t.t.Helpers, h)
		m := []Match{isProto(spec.proto), ports(FieldDstPort, spec.port, spec.port)}
		if spec.ipv4Only {
			m = append([]Match{t.family(4)}, m...)
		}
		for _, ch := range [...]*Chain{in, out} {
			ch.Rules = append(ch.Rules, Statement{Matches: m, Helper: h.Object()})
		}
	}
}
