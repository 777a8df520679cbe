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

// Sweeper is a backend in which a process that dies while it makes a volume leaves something that no List shows.
type Sweeper interface {
	// Sweep removes what is unfinished and whose maker is gone, and says how many. What is being made is left alone; a driver
	// may then answer ErrInUse beside the number, as a later sweep may find more.
	Sweep(ctx context.Context) (int, error)
}

// Stager is a backend that takes whole files (ISO images, templates, import sources) in two steps.
type Stager interface {
	Sweeper
	// Stage opens a new file beside the future place of id that no List shows. ErrBadID.
	Stage(ctx context.Context, id VolumeID) (Stage, error)
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

// Deactivator is a backend whose Activate can be taken back: unmounted, logged out. Idempotent. ErrInUse while it serves someone.
type Deactivator interface {
	Deactivate(ctx context.Context) error
}

// SnapshotOpener is an Opener that also opens what a volume was when a snapshot was taken. Read only; closing the Image undoes
// what had to be activated for it. ErrNotFound.
type SnapshotOpener interface {
	OpenSnapshot(ctx context.Context, id VolumeID, snapshot string) (*Image, error)
}

// Copier is a backend with a way of its own to copy a volume, better than reading and writing its bytes: a reflink, zfs send,
// rbd clone and flatten.
type Copier interface {
	// CopyFrom makes the volume of spec a full copy of a volume of src, whose driver may be another one of the same type. It
	// shares nothing with its source when the call returns. errors.ErrUnsupported, before anything was made, if this pair has
	// no such way: then the bytes are copied. After an error or a cancelled ctx nothing remains. ErrExists, ErrNoSpace.
	CopyFrom(ctx context.Context, spec VolumeSpec, src Driver, id VolumeID, o CopyOptions) (Volume, error)
}

// CopyOptions say how CopyFrom copies. The zero value copies the current state at full speed.
type CopyOptions struct {
	Snapshot       string                  // of the source; empty: its current state
	BytesPerSecond int64                   // 0: no limit
	Progress       func(done, total int64) // bytes, from one goroutine at a time; may be nil
}

// StreamFormat names the form of a volume on its way between two machines, as Proxmox VE names it.
type StreamFormat string

// The forms of streams. Those with a size start with eight bytes that hold it, little endian.
const (
	StreamRaw   StreamFormat = "raw+size"
	StreamQCOW2 StreamFormat = "qcow2+size"
	StreamVMDK  StreamFormat = "vmdk+size"
	StreamTar   StreamFormat = "tar+size"
	StreamZFS   StreamFormat = "zfs"
)

// Streamer is a backend whose volumes can be written to a stream and made from one.
type Streamer interface {
	// StreamFormats are the forms in which Export can write the volume, the best first; none if there is no way.
	StreamFormats(ctx context.Context, id VolumeID, o StreamOptions) ([]StreamFormat, error)
	// Export writes the volume to w. ErrNotFound for the volume or a snapshot.
	Export(ctx context.Context, w io.Writer, id VolumeID, format StreamFormat, o StreamOptions) error
	// ImportFormats are the forms that Import takes for a new volume of this id.
	ImportFormats(id VolumeID, o StreamOptions) ([]StreamFormat, error)
	// Import makes the volume from r, or with o.Base adds what changed since that snapshot. A stream that ends early, or is
	// not what it says, leaves nothing. ErrExists, ErrNoSpace, ErrUnsafe.
	Import(ctx context.Context, r io.Reader, id VolumeID, format StreamFormat, o StreamOptions) (Volume, error)
}

// StreamOptions say what a stream holds. The zero value is the current state alone.
type StreamOptions struct {
	Snapshot  string // the state at this snapshot, which the new volume has too where the form can carry it
	Base      string // only what changed since this older snapshot, which the receiving volume must have
	Snapshots bool   // with all snapshots up to Snapshot
}
