package iso

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// view is the tree as one volume descriptor shows it: the primary one or Joliet's.
type view struct {
	names
	dirs   []*node // in path table order, the root first
	extent map[*node]uint32
	size   map[*node]int // of folders, a multiple of SectorBytes

	littleTable, bigTable uint32 // sectors of the path tables in both byte orders
}

func newView(root *node, ns names, records func(*view, *node) [][]byte) *view {
	v := &view{names: ns, dirs: []*node{root}, extent: map[*node]uint32{}, size: map[*node]int{}}
	for i := 0; i < len(v.dirs); i++ { // level by level, as path tables want it
		for _, n := range v.sorted(v.dirs[i]) {
			if n.isDir {
				v.dirs = append(v.dirs, n)
			}
		}
	}
	for _, dir := range v.dirs {
		data, err := packRecords(records(v, dir))
		if err == nil { // encode meets the same error and reports it
			v.size[dir] = len(data)
		}
	}
	return v
}

// sorted returns a folder's children in the order of their identifiers.
func (v *view) sorted(dir *node) []*node {
	return slices.SortedFunc(slices.Values(dir.children), func(a, b *node) int {
		return bytes.Compare(v.identifier(a), v.identifier(b))
	})
}

func (v *view) pathTable(bigEndian bool) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if bigEndian {
		order = binary.BigEndian
	}
	var out []byte
	for _, dir := range v.dirs {
		id := []byte{0}
		if dir.parent != dir {
			id = v.identifier(dir)
		}
		out = append(out, byte(len(id)), 0)
		out = order.AppendUint32(out, v.extent[dir])
		out = order.AppendUint16(out, uint16(slices.Index(v.dirs, dir.parent)+1))
		out = append(out, id...)
		if len(id)%2 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

func (v *view) tableBytes() int { return len(v.pathTable(false)) }

// packRecords puts directory records into sectors: none crosses the border of two. Two records of one name are an
// error.
func packRecords(records [][]byte) ([]byte, error) {
	var out []byte
	seen := make(map[string]bool)
	for _, r := range records {
		if len(r) > 255 {
			return nil, fmt.Errorf("name too long")
		}
		r[0] = byte(len(r))
		id := string(r[33 : 33+int(r[32])])
		if seen[id] {
			return nil, fmt.Errorf("two names become %q", id)
		}
		seen[id] = true
		if left := SectorBytes - len(out)%SectorBytes; left < len(r) {
			out = append(out, make([]byte, left)...)
		}
		out = append(out, r...)
	}
	return append(out, make([]byte, -len(out)&(SectorBytes-1))...), nil
}
