package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// MemoryOptions describe a Memory driver.
type MemoryOptions struct {
	Type          string                    // whose names it understands; default: rbd
	Claims        map[storage.Format]Claims // default: raw images with everything but Stream, Incremental, Stage and LooseClone
	Granule       int64                     // default: 1 KiB
	CapacityBytes int64                     // of all volumes; default: 1 GiB
}

// Memory is a driver that keeps its books in memory and the bytes of volumes, whatever their format, as raw files of a
// temporary folder: a model of how a driver with the same claims behaves, and a stand-in where a driver is needed.
type Memory struct {
	o      MemoryOptions
	names  volid.Storage
	folder string

	mu      sync.Mutex // guards what follows, and is held while bytes are copied: this is a model
	volumes map[string]*memoryVolume
	serial  int
}

type memoryVolume struct {
	storage.Volume
	claims    Claims
	file      string
	filling   bool
	snapshots []storage.Snapshot
}

// NewMemory returns an empty driver, whose files go with t.
func NewMemory(t testing.TB, o *MemoryOptions) *Memory {
	m := &Memory{folder: t.TempDir(), volumes: map[string]*memoryVolume{}}
	if o != nil {
		m.o = *o
	}
	if m.o.Type == "" {
		m.o.Type = "rbd"
	}
	if m.o.Claims == nil {
		m.o.Claims = map[storage.Format]Claims{storage.Raw: Resize | Snapshot | RollbackPast | Clone | Rename | Open | OpenSnapshot | Fill | Copy | CopySnapshot}
	}
	if m.o.Granule == 0 {
		m.o.Granule = 1 << 10
	}
	if m.o.CapacityBytes == 0 {
		m.o.CapacityBytes = 1 << 30
	}
	m.names = volid.Storage{ID: "memory", Type: m.o.Type, Options: map[string]string{"path": "/memory"}}
	return m
}

func (m *Memory) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	return &storage.OpError{Op: op, Driver: "memory", Volume: id, Err: err}
}

// do runs one call under the lock.
func do[T any](ctx context.Context, m *Memory, op string, id storage.VolumeID, fn func() (T, error)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, m.fail(op, id, context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := fn()
	if err != nil {
		return zero, m.fail(op, id, err)
	}
	return v, nil
}

// parse returns what an id means, and the key of its volume.
func (m *Memory) parse(id storage.VolumeID) (volid.Volume, string, error) {
	v, err := m.names.Parse(string(id))
	if err == nil && (v.Content != volid.Images || len(v.Name) > 255) {
		err = errors.New("no guest image")
	}
	if err != nil {
		return v, "", fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	return v, fmt.Sprintf("%d/%s", v.VMID, v.Name), nil
}

// find returns a whole volume. A clone answers to the id that names its base, and to its bare name.
func (m *Memory) find(id storage.VolumeID) (*memoryVolume, error) {
	p, key, err := m.parse(id)
	if err != nil {
		return nil, err
	}
	v, ok := m.volumes[key]
	if !ok || v.filling || p.Linked() && v.ID != id {
		return nil, storage.ErrNotFound
	}
	return v, nil
}

// free returns a whole volume that no guest has open.
func (m *Memory) free(id storage.VolumeID) (*memoryVolume, error) {
	v, err := m.find(id)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(v.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	busy, err := qimg.Opened(f)
	if err == nil && busy {
		err = storage.ErrInUse
	}
	return v, err
}

// claimed returns a whole volume that can do what is asked, and that no guest has open.
func (m *Memory) claimed(id storage.VolumeID, want Claims) (*memoryVolume, error) {
	v, err := m.free(id)
	if err == nil && (!v.claims.Has(want) || v.Base) {
		err = errors.ErrUnsupported
	}
	return v, err
}

// make adds a volume of zeros, hidden until whole is called. Whoever calls holds the lock.
func (m *Memory) make(spec storage.VolumeSpec) (*memoryVolume, error) {
	p, key, err := m.parse(spec.ID)
	if err != nil {
		return nil, err
	}
	format := storage.Format(p.Format)
	claims, known := m.o.Claims[format]
	size := max(1, (spec.SizeBytes+m.o.Granule-1)/m.o.Granule) * m.o.Granule
	if format == storage.Subvol && spec.SizeBytes == 0 { // a folder without a quota
		size = 0
	}
	switch _, taken := m.volumes[key]; {
	case taken:
		return nil, storage.ErrExists
	case spec.SizeBytes < 0 || spec.SizeBytes > 1<<50 || p.Base || spec.Format != "" && spec.Format != format:
		return nil, fmt.Errorf("not a volume of %d bytes in format %q: %w", spec.SizeBytes, spec.Format, storage.ErrBadID)
	case !known:
		return nil, fmt.Errorf("format %q: %w", format, errors.ErrUnsupported)
	case m.used()+size > m.o.CapacityBytes:
		return nil, storage.ErrNoSpace
	}
	m.serial++
	v := &memoryVolume{claims: claims, filling: true, file: filepath.Join(m.folder, fmt.Sprint(m.serial))}
	v.Volume = storage.Volume{
		ID: spec.ID, Content: storage.Images, Format: format, Owner: p.VMID, SizeBytes: size, UsedBytes: size, Created: time.Now(),
	}
	v.features()
	f, err := os.OpenFile(v.file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return nil, err
	}
	m.volumes[key] = v
	return v, nil
}

// features says of a volume what its claims are now.
func (v *memoryVolume) features() {
	v.Features = storage.FeatureCopy | storage.FeatureSparseInit
	if v.Base {
		v.Features |= storage.FeatureClone
		return
	}
	for claim, feature := range map[Claims]storage.Features{
		Resize: storage.FeatureResize, Snapshot: storage.FeatureSnapshot, Clone: storage.FeatureTemplate, Rename: storage.FeatureRename,
	} {
		if v.claims.Has(claim) {
			v.Features |= feature
		}
	}
}

func (m *Memory) used() (n int64) {
	for _, v := range m.volumes {
		n += v.SizeBytes
	}
	return n
}

// remove takes a volume away with all its files.
func (m *Memory) remove(v *memoryVolume) error {
	_, key, err := m.parse(v.ID)
	if err != nil {
		return err
	}
	delete(m.volumes, key)
	errs := []error{os.Remove(v.file)}
	for _, s := range v.snapshots {
		errs = append(errs, os.Remove(v.snapshot(s.Name)))
	}
	return errors.Join(errs...)
}

func (v *memoryVolume) snapshot(name string) string { return v.file + "@" + name }

func (v *memoryVolume) index(name string) int {
	return slices.IndexFunc(v.snapshots, func(s storage.Snapshot) bool { return s.Name == name })
}

// copyFile replaces to by a copy of from, in place: whoever has it open sees the new bytes.
func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// Create implements storage.Driver, as the methods below do.
func (m *Memory) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	return do(ctx, m, "create", spec.ID, func() (storage.Volume, error) {
		if p, _, err := m.parse(spec.ID); err != nil || p.Linked() {
			return storage.Volume{}, errors.Join(err, storage.ErrBadID)
		}
		v, err := m.make(spec)
		if err != nil {
			return storage.Volume{}, err
		}
		v.filling = false
		return v.Volume, nil
	})
}

func (m *Memory) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	return do(ctx, m, "stat", id, func() (storage.Volume, error) {
		v, err := m.find(id)
		if err != nil {
			return storage.Volume{}, err
		}
		return v.Volume, nil
	})
}

func (m *Memory) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		list, err := do(ctx, m, "list", "", func() (list []storage.Volume, _ error) {
			for _, v := range m.volumes {
				if !v.filling && f.Match(&v.Volume) {
					list = append(list, v.Volume)
				}
			}
			return list, nil
		})
		if err != nil {
			yield(storage.Volume{}, err)
		}
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (m *Memory) Attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	return do(ctx, m, "attach", id, func() (storage.Attachment, error) {
		v, err := m.find(id)
		if err != nil {
			return nil, err
		}
		uid := o.UID
		if uid == 0 {
			uid = os.Geteuid()
		}
		if err := os.Chown(v.file, uid, -1); err != nil {
			return nil, err
		}
		at := storage.File{Path: v.file, Format: v.Format, ReadOnly: v.Base || o.ReadOnly}
		if v.Parent != "" {
			base, err := m.find(v.Parent)
			if err != nil {
				return nil, err
			}
			at.Backing = &storage.File{Path: base.file, Format: base.Format, ReadOnly: true}
		}
		return at, nil
	})
}

func (m *Memory) Detach(ctx context.Context, id storage.VolumeID) error {
	_, err := do(ctx, m, "detach", id, func() (struct{}, error) {
		v, err := m.find(id)
		if errors.Is(err, storage.ErrNotFound) {
			return struct{}{}, nil
		}
		if err == nil {
			err = os.Chown(v.file, os.Geteuid(), -1)
		}
		return struct{}{}, err
	})
	return err
}

func (m *Memory) Delete(ctx context.Context, id storage.VolumeID) error {
	_, err := do(ctx, m, "delete", id, func() (struct{}, error) {
		v, err := m.free(id)
		if err != nil {
			return struct{}{}, err
		}
		for _, other := range m.volumes {
			if other.Parent != "" && other.Parent == v.ID {
				return struct{}{}, fmt.Errorf("base of %s: %w", other.ID, storage.ErrInUse)
			}
		}
		return struct{}{}, m.remove(v)
	})
	return err
}

func (m *Memory) Usage(ctx context.Context) (storage.Usage, error) {
	return do(ctx, m, "usage", "", func() (storage.Usage, error) {
		used := m.used()
		return storage.Usage{TotalBytes: m.o.CapacityBytes, UsedBytes: used, AvailBytes: m.o.CapacityBytes - used}, nil
	})
}

var memorySnapshot = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`)
