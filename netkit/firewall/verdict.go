package firewall

import (
	"net/netip"
	"slices"
)

// Verdict tells what the firewall of w does with a packet, by the rules of the iptables generation. For many packets make
// one [Evaluator].
func (w *World) Verdict(p *Packet) Decision { return NewEvaluator(w).Verdict(p) }

// Evaluator answers for many packets of one World, which must not change meanwhile. It remembers what it has resolved and
// is not for concurrent use. Rates are not its matter: a SYN flood is as good as one SYN.
type Evaluator struct {
	w       *World
	cluster *Config // with what is always defined
	sets    map[setKey]index
	clauses map[clauseKey][]clause
	filters map[Endpoint]filterIndex
	manage  index // who may manage the node
}

// filterIndex is an ipFilter for single questions.
type filterIndex struct {
	active, arp bool
	set, arpSet index
}

type setKey struct {
	set   *IPSet
	owner *Config
}

type clauseKey struct {
	rule  *Rule
	owner *Config
}

// NewEvaluator returns an evaluator for w.
func NewEvaluator(w *World) *Evaluator {
	return &Evaluator{w: w, cluster: w.cluster(), sets: map[setKey]index{}, clauses: map[clauseKey][]clause{},
		filters: map[Endpoint]filterIndex{}, manage: w.managementSet().index()}
}

// Verdict tells what becomes of p.
func (e *Evaluator) Verdict(p *Packet) Decision {
	d := Decision{Action: Accept}
	if !e.w.on() {
		return d
	}
	for _, stage := range e.stages(p) {
		action, by := stage.run()
		d.Stages = append(d.Stages, Stage{stage.name, action, by})
		if d.Action = action; action != Accept {
			break
		}
	}
	return d
}

type stageFunc struct {
	name string
	run  func() (Action, string)
}

// stages lists the parts of the firewall that a packet meets.
func (e *Evaluator) stages(p *Packet) []stageFunc {
	var out []stageFunc
	from, fromNIC, outOK := e.filteredNIC(p.From)
	to, toNIC, inOK := e.filteredNIC(p.To)
	if outOK {
		name := "guest " + itoa(from.ID) + " net" + itoa(fromNIC.Number) + " out"
		out = append(out, stageFunc{name, func() (Action, string) { return e.guestOut(from, fromNIC, p) }})
	}
	switch {
	case p.From.IsNode() && e.w.hostOn():
		out = append(out, stageFunc{"host out", func() (Action, string) { return e.hostOut(p) }})
	case !p.From.IsNode() && !p.To.IsNode() && p.family() != 0:
		out = append(out, stageFunc{"forward", func() (Action, string) { return e.forward(p) }})
	}
	if p.To.IsNode() && e.w.hostOn() {
		out = append(out, stageFunc{"host in", func() (Action, string) { return e.hostIn(p) }})
	}
	if inOK {
		name := "guest " + itoa(to.ID) + " net" + itoa(toNIC.Number) + " in"
		out = append(out, stageFunc{name, func() (Action, string) { return e.guestIn(to, toNIC, p) }})
	}
	return out
}

// filteredNIC finds the guest's NIC behind an endpoint, if its traffic is filtered.
func (e *Evaluator) filteredNIC(at Endpoint) (*GuestConfig, NIC, bool) {
	g := e.w.guest(at.Guest)
	if at.Guest == 0 || g == nil {
		return nil, NIC{}, false
	}
	n, ok := g.nic(at.NIC)
	return g, n, ok && e.w.filtered(g, n)
}

// bridgeOf is the bridge that the node sees an endpoint behind.
func (w *World) bridgeOf(at Endpoint) string {
	if g := w.guest(at.Guest); at.Guest != 0 && g != nil {
		n, _ := g.nic(at.NIC)
		return n.Bridge
	}
	return at.Bridge
}

// forward is what every forwarded packet meets.
func (e *Evaluator) forward(p *Packet) (Action, string) {
	if p.State == Invalid && !e.w.Host.flag("nf_conntrack_allow_invalid", false) {
		return Drop, "invalid connection state"
	}
	return Accept, "forwarded"
}

// tracked settles packets by their connection.
func tracked(p *Packet, allowInvalid bool) (Action, string, bool) {
	switch {
	case p.State == Invalid && !allowInvalid:
		return Drop, "invalid connection state", true
	case p.State == Established || p.State == Related:
		return Accept, "known connection", true
	}
	return "", "", false
}

// list is a list of rules and the place it is evaluated in.
type list struct {
	name  string
	rules []*Rule
	scope *Scope
	iface string // that rules may be bound to
}

// rules finds the first rule of a direction that decides.
func (e *Evaluator) rules(l list, direction string, p *Packet) (Action, string, bool) {
	for i, r := range l.rules {
		if !r.Enable || len(r.Faults) > 0 || given(r.Iface) && e.w.ifaceName(r.Iface) != l.iface {
			continue
		}
		by := l.name + " rule " + itoa(i)
		switch r.Type {
		case "group":
			g, ok := e.cluster.Group(r.Action)
			if !ok {
				continue
			}
			inner := list{by + ", group " + g.Name, g.Rules, l.scope.groups(), ""}
			if action, by, ok := e.rules(inner, direction, p); ok {
				return action, by, true
			}
		case direction:
			if e.matches(r, l.scope, p) {
				return rejected(Action(r.Action), p, e.w), by, true
			}
		}
	}
	return "", "", false
}

// ifaceName resolves the alternative name of an interface.
func (w *World) ifaceName(name string) string {
	if real, ok := w.Node.AltNames[name]; ok {
		return real
	}
	return name
}

func (e *Evaluator) matches(r *Rule, s *Scope, p *Packet) bool {
	key := clauseKey{r, s.own}
	clauses, ok := e.clauses[key]
	if !ok {
		clauses, _ = s.clauses(r)
		e.clauses[key] = clauses
	}
	return slices.ContainsFunc(clauses, func(c clause) bool { return e.clauseMatches(&c, p) })
}

// clauseMatches looks at all of a clause but the interface.
func (e *Evaluator) clauseMatches(c *clause, p *Packet) bool {
	if p.family() == 0 || c.family != 0 && c.family != p.family() || c.proto != 0 && c.proto != int(p.Proto) {
		return false
	}
	if c.icmp != nil && (int(p.ICMPType) != c.icmp.typ || c.icmp.code >= 0 && int(p.ICMPCode) != c.icmp.code) {
		return false
	}
	return e.at(c.src, p.Src) && e.at(c.dst, p.Dst) && portsMatch(c.sport, p, p.SrcPort) && portsMatch(c.dport, p, p.DstPort)
}

func (e *Evaluator) at(pl place, a netip.Addr) bool {
	if pl.set != nil {
		return e.inSet(pl.set.set, pl.set.scope, a)
	}
	return pl.ranges == nil || within(pl.ranges, a)
}

func (e *Evaluator) inSet(set *IPSet, s *Scope, a netip.Addr) bool {
	key := setKey{set, s.own}
	x, ok := e.sets[key]
	if !ok {
		x = s.resolve(set).index()
		e.sets[key] = x
	}
	return x.contains(a)
}

// filter returns the source filter of a NIC.
func (e *Evaluator) filter(g *GuestConfig, n NIC) filterIndex {
	key := GuestNIC(g.ID, n.Number)
	f, ok := e.filters[key]
	if !ok {
		made := e.w.ipFilterOf(g, n)
		f = filterIndex{made.active, made.arp, made.set.index(), made.arpSet.index()}
		e.filters[key] = f
	}
	return f
}

func portsMatch(ranges []portRange, p *Packet, port uint16) bool {
	return ranges == nil ||
		p.ports() && slices.ContainsFunc(ranges, func(r portRange) bool { return r.from <= port && port <= r.to })
}
