package firewall

import (
	"fmt"
	"slices"
	"strings"
)

// pack puts an entry into the terms of the table.
func (t *tableBuilder) pack(e *entry, out bool) *packed {
	c := &e.c
	p := &packed{verdict: e.verdict, log: e.log}
	p.family, p.out = c.family, out
	p.src, p.spans[dimSrc] = t.place(c.src, c.family)
	p.dst, p.spans[dimDst] = t.place(c.dst, c.family)
	if c.iface != "" {
		p.spans[dimIface] = []Span{one(ifaceValue(c.iface))}
	}
	if c.proto != 0 {
		p.spans[dimProto] = []Span{one(uint8Value(c.proto))}
	}
	p.spans[dimSport], p.spans[dimDport] = portSpans(c.sport), portSpans(c.dport)
	if c.icmp != nil {
		p.icmp6 = c.family == 6
		p.spans[dimType] = []Span{one(uint8Value(c.icmp.typ))}
		if c.icmp.code >= 0 {
			p.spans[dimCode] = []Span{one(uint8Value(c.icmp.code))}
		}
	}
	for d := range p.spans {
		p.has[d] = p.spans[d] != nil
	}
	p.boxes = product(p.spans)
	return p
}

// place returns the set or the ranges that an address is compared with.
func (t *tableBuilder) place(p place, family int) (string, []Span) {
	if p.set != nil {
		return t.refer(p.set, family), nil
	}
	var spans []Span
	for _, r := range p.ranges {
		spans = append(spans, addrSpan(r))
	}
	return "", spans
}

// portSpans joins ranges that overlap or touch: elements of a set must not.
func portSpans(ports []portRange) []Span {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b portRange) int { return int(a.from) - int(b.from) })
	var joined []portRange
	for _, r := range sorted {
		if n := len(joined); n > 0 && int(r.from) <= int(joined[n-1].to)+1 {
			joined[n-1].to = max(joined[n-1].to, r.to)
			continue
		}
		joined = append(joined, r)
	}
	var spans []Span
	for _, r := range joined {
		spans = append(spans, portSpan(r))
	}
	return spans
}

// field is what a part of a condition reads.
func (s *shape) field(dim int) Field {
	six := s.family == 6
	pick := func(four, other Field) Field {
		if six {
			return other
		}
		return four
	}
	switch dim {
	case dimSrc:
		return pick(FieldSrc4, FieldSrc6)
	case dimDst:
		return pick(FieldDst4, FieldDst6)
	case dimIface:
		if s.out {
			return FieldOIF
		}
		return FieldIIF
	case dimProto:
		return FieldL4Proto
	case dimSport:
		return FieldSrcPort
	case dimDport:
		return FieldDstPort
	case dimType:
		if s.icmp6 {
			return FieldICMP6Type
		}
		return FieldICMPType
	}
	if s.icmp6 {
		return FieldICMP6Code
	}
	return FieldICMPCode
}

// common is what all rules of a shape compare by sets and family.
func (t *tableBuilder) common(s *shape) []Match {
	var out []Match
	if s.family != 0 {
		out = append(out, t.family(s.family))
	}
	if s.src != "" {
		out = append(out, Match{Fields: []Field{s.field(dimSrc)}, Op: OpIn, Set: s.src})
	}
	if s.dst != "" {
		out = append(out, Match{Fields: []Field{s.field(dimDst)}, Op: OpIn, Set: s.dst})
	}
	return out
}

func (t *tableBuilder) emitBucket(ch *Chain, b *bucket) {
	switch {
	case b.alone != nil:
		t.emitAlone(ch, b.alone)
		return
	case len(b.items) == 1:
		p := &packed{shape: b.shape, verdict: b.items[0].verdict}
		for d := range p.spans {
			if b.has[d] {
				p.spans[d] = []Span{b.items[0].box[d]}
			}
		}
		t.emitAlone(ch, p)
		return
	}
	var fields []Field
	for d, has := range b.has {
		if has {
			fields = append(fields, b.field(d))
		}
	}
	elements := make([]Element, len(b.items))
	for i, item := range b.items {
		key := make([]Span, 0, len(fields))
		for d, has := range b.has {
			if has {
				key = append(key, item.box[d])
			}
		}
		elements[i] = Element{key, item.verdict}
	}
	name := ""
	if len(elements) < ownFrom {
		name = t.constant(fields, elements, true)
	} else {
		name = t.own(ch, &b.shape, fields, elements)
	}
	ch.Rules = append(ch.Rules, Statement{Matches: t.common(&b.shape), Map: &Lookup{fields, name}})
}

// ownFrom is how many elements a map has that belongs to its chain. Smaller ones are named by their content: chains with the
// same rules share them, and it costs little to put another in their place.
const ownFrom = 64

// own returns the name of a map that is a chain's own. It stays while the content changes, so that the kernel is told of the
// elements that differ, not of all.
func (t *tableBuilder) own(ch *Chain, b *shape, fields []Field, elements []Element) string {
	s := newSet(fields, elements, true)
	what := "m-" + ch.Name + "-" + hash(fmt.Sprint(s.Kind(), b.family, b.src, b.dst))[:8]
	s.Name = what
	for n := 1; t.sets[s.Name] != nil; n++ {
		s.Name = what + "-" + itoa(n)
	}
	t.addSet(s)
	return s.Name
}

// emitAlone writes one rule as one statement, two if it logs.
func (t *tableBuilder) emitAlone(ch *Chain, p *packed) {
	matches := t.common(&p.shape)
	for d, spans := range p.spans {
		f := p.field(d)
		switch {
		case len(spans) == 1:
			matches = append(matches, Match{Fields: []Field{f}, Span: spans[0]})
		case len(spans) > 1:
			matches = append(matches, t.oneOf(f, spans))
		}
	}
	t.logged(ch, matches, p.log, p.verdict)
}

// oneOf compares a field with a constant set.
func (t *tableBuilder) oneOf(f Field, spans []Span) Match {
	elements := make([]Element, len(spans))
	for i, s := range spans {
		elements[i] = Element{Key: []Span{s}}
	}
	return Match{Fields: []Field{f}, Op: OpIn, Set: t.constant([]Field{f}, elements, false)}
}

// constant returns the name of a set with this content. The name comes from the content: what changes is another set, and
// equal ones are one.
func (t *tableBuilder) constant(fields []Field, elements []Element, verdicts bool) string {
	s := newSet(fields, elements, verdicts)
	var content strings.Builder
	for _, e := range elements {
		for _, k := range e.Key {
			fmt.Fprintf(&content, "%q-%q.", k.Lo, k.Hi)
		}
		fmt.Fprintf(&content, ":%+v;", e.Verdict)
	}
	s.Name = "c-" + hash(fmt.Sprint(fields, verdicts)+content.String())
	t.addSet(s)
	return s.Name
}

// newSet returns a set, which has no name yet, with elements, which it sorts.
func newSet(fields []Field, elements []Element, verdicts bool) *Set {
	sortElements(elements)
	return &Set{Key: fields, Elements: elements, Verdicts: verdicts, Interval: slices.ContainsFunc(elements, func(e Element) bool {
		return slices.ContainsFunc(e.Key, func(k Span) bool { return !k.Single() })
	})}
}

func sortElements(elements []Element) {
	slices.SortFunc(elements, func(a, b Element) int { return compareKeys(a.Key, b.Key) })
}

func compareKeys(a, b []Span) int {
	return slices.CompareFunc(a, b, func(x, y Span) int {
		if c := strings.Compare(x.Lo, y.Lo); c != 0 {
			return c
		}
		return strings.Compare(x.Hi, y.Hi)
	})
}

// refer returns the name of the set of a family that a rule names, and makes sure the table has it.
func (t *tableBuilder) refer(ref *setRef, family int) string {
	owner := "dc"
	switch ref.origin {
	case fromGuest:
		owner = "guest-" + itoa(t.c.owners[ref.scope.own])
		return t.addrSet(fmt.Sprintf("v%d-%s-%s", family, owner, ref.set.Name), family, func() addrSet { return ref.scope.resolve(ref.set) })
	case fromSDN:
		owner = "sdn"
	}
	s := t.c.commonSet(ref, family, owner)
	t.addSet(s)
	return s.Name
}

// addrSet makes sure that the table has a set of addresses.
func (t *tableBuilder) addrSet(name string, family int, content func() addrSet) string {
	if have, ok := t.sets[name]; ok {
		t.addSet(have)
		return name
	}
	t.addSet(addressSet(name, family, content()))
	return name
}

// addressSet is a set of the addresses of a family.
func addressSet(name string, family int, content addrSet) *Set {
	ranges := content.flat(family)
	s := &Set{Name: name, Key: []Field{srcField(family)}, Interval: true}
	if len(ranges) > 0 {
		s.Elements = make([]Element, len(ranges))
	}
	for i, r := range ranges {
		s.Elements[i].Key = []Span{addrSpan(r)}
	}
	return s
}

func (t *tableBuilder) addSet(s *Set) {
	t.c.notes.set(s.Name)
	if t.sets[s.Name] == nil {
		t.sets[s.Name] = s
		t.t.Sets = append(t.t.Sets, s)
	}
}
