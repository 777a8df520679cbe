package storage

import (
	"errors"
	"io/fs"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// What callers branch on. What a driver or a volume cannot do is errors.ErrUnsupported.
var (
	ErrNotFound    = errclass.New("volume not found", fs.ErrNotExist)
	ErrExists      = errclass.New("volume already exists", fs.ErrExist)
	ErrBadID       = errclass.New("bad volume id", fs.ErrInvalid)
	ErrProtected   = errclass.New("volume is protected", fs.ErrPermission)
	ErrInUse       = errors.New("volume in use")
	ErrNoSpace     = errors.New("no space left in storage")
	ErrUnsafe      = errors.New("refused as unsafe") // links, devices, images that reach outside themselves
	ErrUnavailable = errors.New("storage not available")
	ErrUnknownType = errclass.New("no driver for this storage type", errors.ErrUnsupported)
)

// OpError is the error of one call on a driver: "storage: dir: delete 100/vm-100-disk-0.raw: volume in use".
type OpError struct {
	Op     string   // verb
	Driver string   // type of the backend
	Volume VolumeID // empty when the call is about the whole backend
	Err    error
}

func (e *OpError) Error() string {
	s := "storage: " + e.Driver + ": " + e.Op
	if e.Volume != "" {
		s += " " + string(e.Volume)
	}
	return s + ": " + e.Err.Error()
}

func (e *OpError) Unwrap() error { return e.Err }
