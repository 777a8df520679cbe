package firewall

import (
	"slices"
	"sort"
	"strings"
)

// Rules become statements here. Rules that differ only by their values share one verdict map, so that a packet pays for the
// kinds of rules, not for their number. Since the first rule that matches decides, a rule may join an earlier map only if it
// commutes with all that lies between: the verdict is the same, or no packet matches both.

// entry is a condition with what follows from it.
type entry struct {
	c       clause
	verdict Verdict
	log     string // prefix, if it is logged
}

// Limits of packing.
const (
	maxProduct = 256   // elements that one rule may become
	maxLinear  = 256   // elements that are compared one by one
	maxMap     = 65536 // elements of one map
	maxBack    = 16    // maps that are looked back over
	maxFields  = 5     // of a key: more do not fit the kernel's note of the types
)

// The parts of a condition that can be keys of a map, in the order they are joined.
const (
	dimSrc = iota
	dimDst
	dimIface
	dimProto
	dimSport
	dimDport
	dimType
	dimCode
	dimCount
)

// box is a condition without sets: a range for each part it has.
type box [dimCount]Span

// shape is what rules of one map have in common.
type shape struct {
	family   int
	has      [dimCount]bool
	src, dst string // names of sets
	icmp6    bool
	out      bool // the interface is the one it leaves by
}

// packed is an entry in the terms of its table.
type packed struct {
	shape
	spans   [dimCount][]Span
	boxes   []box // the product of spans; nil if there are too many
	verdict Verdict
	log     string
}

// mappable tells whether p may be elements of a map. A call comes back, so what it shares packets with must follow it.
func (p *packed) mappable() bool {
	fields := 0
	for _, has := range p.has {
		if has {
			fields++
		}
	}
	return p.boxes != nil && p.log == "" && fields > 0 && fields <= maxFields && p.verdict.Kind != VerdictJump
}

// bucket is rules that become one look-up, or one rule that becomes a statement of its own.
type bucket struct {
	shape
	alone *packed
	items []boxed
	first int // the first part of the key
	rest  map[string]*column
	wild  []*column // columns whose rest has ranges
	mixed bool      // not all elements have the same verdict
}

type boxed struct {
	box
	verdict Verdict
}

// column is the elements that agree in all parts of the key but the first. They are disjoint there, and sorted.
type column struct {
	rest  box
	items []int // of the bucket
}

// emit appends the statements of entries to a chain.
func (t *tableBuilder) emit(ch *Chain, entries []entry, out bool) {
	var buckets []*bucket
	for i := range entries {
		p := t.pack(&entries[i], out)
		if !joins(buckets, p) {
			buckets = append(buckets, newBucket(p))
		}
	}
	for _, b := range buckets {
		t.emitBucket(ch, b)
	}
}

// joins puts p into the nearest map it may join.
func joins(buckets []*bucket, p *packed) bool {
	if !p.mappable() {
		return false
	}
	found := -1
	for i, seen := len(buckets)-1, 0; i >= 0 && seen < maxBack; i, seen = i-1, seen+1 {
		if b := buckets[i]; b.alone == nil && b.shape == p.shape && b.fits(p) {
			found = i
			break
		} else if !b.commutes(p) {
			break
		}
	}
	if found < 0 {
		return false
	}
	buckets[found].add(p)
	return true
}

func newBucket(p *packed) *bucket {
	if !p.mappable() {
		return &bucket{shape: p.shape, alone: p}
	}
	b := &bucket{shape: p.shape, rest: map[string]*column{}}
	b.first = slices.Index(p.has[:], true)
	b.add(p)
	return b
}

// restOf blanks the first part of the key.
func (b *bucket) restOf(x box) (box, string, bool) {
	x[b.first] = Span{}
	var key strings.Builder
	wild := false
	for d := range x {
		if b.has[d] && d != b.first {
			key.WriteString(x[d].Lo)
			key.WriteByte('-')
			key.WriteString(x[d].Hi)
			key.WriteByte(';')
			wild = wild || !x[d].Single()
		}
	}
	return x, key.String(), wild
}

// columns visits those that x may overlap.
func (b *bucket) columns(x box, visit func(*column) bool) {
	rest, key, wild := b.restOf(x)
	candidates := b.wild
	if wild { // a range may touch any column
		candidates = nil
		for _, c := range b.rest {
			candidates = append(candidates, c)
		}
	} else if c, ok := b.rest[key]; ok && !slices.Contains(b.wild, c) {
		if !visit(c) {
			return
		}
	}
	for _, c := range candidates {
		if b.overlap(c.rest, rest, b.first) && !visit(c) {
			return
		}
	}
}

// overlap compares the parts that the shape has, but one.
func (s *shape) overlap(x, y box, but int) bool {
	for d := range x {
		if s.has[d] && d != but && !x[d].overlaps(y[d]) {
			return false
		}
	}
	return true
}

// fits tells whether each element of p is disjoint from those of b, or covered by one.
func (b *bucket) fits(p *packed) bool {
	if len(b.items)+len(p.boxes) > maxMap {
		return false
	}
	if slices.ContainsFunc(p.boxes, func(x box) bool { _, _, wild := b.restOf(x); return wild }) && len(b.rest) > maxLinear || len(b.wild) > maxLinear {
		return false
	}
	for _, x := range p.boxes {
		hit, covered := b.find(x)
		if hit && !covered {
			return false
		}
	}
	return true
}

// find looks for elements that x overlaps, and whether one of them covers it.
func (b *bucket) find(x box) (hit, covered bool) {
	b.columns(x, func(c *column) bool {
		i := sort.Search(len(c.items), func(i int) bool { return b.items[c.items[i]].box[b.first].Hi >= x[b.first].Lo })
		if i == len(c.items) || !b.items[c.items[i]].box[b.first].overlaps(x[b.first]) {
			return true
		}
		hit = true
		covered = b.covers(b.items[c.items[i]].box, x)
		return !covered
	})
	return hit, covered
}

func (s *shape) covers(x, y box) bool {
	for d := range x {
		if s.has[d] && !x[d].covers(y[d]) {
			return false
		}
	}
	return true
}

// add puts the elements of p in; those that others cover never match.
func (b *bucket) add(p *packed) {
	for _, x := range p.boxes {
		if hit, _ := b.find(x); hit {
			continue
		}
		b.mixed = b.mixed || len(b.items) > 0 && b.items[0].verdict != p.verdict
		b.items = append(b.items, boxed{x, p.verdict})
		rest, key, wild := b.restOf(x)
		c := b.rest[key]
		if c == nil {
			c = &column{rest: rest}
			b.rest[key] = c
			if wild {
				b.wild = append(b.wild, c)
			}
		}
		i := sort.Search(len(c.items), func(i int) bool { return b.items[c.items[i]].box[b.first].Lo >= x[b.first].Lo })
		c.items = slices.Insert(c.items, i, len(b.items)-1)
	}
}

// commutes tells whether p may go before b.
func (b *bucket) commutes(p *packed) bool {
	if b.family != 0 && p.family != 0 && b.family != p.family {
		return true
	}
	if b.alone != nil {
		return b.alone.log == "" && b.alone.verdict == p.verdict && p.verdict.Kind != VerdictJump ||
			b.alone.boxes != nil && disjoint(&b.alone.shape, b.alone.boxes, p)
	}
	if !b.mixed && b.items[0].verdict == p.verdict && p.verdict.Kind != VerdictJump {
		return true
	}
	if len(b.items) > maxLinear {
		return false
	}
	for _, item := range b.items {
		if item.verdict != p.verdict && !disjoint(&b.shape, []box{item.box}, p) {
			return false
		}
	}
	return true
}

// disjoint tells whether no packet is in one of boxes and in p. What only one of both has may always agree.
func disjoint(s *shape, boxes []box, p *packed) bool {
	if len(boxes)*len(p.boxes) > maxLinear || s.icmp6 != p.icmp6 && (s.has[dimType] || p.has[dimType]) {
		return false
	}
	for _, x := range boxes {
		for _, y := range p.boxes {
			apart := false
			for d := range x {
				apart = apart || s.has[d] && p.has[d] && !x[d].overlaps(y[d])
			}
			if !apart {
				return false
			}
		}
	}
	return len(p.boxes) > 0
}

// product multiplies the ranges of the parts out.
func product(spans [dimCount][]Span) []box {
	boxes := []box{{}}
	for d, list := range spans {
		if list == nil {
			continue
		}
		if len(boxes)*len(list) > maxProduct {
			return nil
		}
		next := make([]box, 0, len(boxes)*len(list))
		for _, b := range boxes {
			for _, s := range list {
				b[d] = s
				next = append(next, b)
			}
		}
		boxes = next
	}
	return boxes
}
