package firewall

import (
	"cmp"
	"net/netip"
	"slices"
)

// prefixEntry is a good entry of a set, its alias resolved.
type prefixEntry struct {
	p       netip.Prefix // without host bits
	noMatch bool
}

// addrSet is the content of a set.
type addrSet struct{ entries []prefixEntry }

// resolve returns the good entries of a set as s sees them. Aliases may have come or gone since the file was read.
func (s *Scope) resolve(set *IPSet) addrSet {
	var out addrSet
	if set == nil {
		return out
	}
	out.entries = make([]prefixEntry, 0, len(set.Entries))
	for _, e := range set.Entries {
		if e.Fault != "" {
			continue
		}
		text := e.CIDR
		if isAliasName(text) {
			a, ok := s.alias(text)
			if !ok {
				continue
			}
			text = a.CIDR
		}
		if p, ok := parsePrefix(text); ok {
			out.add(p, e.NoMatch)
		}
	}
	return out
}

func (s *addrSet) add(p netip.Prefix, noMatch bool) {
	s.entries = append(s.entries, prefixEntry{p.Masked(), noMatch})
}

// index is a set for single questions: whether the addresses of a network are in, where no longer network says otherwise.
type index map[netip.Prefix]bool

func (s addrSet) index() index {
	x := make(index, len(s.entries))
	for _, e := range s.entries {
		if _, ok := x[e.p]; !ok { // of equal ones the first counts
			x[e.p] = !e.noMatch
		}
	}
	return x
}

// contains asks the most specific entry that covers a.
func (x index) contains(a netip.Addr) bool {
	for bits := a.BitLen(); bits >= 0 && a.IsValid(); bits-- {
		if p, err := a.Prefix(bits); err == nil {
			if in, ok := x[p]; ok {
				return in
			}
		}
	}
	return false
}

// flat returns what is in the set of a family, as ranges in order that neither overlap nor touch.
func (s addrSet) flat(family int) []addrRange {
	sorted := make([]prefixEntry, 0, len(s.entries))
	for _, e := range s.entries {
		if familyOf(e.p.Addr()) == family {
			sorted = append(sorted, e)
		}
	}
	slices.SortStableFunc(sorted, func(a, b prefixEntry) int {
		return cmp.Or(a.p.Addr().Compare(b.p.Addr()), cmp.Compare(a.p.Bits(), b.p.Bits()))
	})
	sorted = slices.CompactFunc(sorted, func(a, b prefixEntry) bool { return a.p == b.p })
	var f flattener
	for _, e := range sorted {
		f.open(e)
	}
	f.closeAll()
	return f.out
}

// flattener walks networks in order. Its stack holds those that surround the present place, the innermost last.
type flattener struct {
	stack []openNet
	out   []addrRange
}

type openNet struct {
	in   bool
	next netip.Addr // first address of the network that no inner one has told of; invalid behind the last
	to   netip.Addr
}

func (f *flattener) open(e prefixEntry) {
	r := rangeOf(e.p)
	for len(f.stack) > 0 && f.stack[len(f.stack)-1].to.Less(r.from) {
		f.close()
	}
	if n := len(f.stack); n > 0 {
		outer := &f.stack[n-1]
		if outer.in && outer.next.IsValid() && outer.next.Less(r.from) {
			f.emit(addrRange{outer.next, r.from.Prev()})
		}
		outer.next = r.to.Next()
	}
	f.stack = append(f.stack, openNet{in: !e.noMatch, next: r.from, to: r.to})
}

func (f *flattener) close() {
	top := f.stack[len(f.stack)-1]
	f.stack = f.stack[:len(f.stack)-1]
	if top.in && top.next.IsValid() && !top.to.Less(top.next) {
		f.emit(addrRange{top.next, top.to})
	}
}

func (f *flattener) closeAll() {
	for len(f.stack) > 0 {
		f.close()
	}
}

// emit adds a range behind the others, joined to the last one if they touch.
func (f *flattener) emit(r addrRange) {
	if n := len(f.out); n > 0 && f.out[n-1].to.Next() == r.from {
		f.out[n-1].to = r.to
		return
	}
	f.out = append(f.out, r)
}

// joinRanges sorts ranges and joins those that overlap or touch.
func joinRanges(ranges []addrRange) []addrRange {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b addrRange) int { return a.from.Compare(b.from) })
	var out []addrRange
	for _, r := range sorted {
		if n := len(out); n > 0 && (r.from.Compare(out[n-1].to) <= 0 || out[n-1].to.Next() == r.from) {
			if out[n-1].to.Less(r.to) {
				out[n-1].to = r.to
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// ipFilter is the set of sources that a NIC may use.
type ipFilter struct {
	active bool
	set    addrSet
	arp    bool    // ARP is bound to the IPv4 addresses of arpSet
	arpSet addrSet // what was configured, without what the MAC gives
}

// ipFilterOf returns the source filter of a NIC.
func (w *World) ipFilterOf(g *GuestConfig, n NIC) ipFilter {
	s := w.guestScope(g)
	set, defined := g.Config.Set("ipfilter-net" + itoa(n.Number))
	on := g.Config.flag("ipfilter", false)
	f := ipFilter{active: on || defined}
	if !f.active {
		return f
	}
	f.set = s.resolve(set)
	fixed := false
	if g.Container {
		for _, a := range n.Addrs {
			f.set.add(netip.PrefixFrom(a, a.BitLen()), false)
			fixed = fixed || a.Is4()
		}
	}
	f.arp, f.arpSet = defined || fixed, addrSet{slices.Clone(f.set.entries)}
	if a, ok := eui64(n.MAC); ok {
		f.set.add(netip.PrefixFrom(a, 128), false)
	}
	f.set.add(netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80}), 10), true)
	return f
}

// guestScope is what a guest's rules see.
func (w *World) guestScope(g *GuestConfig) *Scope {
	s := w.scope()
	s.level, s.own = Guest, g.Config
	return s
}
