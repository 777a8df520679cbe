package firewall

import (
	"fmt"
	"slices"
	"strings"
)

// guestTable builds the table of the bridges: guest-out sees what comes from the ports of guests, guest-in what goes there.
func (c *compiler) guestTable() {
	t := c.table("bridge", GuestTable)
	c.synFlood(t)
	g := &guestBuilder{tableBuilder: t, ip: t.oneOf(FieldEtherType, []Span{one(uint16Value(EtherIPv4)), one(uint16Value(EtherIPv6))})}
	for i := range c.w.Guests {
		guest := &c.w.Guests[i]
		for _, n := range guest.NICs {
			if !c.w.filtered(guest, n) {
				continue
			}
			if port := guest.Port(n); len(port) > 15 {
				c.warn("guest %d: net%d: the name of its port is longer than the kernel has: not filtered, and not to be opened", guest.ID, n.Number)
				continue
			}
			g.take(guest, g.part(guest, n))
		}
	}
	g.bases()
	t.finish()
	c.next.guests = t
}

// guestBuilder collects the maps from ports to chains.
type guestBuilder struct {
	*tableBuilder
	ip                       Match // the frame is IPv4 or IPv6
	out, in, layer2, answers []Element
}

// take adds what a NIC needs of the maps.
func (g *guestBuilder) take(guest *GuestConfig, p *nicPart) {
	g.out, g.in, g.layer2 = append(g.out, p.out...), append(g.in, p.in...), append(g.layer2, p.layer2...)
	for _, e := range p.answers {
		if slices.ContainsFunc(g.answers, func(o Element) bool { return slices.Equal(o.Key, e.Key) }) {
			g.c.warn("guest %d: net%d has the MAC of another guest on bridge %s: what it rejects is dropped", guest.ID, p.nic.Number, ifaceName(e.Key[0].Lo))
			continue
		}
		g.answers = append(g.answers, e)
	}
}

func target(chain string) Verdict { return Verdict{Kind: VerdictGoto, Chain: chain} }

// bases builds the chains that frames enter by. One look-up finds the chain of a port.
func (g *guestBuilder) bases() {
	out := g.base("guest-out", "prerouting", priorityFilter)
	out.Rules = append(out.Rules,
		Statement{Matches: []Match{g.ip}, Map: g.portMap("ports-out", FieldIIF, g.out)},
		Statement{Matches: []Match{notIP(g.ip)}, Map: g.portMap("ports-layer2", FieldIIF, g.layer2)})
	in := g.base("guest-in", "postrouting", priorityFilter)
	in.Rules = append(in.Rules, Statement{Matches: []Match{g.ip}, Map: g.portMap("ports-in", FieldOIF, g.in)})
	if !g.c.w.Host.flag("nf_conntrack_allow_invalid", false) {
		g.base("forward", "forward", priorityFilter).add(drop(), g.ip, hasState(ctInvalid))
	}
	own := g.base("own-answers", "output", priorityRaw)
	for _, m := range g.answersOf() {
		own.Rules = append(own.Rules, Statement{Matches: m, NoTrack: true})
	}
	if len(g.answers) > 0 {
		fields := []Field{FieldIBridge, FieldDstMAC}
		sortElements(g.answers)
		g.addSet(&Set{Name: "answers", Key: fields, Verdicts: true, Elements: g.answers})
		answer := g.base("guest-answer", "prerouting", priorityAnswer)
		answer.Rules = append(answer.Rules, Statement{Matches: []Match{g.ip}, Map: &Lookup{fields, "answers"}})
	}
}

// answersOf describes what a reject sends. The kernel puts it on the port that the rejected packet came by, without a
// connection; it would be taken for invalid there. So own-answers, which only sees what the node itself sends, makes it
// untracked, and guests take answers that are: from elsewhere TCP and ICMP come with a connection or are invalid.
func (t *tableBuilder) answersOf() [][]Match {
	return [][]Match{
		{isProto(protoTCP), flags(RST, RST)},
		{t.family(4), isProto(protoICMP), is(FieldICMPType, uint8Value(3))},
		{t.family(6), isProto(protoICMP6), is(FieldICMP6Type, uint8Value(1))},
	}
}

// ownAnswers is the chain that lets the firewall's own answers pass to the guests they are for.
func (g *guestBuilder) ownAnswers() string {
	return g.shared("answers-in", func(ch *Chain) {
		for _, m := range g.answersOf() {
			ch.add(accept(), m...)
		}
	})
}

func notIP(ip Match) Match {
	ip.Op = OpNotIn
	return ip
}

func (g *guestBuilder) portMap(name string, f Field, elements []Element) *Lookup {
	sortElements(elements)
	g.addSet(&Set{Name: name, Key: []Field{f}, Verdicts: true, Elements: elements})
	return &Lookup{[]Field{f}, name}
}

func portElement(port, chain string) Element {
	return Element{[]Span{one(ifaceValue(port))}, target(chain)}
}

// nic builds the chains of a NIC.
func (g *guestBuilder) nic(p *nicPart, guest *GuestConfig) {
	n := p.nic
	port := guest.Port(n)
	g.outChain(guest, n, port)
	p.out = append(p.out, portElement(port, port+"-out"))
	if g.layer2Chain(guest, n, port+"-layer2") {
		p.layer2 = append(p.layer2, portElement(port, port+"-layer2"))
	}
	s := sink{suffix: "-in", accept: accept(), drop: drop()}
	if guest.Config.flag("ips", false) {
		s.suffix = fmt.Sprintf("-ips%d", guest.ID)
		s.accept = target(g.queue(guest, "queue"+s.suffix))
	}
	g.inChain(guest, n, port+"-in", port, s)
	p.in = append(p.in, portElement(port, port+"-in"))
	if len(n.MAC) == 6 && isDevice(n.Bridge) && g.rejects(guest) {
		g.answer(p, guest, port)
	}
}

// answer builds the chain in which what the guest rejects is answered, found by where frames for it come in.
func (g *guestBuilder) answer(p *nicPart, guest *GuestConfig, port string) {
	n := p.nic
	s := sink{suffix: "-answer", accept: accept(), drop: accept(), reject: g.rejecting(), answer: true}
	g.inChain(guest, n, port+"-answer", port, s)
	bridges := []string{n.Bridge}
	if tagged := n.Bridge + "v" + itoa(n.VLAN); n.VLAN != 0 && isDevice(tagged) {
		bridges = append(bridges, tagged)
	}
	for _, bridge := range bridges {
		p.answers = append(p.answers, Element{[]Span{one(ifaceValue(bridge)), one(string(n.MAC))}, target(port + "-answer")})
	}
}

// isDevice tells whether the kernel may have a device of the name.
func isDevice(name string) bool {
	return name != "" && len(name) <= 15 && !strings.ContainsAny(name, "/\"\\ \t\n\x00")
}

// queue is the chain that hands accepted packets to the guest's intrusion prevention; if nobody listens, they pass.
func (g *guestBuilder) queue(guest *GuestConfig, name string) string {
	return g.shared(name, func(ch *Chain) {
		from, to, ok := parseQueues(guest.Config.Options["ips_queues"])
		if !ok {
			from, to = 0, 0
		}
		ch.add(Verdict{Kind: VerdictQueue, Queue: [2]int{from, to}})
	})
}

func (g *guestBuilder) outChain(guest *GuestConfig, n NIC, port string) {
	w, c := g.c.w, guest.Config
	s := sink{suffix: "-out", accept: accept(), drop: drop(), reject: g.rejecting()}
	ch := g.chain(port + "-out")
	ch.jump(g.conn(s, w.Host.flag("nf_conntrack_allow_invalid", false)))
	ch.Rules = append(ch.Rules, Statement{Mark: guest.ID})
	if c.flag("dhcp", true) {
		ch.jump(g.dhcp("dhcp-out", s, 68, 67, 546, 547))
	}
	if c.flag("macfilter", true) {
		g.macFilter(ch, n)
	}
	advertise := c.flag("radv", false)
	if !advertise {
		ch.add(drop(), g.family(6), isProto(protoICMP6), is(FieldICMP6Type, uint8Value(routerAdvertisement)))
	}
	if f := w.ipFilterOf(guest, n); f.active {
		for _, v := range [...]int{4, 6} {
			name := g.addrSet(fmt.Sprintf("v%d-ipfilter-%s", v, port), v, func() addrSet { return f.set })
			ch.add(drop(), g.family(v), Match{Fields: []Field{srcField(v)}, Op: OpNotIn, Set: name})
		}
	}
	if c.flag("ndp", true) {
		ch.jump(g.discovery(s, advertise))
	}
	g.guestRules(ch, guest, n, port, "out", s)
}

// macFilter drops frames with another source than the NIC's. A NIC without a MAC sends nothing.
func (g *guestBuilder) macFilter(ch *Chain, n NIC) {
	if len(n.MAC) != 6 {
		ch.add(drop())
		return
	}
	ch.add(drop(), Match{Fields: []Field{FieldSrcMAC}, Op: OpIsNot, Span: one(string(n.MAC))})
}

func (g *guestBuilder) inChain(guest *GuestConfig, n NIC, name, port string, s sink) {
	c := guest.Config
	ch := g.chain(name)
	if !s.answer {
		ch.jump(g.ownAnswers(), hasState(ctUntracked))
	}
	ch.jump(g.conn(s, g.c.w.Host.flag("nf_conntrack_allow_invalid", false)))
	ch.jump(g.inbound(s))
	if !s.answer {
		ch.Rules = append(ch.Rules, Statement{Mark: guest.ID})
	}
	if c.flag("dhcp", true) {
		ch.jump(g.dhcp("dhcp"+s.suffix, s, 67, 68, 547, 546))
	}
	if c.flag("ndp", true) {
		ch.jump(g.discovery(s, true))
	}
	g.guestRules(ch, guest, n, port, "in", s)
}

// guestRules ends a chain with the guest's rules and policy.
func (g *guestBuilder) guestRules(ch *Chain, guest *GuestConfig, n NIC, port, direction string, s sink) {
	c := guest.Config
	name := logName{guest.ID, port + "-" + upper(direction)}
	l := list{fmt.Sprintf("guest %d", guest.ID), c.Rules, g.c.w.guestScope(guest), "net" + itoa(n.Number)}
	g.emit(ch, g.entries(l, direction, s, name), s.out)
	policy := Action(c.policy("policy_"+direction, map[string]string{"in": "DROP", "out": "ACCEPT"}[direction]))
	level := c.level("log_level_" + direction)
	g.policy(ch, s, policy, func(text string) string { return prefix(guest.ID, level, name.chain, text) })
}

// rejects tells whether the guest means to answer what it does not take. Rejecting whois, as all policies do, is no reason.
func (g *guestBuilder) rejects(guest *GuestConfig) bool {
	if guest.Config.policy("policy_in", "DROP") == "REJECT" {
		return true
	}
	var any func(rules []*Rule) bool
	any = func(rules []*Rule) bool {
		return slices.ContainsFunc(rules, func(r *Rule) bool {
			if !r.Enable || len(r.Faults) > 0 {
				return false
			}
			if r.Type == "group" {
				inner, ok := g.scope.Cluster.Group(r.Action)
				return ok && any(inner.Rules)
			}
			return r.Type == "in" && r.Action == "REJECT"
		})
	}
	return any(guest.Config.Rules)
}

func (g *guestBuilder) dhcp(name string, s sink, from4, to4, from6, to6 uint16) string {
	return g.shared(name, func(ch *Chain) {
		ch.add(s.accept, g.family(4), isProto(protoUDP), ports(FieldSrcPort, from4, from4), ports(FieldDstPort, to4, to4))
		ch.add(s.accept, g.family(6), isProto(protoUDP), ports(FieldSrcPort, from6, from6), ports(FieldDstPort, to6, to6))
	})
}

// layer2Chain builds the chain of frames that are neither IPv4 nor IPv6; false if there is nothing to filter.
func (g *guestBuilder) layer2Chain(guest *GuestConfig, n NIC, name string) bool {
	c := guest.Config
	if !g.c.w.Cluster.flag("ebtables", true) {
		return false
	}
	ch := &Chain{Name: name}
	if c.flag("macfilter", true) {
		g.macFilter(ch, n)
	}
	if f := g.c.w.ipFilterOf(guest, n); f.arp {
		set := g.addrSet("v4-arp-"+guest.Port(n), 4, func() addrSet { return f.arpSet })
		ch.add(drop(), is(FieldEtherType, uint16Value(EtherARP)), Match{Fields: []Field{FieldARPSender}, Op: OpNotIn, Set: set})
	}
	if types := layer2Protocols(c); types != nil {
		var spans []Span
		for n := range types {
			spans = append(spans, one(uint16Value(n)))
		}
		m := g.oneOf(FieldEtherType, spans)
		m.Op = OpNotIn
		ch.add(drop(), m)
	}
	if len(ch.Rules) == 0 {
		return false
	}
	ch.add(accept())
	g.putChain(ch)
	return true
}
