package netkit

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Plan compares the links that are there with the wanted ones and the names that shall be gone, and returns the steps
// between. It is pure. Links that are mentioned nowhere are left alone; one with other fixed properties is made anew, and
// what vanishes with it is made anew too if it is wanted.
//
// Errors: [ErrBadLink] for an impossible wish, [ErrExists] when the name belongs to a link of another kind, [ErrNotFound]
// when a master or parent is neither there nor wanted.
func Plan(have, want []Link, gone ...string) (Steps, error) {
	p := planner{known: make(map[string]Link, len(have)), aware: map[string]bool{}}
	for _, l := range have {
		p.known[l.Name] = l
		p.aware[l.Name] = l.Bridge != nil && l.Bridge.VLANAware
	}
	for _, name := range gone {
		if l, ok := p.known[name]; ok {
			p.remove(l)
		}
	}
	want, err := ordered(want)
	if err != nil {
		return nil, err
	}
	for _, w := range want {
		if err := p.link(w); err != nil {
			return nil, &OpError{Op: "plan", Link: w.Name, Err: err}
		}
	}
	return p.steps, nil
}

// planner gathers steps; known is the network as it is once they are done.
type planner struct {
	known map[string]Link
	aware map[string]bool // bridges that are VLAN-aware before the plan: the VLANs of their ports are listed
	steps Steps
}

// remove deletes a link, and forgets what the kernel deletes with it.
func (p *planner) remove(l Link) {
	p.steps = append(p.steps, Step{Action: ActDelete, Link: l})
	p.forget(l)
}

func (p *planner) forget(l Link) {
	delete(p.known, l.Name)
	for _, name := range slices.Sorted(maps.Keys(p.known)) {
		switch o, ok := p.known[name]; {
		case !ok:
		case o.Kind.standsOn() && o.Parent == l.Name:
			p.forget(o)
		case o.Master == l.Name:
			o.Master, o.Port = "", nil
			o.Up = o.Up && l.Kind != KindBond // a bond shuts down what it lets go
			p.known[name] = o
		}
	}
}

// ordered brings wishes into an order in which each finds what it stands on and belongs to.
func ordered(want []Link) ([]Link, error) {
	byName := make(map[string]Link, len(want))
	for _, w := range want {
		if _, twice := byName[w.Name]; twice {
			return nil, &OpError{Op: "plan", Link: w.Name, Err: w.bad("is wanted twice")}
		}
		byName[w.Name] = w
	}
	const underway, done = 1, 2
	state := map[string]int{}
	out := make([]Link, 0, len(want))
	var visit func(name string) error
	visit = func(name string) error {
		w, ok := byName[name]
		switch {
		case !ok || state[name] == done:
			return nil
		case state[name] == underway:
			return &OpError{Op: "plan", Link: name, Err: w.bad("stands on itself")}
		}
		state[name] = underway
		for _, below := range []string{w.Master, w.Parent} {
			if below == name || w.Kind == KindVeth && below == w.Parent { // both ends may be wanted, each made with the other
				continue
			}
			if err := visit(below); err != nil {
				return err
			}
		}
		state[name] = done
		out = append(out, w)
		return nil
	}
	for _, w := range want {
		if err := visit(w.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// link plans one wish.
func (p *planner) link(w Link) error {
	if err := w.check(); err != nil {
		return err
	}
	if err := p.checkMaster(w); err != nil {
		return err
	}
	h, there := p.known[w.Name]
	switch {
	case there && w.Kind == "":
		w.Kind = h.Kind
		if w.Tap == (Tap{}) { // who names no kind does not mean another tap
			w.Tap = h.Tap
		}
		if err := w.checkKind(); err != nil {
			return err
		}
	case there && h.Kind != w.Kind:
		return fmt.Errorf("%w: %s", ErrExists, h.Kind)
	}
	if there && h.fixedDiffers(w) {
		p.remove(h)
		there = false
	}
	if !there {
		if err := w.checkMake(); err != nil {
			return err
		}
		if w.Parent != "" && w.Kind != KindVeth {
			if _, ok := p.known[w.Parent]; !ok {
				return fmt.Errorf("parent %s: %w", w.Parent, ErrNotFound)
			}
		}
		h = w.fresh()
		p.steps = append(p.steps, Step{Action: ActCreate, Link: w})
		if w.Kind == KindVeth {
			p.known[w.Parent] = Link{Name: w.Parent, Kind: KindVeth, Parent: w.Name}
		}
	}
	w.index = h.index
	p.adjust(h, w)
	p.known[w.Name] = w.merged(h)
	return nil
}

func (p *planner) checkMaster(w Link) error {
	if w.Master == "" {
		return nil
	}
	m, ok := p.known[w.Master]
	switch {
	case !ok:
		return fmt.Errorf("master %s: %w", w.Master, ErrNotFound)
	case m.Kind == KindBond && w.Port == nil:
	case m.Kind != KindBridge:
		return fmt.Errorf("master %s: %w: is a %s, not a bridge", w.Master, ErrBadLink, m.Kind)
	case w.Port != nil && (w.Port.PVID != 0 || len(w.Port.VLANs) > 0) && m.Bridge != nil && !m.Bridge.VLANAware:
		return w.bad("VLANs need a VLAN-aware bridge, and %s is none", w.Master)
	}
	return nil
}

// fixedDiffers tells whether the link that is there has to be made anew for the wish.
func (l Link) fixedDiffers(w Link) bool {
	switch l.Kind {
	case KindTap:
		return l.Tap != w.Tap
	case KindVLAN:
		return w.VLAN != nil && (l.VLAN == nil || l.VLAN.ID != w.VLAN.ID || l.VLAN.protocol() != w.VLAN.protocol() || l.Parent != w.Parent)
	case KindVXLAN:
		return w.VXLAN != nil && (l.VXLAN == nil || !l.VXLAN.sameTunnel(w.VXLAN) || l.Parent != w.Parent)
	case KindMacvlan, KindMacvtap:
		return w.Parent != "" && (l.Parent != w.Parent || l.Macvlan.orBridge() != w.Macvlan.orBridge())
	case KindBond:
		return w.Bond != nil && l.Bond != nil && l.Bond.mode() != w.Bond.mode()
	}
	return false
}

func (m MacvlanMode) orBridge() MacvlanMode {
	if m == "" {
		return MacvlanBridge
	}
	return m
}

// fresh is the link right after it was made: what creation sets is set.
func (l Link) fresh() Link {
	h := Link{Name: l.Name, Kind: l.Kind, Tap: l.Tap, Parent: l.Parent, VLAN: l.VLAN, Bond: l.Bond, Macvlan: l.Macvlan}
	if l.Kind == KindBridge {
		h.Bridge = &Bridge{PVID: 1, ForwardDelay: 15 * time.Second} // the kernel's defaults
	}
	if l.VXLAN != nil {
		v := *l.VXLAN
		v.Remotes = nil
		h.VXLAN = &v
	}
	return h
}

// merged is the wish with what it leaves as it was.
func (l Link) merged(h Link) Link {
	if l.Bridge == nil {
		l.Bridge = h.Bridge
	}
	if l.MTU == 0 {
		l.MTU = h.MTU
	}
	if l.Bond == nil {
		l.Bond = h.Bond
	}
	return l
}
