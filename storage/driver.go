package storage

import (
	"context"
	"iter"
)

// Driver is what every backend can do. Ids are opaque to callers, sizes are bytes.
type Driver interface {
	// Create makes exactly the volume of spec, filled with zeros. ErrExists, ErrNoSpace, ErrBadID.
	Create(ctx context.Context, spec VolumeSpec) (Volume, error)
	// Stat describes one volume. ErrNotFound.
	Stat(ctx context.Context, id VolumeID) (Volume, error)
	// List yields the volumes that match f in no order, and stops after the first error.
	List(ctx context.Context, f Filter) iter.Seq2[Volume, error]
	// Attach makes the volume reachable on this machine for o.UID and says how. Idempotent: a repeated call with another
	// uid hands it over. ErrNotFound, ErrUnsafe.
	Attach(ctx context.Context, id VolumeID, o AttachOptions) (Attachment, error)
	// Detach takes back what Attach gave. Idempotent, also for a volume that is gone.
	Detach(ctx context.Context, id VolumeID) error
	// Delete removes the volume and its snapshots. ErrInUse (a running guest, linked clones), ErrNotFound, ErrProtected.
	Delete(ctx context.Context, id VolumeID) error
	// Usage is the space of the whole backend. ErrUnavailable.
	Usage(ctx context.Context) (Usage, error)
}

// VolumeSpec says what Create makes.
type VolumeSpec struct {
	ID        VolumeID
	Format    Format // empty: the format that the id names, else the backend's default
	SizeBytes int64  // rounded up to what the backend can allocate, at least to 1 KiB
}

// Filter narrows List. The zero Filter matches every volume.
type Filter struct {
	Content Content // empty: every kind
	Owner   int     // guest id; 0: every owner
}

// Match reports whether v passes the filter.
func (f Filter) Match(v *Volume) bool {
	return (f.Content == "" || f.Content == v.Content) && (f.Owner == 0 || f.Owner == v.Owner)
}

// AttachOptions says for whom a volume is attached.
type AttachOptions struct {
	UID      int  // user that opens it while it is attached; 0: the caller's own
	ReadOnly bool // the user will not write
}

// Usage is the space of a backend in bytes. TotalBytes may differ from the sum of the others where a file system keeps a reserve.
type Usage struct {
	TotalBytes, UsedBytes, AvailBytes int64
}

// As returns d, or the first driver that d wraps, as a T: storage.As[storage.Snapshotter](d). A wrapper names what it
// wraps with a method Unwrap() Driver; one that wants to stand before capabilities too has a method Capability(any) bool,
// which gets a *T and sets it if it can (see [Intercept]). As answers "could this driver ever"; [Volume.Features] answers "can this volume now".
func As[T any](d Driver) (T, bool) {
	for d != nil {
		if t, ok := d.(T); ok {
			return t, true
		}
		if c, ok := d.(interface{ Capability(target any) bool }); ok {
			var t T
			if c.Capability(&t) {
				return t, true
			}
		}
		w, ok := d.(interface{ Unwrap() Driver })
		if !ok {
			break
		}
		d = w.Unwrap()
	}
	var zero T
	return zero, false
}
