package qimg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// See block/vmdk.c of QEMU for what its driver reads.
const (
	vmdkMagic   = "KDMV"
	cowdMagic   = "COWD"
	sector      = 512
	vmdkDescMax = 64 << 10 // how much of a descriptor is read; QEMU reads 10 KiB where it looks for the parent
)

// probeSparseVMDK reads the header of a VMDK that holds its own data (monolithicSparse, streamOptimized).
func probeSparseVMDK(r io.ReaderAt, size int64) (Header, error) {
	h := Header{Format: storage.VMDK}
	b, err := readAt(r, 0, 80)
	if err != nil {
		return h, err
	}
	if string(b[:4]) == cowdMagic { // ESX server sparse extents belong to a descriptor
		h.Extents = 1
		return h, nil
	}
	version, capacity := le32(b, 4), le64(b, 12)
	descOff, descLen := le64(b, 28), le64(b, 36)
	switch {
	case version < 1 || version > 3:
		return h, fmt.Errorf("vmdk: version %d: %w", version, ErrCorrupt)
	case capacity > math.MaxInt64/sector:
		return h, fmt.Errorf("vmdk: capacity of %d sectors: %w", capacity, ErrCorrupt)
	case capacity == 0: // QEMU takes such a file as a plain descriptor, whose extents may be anywhere
		h.Extents = 1
		return h, nil
	}
	h.VirtualBytes = int64(capacity) * sector
	// The descriptor is looked for where the header says and at the second sector, where QEMU reads the parent's name.
	for _, at := range []struct{ off, n uint64 }{{1, vmdkDescMax / sector}, {descOff, min(descLen, vmdkDescMax/sector)}} {
		if at.off == 0 || at.n == 0 || at.off > uint64(size)/sector {
			continue
		}
		text := make([]byte, at.n*sector)
		n, err := r.ReadAt(text, int64(at.off*sector))
		if err != nil && !errors.Is(err, io.EOF) {
			return h, err
		}
		if parent := vmdkParent(text[:n]); parent != "" {
			h.BackingFile = parent
		}
	}
	return h, nil
}

var vmdkDescriptor = regexp.MustCompile(`^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*(?:# ?Disk Descriptor|version=)`)

// isVMDKDescriptor reports whether QEMU would take the file for a VMDK descriptor: text that begins with comments and a
// version line.
func isVMDKDescriptor(r io.ReaderAt) bool {
	b := make([]byte, 4096)
	n, _ := r.ReadAt(b, 0)
	return vmdkDescriptor.Match(b[:n])
}

var vmdkExtent = regexp.MustCompile(`^(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+[A-Z0-9]+(?:\s|$)`)

// probeDescriptor reads a VMDK descriptor, whose data is in other files.
func probeDescriptor(r io.ReaderAt) (Header, error) {
	h := Header{Format: storage.VMDK}
	text := make([]byte, vmdkDescMax)
	n, err := r.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	text = text[:n]
	var sectors int64
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		m := vmdkExtent.FindStringSubmatch(strings.TrimSpace(sc.Text()))
		if m == nil {
			continue
		}
		h.Extents++
		count, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || count > math.MaxInt64/sector-sectors {
			return h, fmt.Errorf("vmdk: extent of %s sectors: %w", m[1], ErrCorrupt)
		}
		sectors += count
	}
	h.Extents = max(h.Extents, 1) // the data is never in the descriptor itself
	h.VirtualBytes = sectors * sector
	h.BackingFile = vmdkParent(text)
	return h, nil
}

// vmdkParent returns the parent that a descriptor names, "?" if it only says that there is one.
func vmdkParent(text []byte) string {
	_, rest, ok := bytes.Cut(text, []byte("parentFileNameHint"))
	if !ok {
		return ""
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if parts := bytes.SplitN(line, []byte{'"'}, 3); len(parts) == 3 && len(parts[1]) > 0 {
		return string(parts[1])
	}
	return "?"
}
