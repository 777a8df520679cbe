package storagetest

import (
	"encoding/binary"
	"fmt"

	"github.com/turtacn/go-proxmox/storage"
)

// HostileImage is an image that tries to reach outside itself or to exhaust its reader.
type HostileImage struct {
	Name   string
	Format storage.Format // what it claims to be
	Data   []byte
}

// Hostile returns images that must be refused when they come from outside. Those that name another file name secret.
func Hostile(secret string) []HostileImage {
	q := func(name string, edit func(q *QCOW2)) HostileImage {
		img := &QCOW2{VirtualBytes: 1 << 20}
		edit(img)
		return HostileImage{Name: "qcow2 " + name, Format: storage.QCOW2, Data: img.Bytes()}
	}
	v := func(name string, data []byte) HostileImage {
		return HostileImage{Name: "vmdk " + name, Format: storage.VMDK, Data: data}
	}
	flat := func(kind, file string) []byte {
		return []byte("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"" + kind +
			"\"\n\n# Extent description\nRW 2048 FLAT \"" + file + "\" 0\n")
	}
	return []HostileImage{
		q("backing file", func(q *QCOW2) { q.Backing, q.BackingFormat = secret, "raw" }),
		q("relative backing file", func(q *QCOW2) { q.Backing = "../../../../../../../../.." + secret }),
		q("json backing", func(q *QCOW2) {
			q.Backing = `json:{"driver":"raw","file":{"driver":"file","filename":"` + secret + `"}}`
		}),
		q("nbd backing", func(q *QCOW2) { q.Backing = "nbd:127.0.0.1:10809" }),
		q("rbd backing", func(q *QCOW2) { q.Backing = "rbd:pool/image:conf=/etc/ceph/ceph.conf" }),
		q("http backing", func(q *QCOW2) { q.Backing = "http://169.254.169.254/latest/meta-data/" }),
		q("fd backing", func(q *QCOW2) { q.Backing = "/proc/self/fd/0" }),
		q("data file", func(q *QCOW2) { q.Incompatible, q.DataFile = 1<<2, secret }),
		q("data file without the feature bit", func(q *QCOW2) { q.DataFile = secret }),
		q("data file feature without a name", func(q *QCOW2) { q.Incompatible = 1 << 2 }),
		q("version 2 backing", func(q *QCOW2) { q.Version, q.Backing = 2, secret }),
		q("2^60 bytes", func(q *QCOW2) { q.VirtualBytes = 1 << 60 }),
		q("2^64 bytes", func(q *QCOW2) { q.VirtualBytes = 1<<64 - 1 }),
		q("unknown feature", func(q *QCOW2) { q.Incompatible = 1 << 40 }),
		q("LUKS", func(q *QCOW2) { q.CryptMethod = 2 }),
		q("AES", func(q *QCOW2) { q.CryptMethod = 1 }),
		q("refcount bomb", func(q *QCOW2) { q.RefTableClusters = 1 << 31 }),
		q("L1 bomb", func(q *QCOW2) { q.L1Entries = 1 << 31 }),
		q("snapshot bomb", func(q *QCOW2) { q.SnapshotCount = 1 << 31 }),
		q("huge clusters", func(q *QCOW2) { q.ClusterBits = 63 }),
		q("version 1", func(q *QCOW2) { q.Version = 1 }),
		q("huge header", func(q *QCOW2) { q.HeaderLength = 1 << 31 }),
		q("huge extension", func(q *QCOW2) { q.ExtensionLength = 1 << 31 }),
		q("endless backing name", func(q *QCOW2) { q.Backing, q.BackingLength = "x", 1<<31 }),
		{Name: "qcow2 cut off", Format: storage.QCOW2, Data: []byte("QFI\xfb\x00\x00\x00\x03")},
		{Name: "qcow2 that is text", Format: storage.QCOW2, Data: []byte("root:x:0:0::/root:/bin/sh\n")},
		v("flat extent", flat("monolithicFlat", secret)),
		v("device extent", flat("fullDevice", "/dev/sda")),
		v("two extents", flat("twoGbMaxExtentFlat", "a\" 0\nRW 2048 FLAT \""+secret)),
		v("comment before the version", append([]byte("# nothing to see\n#\n"), flat("monolithicFlat", secret)[len("# Disk DescriptorFile\n"):]...)),
		v("sparse without capacity", SparseVMDK(0, string(flat("monolithicFlat", secret)))),
		v("sparse with a parent", SparseVMDK(2048, "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=2\ncreateType=\"monolithicSparse\"\nparentFileNameHint=\""+secret+"\"\n")),
		v("sparse with a huge capacity", SparseVMDK(1<<62, "# Disk DescriptorFile\nversion=1\n")),
		v("server extent", append([]byte("COWD"), make([]byte, 508)...)),
	}
}

// QCOW2 builds a qcow2 file by hand: a header, its extensions, empty tables. The zero value of most fields is a sound one.
type QCOW2 struct {
	Version          uint32 // 0: 3
	VirtualBytes     uint64
	ClusterBits      uint32 // 0: 16
	Backing          string
	BackingLength    uint32 // 0: that of Backing
	BackingFormat    string
	DataFile         string
	Incompatible     uint64
	CryptMethod      uint32
	L1Entries        uint32 // 0: one
	RefTableClusters uint32 // 0: one
	SnapshotCount    uint32
	HeaderLength     uint32 // 0: 104
	ExtensionLength  uint32 // length of a first extension of unknown type
}

// Bytes returns the file: four clusters of 64 KiB.
func (q *QCOW2) Bytes() []byte {
	const cluster = 1 << 16
	b := make([]byte, 4*cluster)
	put32 := func(off int, v uint32) { binary.BigEndian.PutUint32(b[off:], v) }
	put64 := func(off int, v uint64) { binary.BigEndian.PutUint64(b[off:], v) }
	def := func(v, zero uint32) uint32 {
		if v == 0 {
			return zero
		}
		return v
	}
	copy(b, "QFI\xfb")
	put32(4, def(q.Version, 3))
	put32(20, def(q.ClusterBits, 16))
	put64(24, q.VirtualBytes)
	put32(32, q.CryptMethod)
	put32(36, def(q.L1Entries, 1))
	put64(40, 3*cluster)
	put64(48, 1*cluster)
	put32(56, def(q.RefTableClusters, 1))
	put32(60, q.SnapshotCount)
	off := 72
	if q.Version != 2 {
		put64(72, q.Incompatible)
		put32(96, 4) // refcounts of 16 bits
		put32(100, def(q.HeaderLength, 104))
		off = 104
	}
	ext := func(typ uint32, data string) {
		put32(off, typ)
		put32(off+4, uint32(len(data)))
		off += 8 + copy(b[off+8:], data)
		off = (off + 7) &^ 7
	}
	if q.ExtensionLength != 0 {
		put32(off, 0x12345678)
		put32(off+4, q.ExtensionLength)
		off += 8
	}
	if q.BackingFormat != "" {
		ext(0xe2792aca, q.BackingFormat)
	}
	if q.DataFile != "" {
		ext(0x44415441, q.DataFile)
	}
	ext(0, "")
	if q.Backing != "" {
		put64(8, uint64(off))
		put32(16, def(q.BackingLength, uint32(len(q.Backing))))
		copy(b[off:], q.Backing)
	}
	put64(cluster, 2*cluster) // the refcount table's one block
	for i := range 4 {
		binary.BigEndian.PutUint16(b[2*cluster+2*i:], 1)
	}
	return b
}

// SparseVMDK builds a sparse VMDK header with an embedded descriptor and no data.
func SparseVMDK(capacitySectors uint64, descriptor string) []byte {
	b := make([]byte, 128<<10)
	put32 := func(off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
	put64 := func(off int, v uint64) { binary.LittleEndian.PutUint64(b[off:], v) }
	copy(b, "KDMV")
	put32(4, 1)
	put32(8, 3)
	put64(12, capacitySectors)
	put64(20, 128) // sectors of a grain
	put64(28, 1)   // descriptor's sector
	put64(36, 20)  // its sectors
	put32(44, 512) // entries of a grain table
	put64(48, 21)
	put64(56, 26)
	put64(64, 128)
	if copy(b[512:], descriptor) != len(descriptor) {
		panic(fmt.Sprintf("storagetest: descriptor of %d bytes", len(descriptor)))
	}
	return b
}
