package qimg

import (
	"fmt"
	"io"
	"math"

	"github.com/turtacn/go-proxmox/storage"
)

// See docs/interop/qcow2.txt of QEMU.
const (
	qcowMagic = "QFI\xfb"

	incompatDataFile = 1 << 2
	incompatKnown    = 1<<0 | 1<<1 | incompatDataFile | 1<<3 | 1<<4 // dirty, corrupt, data file, compression type, extended L2

	extEnd           = 0
	extBackingFormat = 0xe2792aca
	extDataFile      = 0x44415441
	extEncryption    = 0x0537be77

	qcowMaxL1       = 32 << 20 // bytes; QEMU's own limits
	qcowMaxRefTable = 8 << 20
	qcowMaxBacking  = 1023
	qcowMaxSnaps    = 65536
)

// probeQCOW2 reads a qcow2 header (version 2 or 3). Version 1 and others are refused: no guest disk of ours has them.
func probeQCOW2(r io.ReaderAt, size int64) (Header, error) {
	bad := func(what string, args ...any) (Header, error) {
		return Header{Format: storage.QCOW2}, fmt.Errorf("qcow2: "+what+": %w", append(args, ErrCorrupt)...)
	}
	b, err := readAt(r, 0, 72)
	if err != nil {
		return Header{Format: storage.QCOW2}, err
	}
	version, headerLen := be32(b, 4), uint32(72)
	if version != 2 && version != 3 {
		return bad("version %d", version)
	}
	var incompat uint64
	if version == 3 {
		if b, err = readAt(r, 0, 104); err != nil {
			return Header{Format: storage.QCOW2}, err
		}
		incompat, headerLen = be64(b, 72), be32(b, 100)
	}
	bits, virtual := be32(b, 20), be64(b, 24)
	if bits < 9 || bits > 21 {
		return bad("cluster of 2^%d bytes", bits)
	}
	cluster := uint64(1) << bits
	switch {
	case headerLen < 72 || version == 3 && headerLen < 104 || uint64(headerLen) > cluster:
		return bad("header of %d bytes", headerLen)
	case incompat&^incompatKnown != 0:
		return bad("unknown incompatible features %#x", incompat)
	case virtual > math.MaxInt64:
		return bad("virtual size %d", virtual)
	case uint64(be32(b, 36))*8 > qcowMaxL1:
		return bad("L1 table of %d entries", be32(b, 36))
	case uint64(be32(b, 56))*cluster > qcowMaxRefTable:
		return bad("refcount table of %d clusters", be32(b, 56))
	case be32(b, 60) > qcowMaxSnaps:
		return bad("%d snapshots", be32(b, 60))
	case be64(b, 40) >= uint64(size) && be32(b, 36) > 0, be64(b, 48) >= uint64(size):
		return bad("tables beyond the end of the file")
	}
	h := Header{
		Format: storage.QCOW2, VirtualBytes: int64(virtual),
		DataFile:  incompat&incompatDataFile != 0,
		Encrypted: be32(b, 32) != 0,
		Snapshots: int(be32(b, 60)),
	}
	backingOff, backingLen := be64(b, 8), be32(b, 16)
	extensionsEnd := cluster
	if backingOff != 0 && backingLen != 0 {
		if backingLen > qcowMaxBacking || backingOff > cluster || backingOff+uint64(backingLen) > cluster {
			return bad("backing file name of %d bytes at %d", backingLen, backingOff)
		}
		name, err := readAt(r, int64(backingOff), int64(backingLen))
		if err != nil {
			return h, err
		}
		h.BackingFile = string(name)
		extensionsEnd = backingOff
	}
	return h, qcow2Extensions(r, uint64(headerLen), extensionsEnd, &h)
}

// qcow2Extensions walks the header extensions in [off, end).
func qcow2Extensions(r io.ReaderAt, off, end uint64, h *Header) error {
	for off+8 <= end {
		b, err := readAt(r, int64(off), 8)
		if err != nil {
			return nil // the file ends with its header: no more extensions
		}
		typ, length := be32(b, 0), uint64(be32(b, 4))
		off += 8
		if typ == extEnd {
			return nil
		}
		if length > end-off {
			return fmt.Errorf("qcow2: header extension %#x of %d bytes: %w", typ, length, ErrCorrupt)
		}
		switch typ {
		case extBackingFormat:
			if length > 16 {
				return fmt.Errorf("qcow2: backing format of %d bytes: %w", length, ErrCorrupt)
			}
			name, err := readAt(r, int64(off), int64(length))
			if err != nil {
				return err
			}
			h.BackingFormat = string(name)
		case extDataFile:
			h.DataFile = true
		case extEncryption:
			h.Encrypted = true
		}
		off += (length + 7) &^ 7
	}
	return nil
}
