package storage

import (
	"context"
	"io"
	"os"
	"time"
)

// Activator is a backend that must be prepared before use: mounted, logged in, its folders made. Idempotent. ErrUnavailable.
type Activator interface {
	Activate(ctx context.Context) error
}

// Snapshotter is a backend whose volumes can have snapshots. A volume that cannot (Features) gives errors.ErrUnsupported.
// Rollback may be limited to the newest snapshot: then it is ErrInUse.
type Snapshotter interface {
	Snapshot(ctx context.Context, id VolumeID, name string) error       // ErrExists
	Rollback(ctx context.Context, id VolumeID, name string) error       // ErrNotFound
	DeleteSnapshot(ctx context.Context, id VolumeID, name string) error // ErrNotFound
	Snapshots(ctx context.Context, id VolumeID) ([]Snapshot, error)     // oldest first
}

// Snapshot is one snapshot of a volume.
type Snapshot struct {
	Name    string
	Created time.Time
}

// Resizer is a backend whose volumes can grow.
type Resizer interface {
	// Resize grows id to sizeBytes, rounded up like in Create. The present size is fine, a smaller one errors.ErrUnsupported.
	// A volume in use is ErrInUse where the process that uses it must do it (a running QEMU: block_resize).
	Resize(ctx context.Context, id VolumeID, sizeBytes int64) (Volume, error)
}

// Cloner is a backend with base volumes and linked clones of them, which share the base's data.
type Cloner interface {
	// MakeBase freezes a volume and returns it under its new id. A repeated call for the old id returns the same. ErrInUse.
	MakeBase(ctx context.Context, id VolumeID) (Volume, error)
	// Clone makes a linked clone of base; id is the clone's full id, as CloneID composes it. ErrExists.
	Clone(ctx context.Context, base, id VolumeID) (Volume, error)
	// BaseID is the id that MakeBase gives, CloneID the id of a linked clone of base with the given owner and name.
	BaseID(id VolumeID) (VolumeID, error)
	CloneID(base VolumeID, owner int, name string) (VolumeID, error)
}

// Renamer is a backend whose volumes can get another id, such as another owner's. ErrExists, ErrInUse.
type Renamer interface {
	Rename(ctx context.Context, id, to VolumeID) (Volume, error)
}

// Opener is a backend whose volumes are files or devices that this process can open itself. The caller closes the Image.
type Opener interface {
	// Open opens a volume and what it is backed by. With write, only the volume itself is open for writing. ErrNotFound, ErrUnsafe.
	Open(ctx context.Context, id VolumeID, write bool) (*Image, error)
}

// Filler is a backend that can show a new volume only when its content is complete.
type Filler interface {
	// CreateFilled is Create with a fill that writes the content into the still hidden volume. If fill fails, nothing remains.
	CreateFilled(ctx context.Context, spec VolumeSpec, fill func(context.Context, *Image) error) (Volume, error)
}

// Pather is a backend whose volumes have a path on this machine. The path is for showing: open volumes with [Opener].
type Pather interface {
	Path(id VolumeID) (string, error) // ErrBadID; nothing is touched
}

// Stager is a backend that takes whole files (ISO images, templates, import sources) in two steps.
type Stager interface {
	// Stage opens a new file beside the future place of id that no List shows. ErrBadID.
	Stage(ctx context.Context, id VolumeID) (Stage, error)
	// Sweep removes the files of stages whose process is gone, and says how many.
	Sweep(ctx context.Context) (int, error)
}

// Stage is a file on its way into a backend. Exactly one of Commit and Discard ends it; a second call does nothing.
type Stage interface {
	io.Writer
	File() *os.File                                 // for reading back; owned by the stage
	Commit(ctx context.Context, replace bool) error // synced, then in place at once; without replace ErrExists
	Discard() error                                 // nothing remains
}

// Annotator is a backend that keeps notes and a protection mark beside backups.
type Annotator interface {
	SetNotes(ctx context.Context, id VolumeID, text string) error // empty removes
	Notes(ctx context.Context, id VolumeID) (string, error)       // whole text, empty if there is none
	SetProtected(ctx context.Context, id VolumeID, on bool) error
}
