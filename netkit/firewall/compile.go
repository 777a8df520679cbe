package firewall

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// meterSize bounds the sources that a meter remembers.
const meterSize = 65536

// Priorities of the base chains. Filters come after connection tracking.
const (
	priorityRaw    = -300
	priorityHelper = -150
	priorityFilter = 0
	priorityAnswer = 10
)

// Compile makes the ruleset of w. It cannot fail: rules that mean nothing are left out with a warning, as Proxmox does.
// Who compiles again and again uses a [Compiler].
func (w *World) Compile() *Ruleset { return new(Compiler).Compile(w) }

// run makes the ruleset.
func (c *compiler) run() {
	w := c.w
	for i := range w.Guests {
		g := &w.Guests[i]
		if g.Config != nil {
			c.owners[g.Config] = g.ID
		}
		for _, n := range g.NICs {
			c.rs.Ports = append(c.rs.Ports, Port{g.Port(n), w.filtered(g, n)})
		}
	}
	slices.SortFunc(c.rs.Ports, func(a, b Port) int { return cmp.Compare(a.Name, b.Name) })
	if w.on() {
		c.hostPart()
		c.guestTable()
	}
	slices.Sort(c.rs.Warnings)
	c.rs.Warnings = slices.Compact(c.rs.Warnings)
}

type compiler struct {
	w      *World
	rs     *Ruleset
	owners map[*Config]int // guests by their configuration

	last  *compiled // what was made before, nil for nothing
	next  *compiled // what is made
	notes *notes    // of the part that is made, nil outside of parts
}

// tableBuilder fills one table.
type tableBuilder struct {
	c      *compiler
	t      *Table
	scope  *Scope
	chains map[string]*Chain
	sets   map[string]*Set
	fills  map[string]*notes // what shared chains are made of
}

func (c *compiler) table(family, name string) *tableBuilder {
	t := &tableBuilder{c: c, t: &Table{Family: family, Name: name}, scope: c.w.scope(),
		chains: map[string]*Chain{}, sets: map[string]*Set{}, fills: map[string]*notes{}}
	c.rs.Tables = append(c.rs.Tables, t.t)
	return t
}

func (t *tableBuilder) finish() {
	slices.SortFunc(t.t.Sets, func(a, b *Set) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(t.t.Chains, func(a, b *Chain) int { return cmp.Compare(a.Name, b.Name) })
}

func (t *tableBuilder) chain(name string) *Chain {
	ch := &Chain{Name: name}
	t.putChain(ch)
	return ch
}

// putChain adds a chain to the table.
func (t *tableBuilder) putChain(ch *Chain) {
	t.chains[ch.Name] = ch
	t.t.Chains = append(t.t.Chains, ch)
	t.c.notes.chain(ch.Name)
}

func (t *tableBuilder) base(name, hook string, priority int) *Chain {
	ch := t.chain(name)
	ch.Hook, ch.Priority = hook, priority
	return ch
}

// shared returns the name of a chain that many use, and fills it the first time.
func (t *tableBuilder) shared(name string, fill func(*Chain)) string {
	if _, ok := t.chains[name]; ok {
		t.c.notes.chain(name)
		return name
	}
	ch := t.chain(name)
	t.fills[name] = t.c.noting(func() { fill(ch) })
	return name
}

// family matches packets of an IP version.
func (t *tableBuilder) family(v int) Match {
	if t.t.Family == "bridge" {
		n := uint16(EtherIPv4)
		if v == 6 {
			n = EtherIPv6
		}
		return is(FieldEtherType, uint16Value(n))
	}
	n := 2
	if v == 6 {
		n = 10
	}
	return is(FieldNFProto, uint8Value(n))
}

func is(f Field, v string) Match { return Match{Fields: []Field{f}, Span: one(v)} }

func isProto(n int) Match { return is(FieldL4Proto, uint8Value(n)) }

func hasState(bits uint32) Match {
	return Match{Fields: []Field{FieldConnState}, Op: OpAnyBit, Mask: hostUint32(bits)}
}

func ports(f Field, from, to uint16) Match {
	return Match{Fields: []Field{f}, Span: Span{uint16Value(from), uint16Value(to)}}
}

// flags compares some of the TCP flags.
func flags(mask, value int) Match {
	return Match{Fields: []Field{FieldTCPFlags}, Op: OpMaskEqual, Mask: uint8Value(mask), Span: one(uint8Value(value))}
}

func (ch *Chain) add(v Verdict, matches ...Match) {
	ch.Rules = append(ch.Rules, Statement{Matches: matches, Verdict: v})
}

func (ch *Chain) jump(chain string, matches ...Match) {
	ch.add(Verdict{Kind: VerdictJump, Chain: chain}, matches...)
}

// logged appends a statement with its verdict, and before it one that logs, at the cluster's rate.
func (t *tableBuilder) logged(ch *Chain, matches []Match, prefix string, v Verdict) {
	if prefix != "" {
		s := Statement{Matches: slices.Clone(matches), Log: prefix}
		if l := t.c.w.Cluster.limit(); l.rate > 0 {
			s.Limit = &Limit{l.rate, l.unit, l.burst}
		}
		ch.Rules = append(ch.Rules, s)
	}
	ch.add(v, matches...)
}

// prefix is what a log line begins with: whose it is, how grave, where and what. Empty for no level.
func prefix(id, level int, chain, text string) string {
	if level < 0 {
		return ""
	}
	return fmt.Sprintf(":%d:%d:%s: %s", id, level, chain, text)
}

// sink is what becomes of the actions of rules in some place.
type sink struct {
	suffix string // of the shared chains that lead there
	out    bool
	accept Verdict
	drop   Verdict
	reject string // chain that answers; empty where nothing can be answered, and rejecting is dropping
	answer bool   // rejections are all that happens here: the rest is left to another place
}

func (s sink) verdict(a Action) Verdict {
	switch {
	case a == Accept:
		return s.accept
	case a == Reject && s.reject != "":
		return Verdict{Kind: VerdictGoto, Chain: s.reject}
	}
	return s.drop
}

// logs tells whether an action is logged here.
func (s sink) logs(a Action) bool { return !s.answer || a == Reject }

// logName names a place in log lines.
type logName struct {
	id    int
	chain string
}

// entries turns rules into conditions with verdicts.
func (t *tableBuilder) entries(l list, direction string, s sink, name logName) []entry {
	var out []entry
	for i, r := range l.rules {
		if !r.Enable || len(r.Faults) > 0 {
			continue
		}
		iface := t.c.w.ifaceName(r.Iface)
		if given(r.Iface) && l.iface != "" && iface != l.iface {
			continue
		}
		where := l.name + " rule " + itoa(i)
		switch r.Type {
		case "group":
			if e, ok := t.group(r, where, direction, s); ok {
				out = append(out, bind(e, r, l, iface))
			}
		case direction:
			clauses, why := l.scope.clauses(r)
			if why != "" {
				t.c.warn("%s: %s", where, why)
			}
			text, v := "", s.verdict(Action(r.Action))
			if s.logs(Action(r.Action)) {
				text = prefix(name.id, levelOf(r.Log), name.chain, name.message(r.Action))
			}
			for _, c := range clauses {
				out = append(out, bind(entry{c, v, text}, r, l, iface))
			}
		}
	}
	return slices.DeleteFunc(out, func(e entry) bool { return len(e.c.iface) > 15 })
}

// bind sets the interface that a host's rule is for; a guest's rules have been chosen by theirs.
func bind(e entry, r *Rule, l list, iface string) entry {
	e.c.iface = ""
	if l.iface == "" && given(r.Iface) {
		e.c.iface = iface
	}
	return e
}

// message is the end of the prefix of a rule's log lines.
func (n logName) message(action string) string {
	if strings.HasPrefix(n.chain, "GROUP-") {
		return ""
	}
	return action + ": "
}

// group returns the call of a security group.
func (t *tableBuilder) group(r *Rule, where, direction string, s sink) (entry, bool) {
	g, ok := t.scope.Cluster.Group(r.Action)
	if !ok {
		t.c.warn("%s: no such security group '%s'", where, r.Action)
		return entry{}, false
	}
	chain := t.shared("group-"+g.Name+"-"+direction+s.suffix, func(ch *Chain) {
		l := list{"group " + g.Name, g.Rules, t.scope.groups(), ""}
		t.emit(ch, t.entries(l, direction, s, logName{0, "GROUP-" + g.Name + "-" + upper(direction)}), s.out)
	})
	return entry{verdict: Verdict{Kind: VerdictJump, Chain: chain}}, true
}

func (c *compiler) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.rs.Warnings = append(c.rs.Warnings, text)
	if c.notes != nil {
		c.notes.warnings = append(c.notes.warnings, text)
	}
}

// Expires tells when the ruleset of w changes by itself: a trial of the whole firewall ends. The zero time is never.
func (w *World) Expires() time.Time {
	if !w.on() {
		return time.Time{}
	}
	if n := w.Cluster.number("enable", 0); n > 1 {
		return time.Unix(int64(n), 0).Add(enabledFor)
	}
	return time.Time{}
}
