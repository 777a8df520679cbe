package qimg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/storage"
)

// Header is what an image's own header says. Nothing of it was followed.
type Header struct {
	Format        storage.Format // Raw if no known header was found
	VirtualBytes  int64          // the file's length for Raw
	BackingFile   string         // as written
	BackingFormat string         // as written, qcow2 only
	DataFile      bool           // the data is in another file (qcow2)
	Encrypted     bool
	Extents       int // further files with data (VMDK descriptors)
	Snapshots     int // internal snapshots (qcow2)
}

// ErrCorrupt is a header that contradicts itself or the file.
var ErrCorrupt = errors.New("image header is damaged")

// Why CheckUntrusted refuses an image; each is a storage.ErrUnsafe.
var (
	ErrBackingFile = errclass.New("backing file not allowed for untrusted image", storage.ErrUnsafe)
	ErrDataFile    = errclass.New("'data-file' references are not allowed", storage.ErrUnsafe)
	ErrExtents     = errclass.New("multiple children or extents are not allowed", storage.ErrUnsafe)
	ErrEncrypted   = errclass.New("encrypted images are not allowed", storage.ErrUnsafe)
	ErrTooLarge    = errclass.New("virtual size is too large", storage.ErrUnsafe)
)

// MaxVirtualBytes is the largest virtual size that is taken for real.
const MaxVirtualBytes = int64(1) << 53 // 8 PiB, beyond the limits of the file systems in use

// Probe reads the header of an image of size bytes. Without a magic number that it knows, the image is Raw.
func Probe(r io.ReaderAt, size int64) (Header, error) {
	var magic [4]byte
	n, err := r.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Header{}, err
	}
	switch {
	case n == 4 && string(magic[:]) == qcowMagic:
		return probeQCOW2(r, size)
	case n == 4 && (string(magic[:]) == vmdkMagic || string(magic[:]) == cowdMagic):
		return probeSparseVMDK(r, size)
	case isVMDKDescriptor(r):
		return probeDescriptor(r)
	}
	return Header{Format: storage.Raw, VirtualBytes: size}, nil
}

// ProbeAs reads the header of an image that must be of the given format. Raw is never looked into: its bytes are the guest's.
func ProbeAs(r io.ReaderAt, size int64, format storage.Format) (Header, error) {
	if format == storage.Raw {
		return Header{Format: storage.Raw, VirtualBytes: size}, nil
	}
	h, err := Probe(r, size)
	if err == nil && h.Format != format {
		err = fmt.Errorf("expected a %s image: %w", format, ErrCorrupt)
	}
	return h, err
}

// CheckUntrusted reads the header of an image that came from outside, and refuses it with storage.ErrUnsafe if it names any
// other file, is encrypted, or needs what this package does not know. format empty means whatever it is.
// See the qcow2 specification docs/interop/qcow2.txt and block/vmdk.c of QEMU for what its drivers would follow.
func CheckUntrusted(r io.ReaderAt, size int64, format storage.Format) (Header, error) {
	var h Header
	var err error
	if format == "" {
		h, err = Probe(r, size)
	} else {
		h, err = ProbeAs(r, size, format)
	}
	switch {
	case err != nil:
		return h, err
	case h.BackingFile != "":
		return h, ErrBackingFile
	case h.DataFile:
		return h, ErrDataFile
	case h.Extents > 0:
		return h, ErrExtents
	case h.Encrypted:
		return h, ErrEncrypted
	case h.VirtualBytes > MaxVirtualBytes:
		return h, fmt.Errorf("%w: %d bytes", ErrTooLarge, h.VirtualBytes)
	}
	return h, nil
}

// readAt returns exactly n bytes at off; a file that ends before is damaged.
func readAt(r io.ReaderAt, off, n int64) ([]byte, error) {
	buf := make([]byte, n)
	got, err := r.ReadAt(buf, off)
	if int64(got) == n {
		return buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = fmt.Errorf("ends at %d: %w", off+int64(got), ErrCorrupt)
	}
	return nil, err
}

func be32(b []byte, off int) uint32 { return binary.BigEndian.Uint32(b[off:]) }
func be64(b []byte, off int) uint64 { return binary.BigEndian.Uint64(b[off:]) }
func le32(b []byte, off int) uint32 { return binary.LittleEndian.Uint32(b[off:]) }
func le64(b []byte, off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
