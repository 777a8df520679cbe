package firewall

import (
	"fmt"
	"maps"
	"slices"
)

// Compiler compiles one world after the other, and takes from the one before what has not changed since: who edits one
// guest's rules among thousands pays for one guest. What it returns is what [World.Compile] returns.
//
// It goes by the identity of configurations: one that a Compiler has seen must not change any more, only be replaced by
// another. Rulesets share parts, and must not be changed either. A Compiler is for one goroutine at a time; the zero value is
// ready.
type Compiler struct{ last *compiled }

// Compile makes the ruleset of w.
func (c *Compiler) Compile(w *World) *Ruleset {
	run := &compiler{w: w, rs: &Ruleset{}, owners: map[*Config]int{}, last: c.last, next: newCompiled(w)}
	run.run()
	c.last, run.last = nil, nil // what is kept must not keep what was before it
	if w.on() {
		c.last = run.next
	}
	return run.rs
}

// compiled is what a world was made into, by its parts.
type compiled struct {
	w         *World // without its guests
	host      *Table
	hostNotes *notes
	guests    *tableBuilder
	nics      map[string]*nicPart // by port
	sets      map[commonSet]*Set
}

// commonSet is a set that is defined for the whole cluster.
type commonSet struct {
	set    *IPSet
	family int
}

func newCompiled(w *World) *compiled {
	bare := *w
	bare.Guests = nil
	return &compiled{w: &bare, nics: map[string]*nicPart{}, sets: map[commonSet]*Set{}}
}

// common tells whether all that w has in common with what was compiled is the same: everything but guests and the host's file.
func (c *compiled) common(w *World) bool {
	return c != nil && c.w.Cluster == w.Cluster && c.w.on() == w.on() && slices.Equal(c.w.SDN, w.SDN) && c.w.Node.Equal(w.Node)
}

// Equal tells whether nothing that the firewall knows of the node differs.
func (n Node) Equal(o Node) bool {
	return slices.Equal(n.Addrs, o.Addrs) && n.LocalNetwork == o.LocalNetwork && maps.Equal(n.AltNames, o.AltNames) &&
		slices.Equal(n.Corosync.Links, o.Corosync.Links) && n.Corosync.Multicast == o.Corosync.Multicast
}

// hostPart makes the table of the node, or takes the former one.
func (c *compiler) hostPart() {
	if c.last.common(c.w) && c.last.w.Host == c.w.Host {
		c.next.host, c.next.hostNotes = c.last.host, c.last.hostNotes
		c.rs.Tables = append(c.rs.Tables, c.next.host)
		c.rs.Warnings = append(c.rs.Warnings, c.next.hostNotes.warnings...)
		return
	}
	c.next.hostNotes = c.noting(func() { c.next.host = c.hostTable() })
}

// commonSet returns the set that holds the addresses of a family of a set of the cluster. Both tables use it.
func (c *compiler) commonSet(ref *setRef, family int, owner string) *Set {
	key := commonSet{ref.set, family}
	if s := c.next.sets[key]; s != nil {
		return s
	}
	if c.last.common(c.w) && c.last.sets[key] != nil {
		c.next.sets[key] = c.last.sets[key]
		return c.next.sets[key]
	}
	content := ref.scope.resolve(ref.set)
	for _, v := range [...]int{4, 6} { // of a large set the resolving is half the work
		c.next.sets[commonSet{ref.set, v}] = addressSet(fmt.Sprintf("v%d-%s-%s", v, owner, ref.set.Name), v, content)
	}
	return c.next.sets[key]
}

// nicPart is what a NIC of a guest is compiled to.
type nicPart struct {
	config                   *Config
	owner                    int // whose sets the rules of config name
	id                       int
	container                bool
	nic                      NIC
	notes                    *notes
	out, in, layer2, answers []Element // of the maps from ports to chains
}

// part makes the chains of a NIC, or takes the former ones.
func (g *guestBuilder) part(guest *GuestConfig, n NIC) *nicPart {
	p := &nicPart{config: guest.Config, owner: g.c.owners[guest.Config], id: guest.ID, container: guest.Container, nic: n}
	port := guest.Port(n)
	last := g.c.last
	if last.common(g.c.w) && maps.Equal(last.w.Host.options(), g.c.w.Host.options()) {
		if have := last.nics[port]; have != nil && have.same(p) {
			g.reuse(have.notes, last.guests)
			g.c.next.nics[port] = have
			return have
		}
	}
	p.notes = g.c.noting(func() { g.nic(p, guest) })
	g.c.next.nics[port] = p
	return p
}

func (c *Config) options() map[string]string {
	if c == nil {
		return nil
	}
	return c.Options
}

func (p *nicPart) same(o *nicPart) bool {
	return p.config == o.config && p.owner == o.owner && p.id == o.id && p.container == o.container && p.nic.Equal(o.nic)
}

// notes are what a part of a table needs there, and what was warned of while it was made. Chains that many share have notes of
// their own: see [tableBuilder.fills].
type notes struct{ chains, sets, warnings []string }

// chain and set note a name; nil is nobody who wants to know.
func (n *notes) chain(name string) {
	if n != nil {
		n.chains = append(n.chains, name)
	}
}

func (n *notes) set(name string) {
	if n != nil {
		n.sets = append(n.sets, name)
	}
}

// noting returns what fill uses and warns of.
func (c *compiler) noting(fill func()) *notes {
	outer, inner := c.notes, &notes{}
	c.notes = inner
	fill()
	c.notes = outer
	return inner
}

// reuse adds what a part needs, out of the table that it was made for.
func (t *tableBuilder) reuse(n *notes, from *tableBuilder) {
	t.c.rs.Warnings = append(t.c.rs.Warnings, n.warnings...)
	for _, name := range n.sets {
		t.addSet(from.sets[name])
	}
	for _, name := range n.chains {
		if t.chains[name] != nil {
			continue
		}
		t.putChain(from.chains[name])
		if fill := from.fills[name]; fill != nil {
			t.fills[name] = fill
			t.reuse(fill, from)
		}
	}
}
