package interfaces

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// bases are the places of types in a file: what others stand on comes first.
var bases = map[string]int{
	TypeLoopback: 100000, TypeDummy: 100000,
	TypeEth: 200000, TypeOVSPort: 200000,
	TypeOVSIntPort: 300000,
	TypeBond:       400000, TypeOVSBond: 400000,
	TypeBridge: 500000, TypeOVSBridge: 500000,
	TypeVLAN: 600000, TypeVXLAN: 600000,
}

// noPriority is the place of an interface that was not in the file.
const noPriority = 50000

// sorted returns the names of all interfaces in the order of the file.
func (d *draft) sorted() []string {
	names := slices.Sorted(maps.Keys(d.ifaces))
	slices.SortStableFunc(names, d.compare)
	return names
}

// compare orders by the type of the roots (eth0 of eth0.5), then the number of further parts and the priority. Types count
// only if both roots have one; so the order is not always transitive, which is why the sort has to be stable.
func (d *draft) compare(a, b string) int {
	baseA, okA := d.base(a)
	baseB, okB := d.base(b)
	if !okA || !okB {
		baseA, baseB = 0, 0
	}
	return cmp.Or(cmp.Compare(baseA+d.priority(a), baseB+d.priority(b)), strings.Compare(a, b))
}

// base is the place of the root's type plus the number of further parts of the name.
func (d *draft) base(name string) (int, bool) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == ':' })
	if len(parts) == 0 {
		return 0, false
	}
	base, ok := bases[d.typeOf(parts[0])]
	return base + len(parts) - 1, ok
}

func (d *draft) priority(name string) int {
	if e := d.ifaces[name]; e.defined("priority") {
		return e.number("priority")
	}
	return noPriority
}
