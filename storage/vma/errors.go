package vma

import (
	"errors"
	"io/fs"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/storage"
)

// What callers branch on.
var (
	// ErrFormat is something that is no VMA archive, or one of a version that is not known.
	ErrFormat = errclass.New("not a VMA archive", fs.ErrInvalid)
	// ErrCorrupt is an archive that contradicts itself.
	ErrCorrupt = errclass.New("archive is damaged", fs.ErrInvalid)
	// ErrTruncated is an archive that ends too early, or leaves data out.
	ErrTruncated = errclass.New("archive is incomplete", ErrCorrupt)
	// ErrName is a name in a header that no file here may have, or that comes twice.
	ErrName = errclass.New("unsafe name in an archive", storage.ErrUnsafe)
	// ErrTooLarge is an archive beyond the limits.
	ErrTooLarge = errclass.New("archive is beyond the limits", storage.ErrUnsafe)
	// ErrCompression is a compression that this package does not know.
	ErrCompression = errclass.New("compression not supported", errors.ErrUnsupported)
)

// Limits bound what is read. A zero field is the default.
type Limits struct {
	// HeaderBytes is the size of a header: 40 MiB, which holds all that the format can.
	HeaderBytes int64
	// DeviceBytes is the size of all disks together: 64 TiB. Noting which clusters there have been takes one byte of memory
	// for 512 KiB of disk.
	DeviceBytes int64
	// StateBytes is the size of a guest's memory: 64 TiB.
	StateBytes int64
}

func (l *Limits) headerBytes() int64 {
	if l == nil || l.HeaderBytes <= 0 {
		return 40 << 20
	}
	return l.HeaderBytes
}

func (l *Limits) deviceBytes() int64 {
	if l == nil || l.DeviceBytes <= 0 {
		return 64 << 40
	}
	return l.DeviceBytes
}

func (l *Limits) stateBytes() int64 {
	if l == nil || l.StateBytes <= 0 {
		return 64 << 40
	}
	return l.StateBytes
}
