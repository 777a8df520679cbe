package iso

import (
	"encoding/binary"
	"time"
)

// recordsFor returns the directory records of a folder: itself, its parent, its children.
func (w *writer) recordsFor(v *view, dir *node) [][]byte {
	self := w.record(v, dir, []byte{0})
	parent := w.record(v, dir.parent, []byte{1})
	if !v.isJoliet() {
		isRoot := dir.parent == dir
		self = append(self, w.rockRidge(dir, "", isRoot)...)
		parent = append(parent, w.rockRidge(dir.parent, "", false)...)
	}
	records := [][]byte{self, parent}
	for _, n := range v.sorted(dir) {
		r := w.record(v, n, v.identifier(n))
		if !v.isJoliet() {
			r = append(r, w.rockRidge(n, n.name, false)...)
		}
		records = append(records, r)
	}
	for i, r := range records {
		if len(r)%2 != 0 {
			records[i] = append(r, 0)
		}
	}
	return records
}

// record is a directory record without its length. See ECMA-119, 9.1.
func (w *writer) record(v *view, n *node, id []byte) []byte {
	extent, size, flags := n.extent, len(n.data), byte(0)
	if n.isDir {
		extent, size, flags = v.extent[n], v.size[n], 2
	}
	r := []byte{0, 0}
	r = appendBoth32(r, extent)
	r = appendBoth32(r, uint32(size))
	r = append(r, shortDate(w.time)...)
	r = append(r, flags, 0, 0)
	r = appendBoth16(r, 1)
	r = append(r, byte(len(id)))
	r = append(r, id...)
	if len(r)%2 != 0 {
		r = append(r, 0)
	}
	return r
}

// rockRidge is the system use area of a record: owner root, mode, times, and the name of a child.
func (w *writer) rockRidge(n *node, name string, isRootSelf bool) []byte {
	var su []byte
	if isRootSelf {
		su = append(su, 'S', 'P', 7, 1, 0xBE, 0xEF, 0)
	}
	const hasPX, hasNM, hasTF = 0x01, 0x08, 0x80
	present := byte(hasPX | hasTF)
	if name != "" {
		present |= hasNM
	}
	su = append(su, 'R', 'R', 5, 1, present)

	mode, links := uint32(0o100444), uint32(1)
	if n.isDir {
		mode, links = 0o040555, 2
	}
	su = append(su, 'P', 'X', 36, 1)
	for _, value := range []uint32{mode, links, 0, 0} {
		su = appendBoth32(su, value)
	}
	su = append(su, 'T', 'F', 26, 1, 0x0E) // modify, access, attributes
	for range 3 {
		su = append(su, shortDate(w.time)...)
	}
	if name != "" {
		su = append(su, 'N', 'M', byte(5+len(name)), 1, 0)
		su = append(su, name...)
	}
	if isRootSelf {
		su = append(su, 'C', 'E', 28, 1)
		su = appendBoth32(su, w.continuation)
		su = appendBoth32(su, 0)
		su = appendBoth32(su, uint32(len(rockRidgeReference())))
	}
	return su
}

// rockRidgeReference names the protocol in use; it does not fit the root's record.
func rockRidgeReference() []byte {
	const (
		id          = "RRIP_1991A"
		description = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
		source      = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME " +
			"DESCRIPTOR FOR CONTACT INFORMATION."
	)
	er := []byte{'E', 'R', byte(8 + len(id) + len(description) + len(source)), 1, byte(len(id)), byte(len(description)), byte(len(source)), 1}
	return append(er, id+description+source...)
}

func appendBoth32(b []byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, v), v)
}

func appendBoth16(b []byte, v uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, v), v)
}

// shortDate is the form of times in directory records. Years before 1900 do not exist there.
func shortDate(t time.Time) []byte {
	year := min(max(t.Year()-1900, 0), 255)
	return []byte{byte(year), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0}
}
