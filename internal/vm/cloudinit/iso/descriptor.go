package iso

import (
	"encoding/binary"
)

// descriptor is the volume descriptor of a view. See ECMA-119, 8.4 and 8.5.
func (w *writer) descriptor(v *view) []byte {
	d := make([]byte, SectorBytes)
	kind := byte(1)
	if v.isJoliet() {
		kind = 2
		copy(d[88:], "%/E") // UCS-2 level 3
	}
	copy(d, []byte{kind, 'C', 'D', '0', '0', '1', 1})
	text := func(offset, bytes int, s string) { copy(d[offset:], v.text(s, bytes)) }
	text(8, 32, "LINUX")
	text(40, 32, w.label)
	copy(d[80:], appendBoth32(nil, w.sectors))
	copy(d[120:], appendBoth16(nil, 1)) // volumes of the set
	copy(d[124:], appendBoth16(nil, 1)) // this one
	copy(d[128:], appendBoth16(nil, SectorBytes))
	copy(d[132:], appendBoth32(nil, uint32(v.tableBytes())))
	binary.LittleEndian.PutUint32(d[140:], v.littleTable)
	binary.BigEndian.PutUint32(d[148:], v.bigTable)
	root := w.record(v, v.dirs[0], []byte{0})
	root[0] = byte(len(root))
	copy(d[156:190], root)
	for _, field := range []struct{ offset, bytes int }{
		{190, 128}, {318, 128}, {446, 128}, {574, 128}, // set, publisher, preparer, application
		{702, 37}, {739, 37}, {776, 37}, // copyright, abstract, bibliography
	} {
		text(field.offset, field.bytes, "")
	}
	date := append([]byte(w.time.Format("20060102150405")+"00"), 0)
	unset := append([]byte("0000000000000000"), 0)
	copy(d[813:], date)  // creation
	copy(d[830:], date)  // modification
	copy(d[847:], unset) // expiration
	copy(d[864:], date)  // effective
	d[881] = 1
	return d
}
