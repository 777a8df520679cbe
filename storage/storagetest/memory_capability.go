package storagetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Resize implements storage.Resizer.
func (m *Memory) Resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	return do(ctx, m, "resize", id, func() (storage.Volume, error) {
		v, err := m.claimed(id, Resize)
		if err != nil {
			return storage.Volume{}, err
		}
		if sizeBytes < v.SizeBytes {
			return storage.Volume{}, fmt.Errorf("shrink: %w", errors.ErrUnsupported)
		}
		if sizeBytes > m.o.CapacityBytes {
			return storage.Volume{}, storage.ErrNoSpace
		}
		size := (sizeBytes + m.o.Granule - 1) / m.o.Granule * m.o.Granule
		if err := os.Truncate(v.file, size); err != nil {
			return storage.Volume{}, err
		}
		v.SizeBytes, v.UsedBytes = size, size
		return v.Volume, nil
	})
}

// snapshotCall does fn with a volume that can have snapshots and the place of one, -1 if there is none of that name.
func (m *Memory) snapshotCall(ctx context.Context, op string, id storage.VolumeID, name string, must bool, fn func(v *memoryVolume, at int) error) error {
	_, err := do(ctx, m, op, id, func() (struct{}, error) {
		v, err := m.claimed(id, Snapshot)
		if err != nil {
			return struct{}{}, err
		}
		if !memorySnapshot.MatchString(name) {
			return struct{}{}, fmt.Errorf("snapshot name %q: %w", name, storage.ErrBadID)
		}
		switch at := v.index(name); {
		case must && at < 0:
			return struct{}{}, fmt.Errorf("snapshot %q: %w", name, storage.ErrNotFound)
		case !must && at >= 0:
			return struct{}{}, fmt.Errorf("snapshot %q: %w", name, storage.ErrExists)
		default:
			return struct{}{}, fn(v, at)
		}
	})
	return err
}

// Snapshot implements storage.Snapshotter, as the methods below do.
func (m *Memory) Snapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return m.snapshotCall(ctx, "snapshot", id, name, false, func(v *memoryVolume, _ int) error {
		v.snapshots = append(v.snapshots, storage.Snapshot{Name: name, Created: time.Now()})
		return copyFile(v.snapshot(name), v.file)
	})
}

func (m *Memory) Rollback(ctx context.Context, id storage.VolumeID, name string) error {
	return m.snapshotCall(ctx, "rollback", id, name, true, func(v *memoryVolume, at int) error {
		if at < len(v.snapshots)-1 && !v.claims.Has(RollbackPast) {
			return fmt.Errorf("snapshot %q is not the newest: %w", name, storage.ErrInUse)
		}
		if err := copyFile(v.file, v.snapshot(name)); err != nil {
			return err
		}
		fi, err := os.Stat(v.file)
		if err == nil {
			v.SizeBytes, v.UsedBytes = fi.Size(), fi.Size()
		}
		return err
	})
}

func (m *Memory) DeleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return m.snapshotCall(ctx, "delete snapshot of", id, name, true, func(v *memoryVolume, at int) error {
		v.snapshots = slices.Delete(v.snapshots, at, at+1)
		return os.Remove(v.snapshot(name))
	})
}

func (m *Memory) Snapshots(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	return do(ctx, m, "list snapshots of", id, func() ([]storage.Snapshot, error) {
		v, err := m.find(id)
		if err != nil {
			return nil, err
		}
		return slices.Clone(v.snapshots), nil
	})
}

// BaseID implements storage.Cloner, as the methods below do.
func (m *Memory) BaseID(id storage.VolumeID) (storage.VolumeID, error) {
	name, err := m.names.BaseName(string(id))
	if err != nil {
		return "", m.fail("make base of", id, fmt.Errorf("%w: %w", storage.ErrBadID, err))
	}
	return storage.VolumeID(name), nil
}

func (m *Memory) CloneID(base storage.VolumeID, owner int, name string) (storage.VolumeID, error) {
	p, _, err := m.parse(base)
	if err != nil {
		return "", m.fail("clone", base, err)
	}
	id := storage.VolumeID(volid.Volume{Content: volid.Images, Name: name, VMID: owner, BaseName: p.Name, BaseVMID: p.VMID}.VolumeName(m.o.Type))
	if c, _, err := m.parse(id); err != nil || c.Base {
		return "", m.fail("clone", id, fmt.Errorf("no name of a linked clone: %w", storage.ErrBadID))
	}
	return id, nil
}

func (m *Memory) MakeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	to, err := m.BaseID(id)
	if err != nil {
		return storage.Volume{}, err
	}
	return do(ctx, m, "make base of", id, func() (storage.Volume, error) {
		_, key, err := m.parse(to)
		if err != nil {
			return storage.Volume{}, err
		}
		v, err := m.claimed(id, Clone)
		if base, done := m.volumes[key]; done && errors.Is(err, storage.ErrNotFound) {
			return base.Volume, nil
		} else if done && err == nil {
			return storage.Volume{}, storage.ErrExists
		}
		if err != nil {
			return storage.Volume{}, err
		}
		if len(v.snapshots) > 0 {
			return storage.Volume{}, fmt.Errorf("volume has snapshots: %w", storage.ErrInUse)
		}
		_, old, err := m.parse(id)
		if err != nil {
			return storage.Volume{}, err
		}
		delete(m.volumes, old)
		v.ID, v.Base = to, true
		v.features()
		m.volumes[key] = v
		return v.Volume, os.Chown(v.file, os.Geteuid(), -1)
	})
}

func (m *Memory) Clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	return do(ctx, m, "clone", id, func() (storage.Volume, error) {
		b, err := m.find(base)
		if err != nil {
			return storage.Volume{}, err
		}
		p, _, err := m.parse(id)
		if err != nil {
			return storage.Volume{}, err
		}
		if bp, _, err := m.parse(base); err != nil || !b.Base || p.BaseName != bp.Name {
			return storage.Volume{}, fmt.Errorf("no linked clone of %s: %w", base, storage.ErrBadID)
		}
		v, err := m.make(storage.VolumeSpec{ID: id, SizeBytes: b.SizeBytes})
		if err != nil {
			return storage.Volume{}, err
		}
		v.Parent, v.filling = b.ID, false
		return v.Volume, copyFile(v.file, b.file)
	})
}

// Rename implements storage.Renamer.
func (m *Memory) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	return do(ctx, m, "rename", id, func() (storage.Volume, error) {
		p, key, err := m.parse(to)
		if err != nil {
			return storage.Volume{}, err
		}
		v, err := m.claimed(id, Rename)
		if err != nil {
			return storage.Volume{}, err
		}
		if _, taken := m.volumes[key]; taken {
			return storage.Volume{}, storage.ErrExists
		}
		if storage.Format(p.Format) != v.Format || p.Base {
			return storage.Volume{}, fmt.Errorf("rename to %s: %w", to, storage.ErrBadID)
		}
		_, old, err := m.parse(v.ID)
		if err != nil {
			return storage.Volume{}, err
		}
		delete(m.volumes, old)
		v.ID, v.Owner = to, p.VMID
		m.volumes[key] = v
		return v.Volume, nil
	})
}

// Open implements storage.Opener: raw bytes, whatever the format of the volume says.
func (m *Memory) Open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	return do(ctx, m, "open", id, func() (*storage.Image, error) {
		v, err := m.find(id)
		if err == nil && !v.claims.Has(Open) {
			err = errors.ErrUnsupported
		}
		if err != nil {
			return nil, err
		}
		return openRaw(v.file, write && !v.Base)
	})
}

func openRaw(file string, write bool) (*storage.Image, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(file, flags, 0)
	if err != nil {
		return nil, err
	}
	return &storage.Image{File: f, Format: storage.Raw}, nil
}

// OpenSnapshot implements storage.SnapshotOpener.
func (m *Memory) OpenSnapshot(ctx context.Context, id storage.VolumeID, snapshot string) (*storage.Image, error) {
	return do(ctx, m, "open snapshot of", id, func() (*storage.Image, error) {
		v, err := m.find(id)
		switch {
		case err != nil:
			return nil, err
		case !v.claims.Has(OpenSnapshot):
			return nil, errors.ErrUnsupported
		case !memorySnapshot.MatchString(snapshot):
			return nil, storage.ErrBadID
		case v.index(snapshot) < 0:
			return nil, storage.ErrNotFound
		}
		return openRaw(v.snapshot(snapshot), false)
	})
}

// CreateFilled implements storage.Filler.
func (m *Memory) CreateFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := do(ctx, m, "create", spec.ID, func() (*memoryVolume, error) {
		v, err := m.make(spec)
		if err == nil && !v.claims.Has(Fill) {
			err = errors.Join(errors.ErrUnsupported, m.remove(v))
		}
		return v, err
	})
	if err != nil {
		return storage.Volume{}, err
	}
	if fill != nil {
		var img *storage.Image
		if img, err = openRaw(v.file, true); err == nil {
			err = errors.Join(fill(ctx, img), img.Close())
		}
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return do(context.WithoutCancel(ctx), m, "create", spec.ID, func() (storage.Volume, error) {
		if err != nil {
			return storage.Volume{}, errors.Join(err, m.remove(v))
		}
		v.filling = false
		return v.Volume, nil
	})
}

// CopyFrom implements storage.Copier, between volumes of one Memory.
func (m *Memory) CopyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	from, ok := storage.As[*Memory](src)
	if !ok || from != m {
		return storage.Volume{}, m.fail("copy", spec.ID, fmt.Errorf("from another driver: %w", errors.ErrUnsupported))
	}
	return do(ctx, m, "copy", spec.ID, func() (storage.Volume, error) {
		s, err := m.find(id)
		if err != nil {
			return storage.Volume{}, err
		}
		file := s.file
		switch {
		case !s.claims.Has(Copy), o.Snapshot != "" && !s.claims.Has(CopySnapshot):
			return storage.Volume{}, errors.ErrUnsupported
		case o.Snapshot != "" && s.index(o.Snapshot) < 0:
			return storage.Volume{}, fmt.Errorf("snapshot %q: %w", o.Snapshot, storage.ErrNotFound)
		case o.Snapshot != "":
			file = s.snapshot(o.Snapshot)
		}
		v, err := m.make(storage.VolumeSpec{ID: spec.ID, Format: spec.Format, SizeBytes: s.SizeBytes})
		if err != nil {
			return storage.Volume{}, err
		}
		v.filling = false
		if o.Progress != nil {
			o.Progress(v.SizeBytes, v.SizeBytes)
		}
		return v.Volume, copyFile(v.file, file)
	})
}

// Residue lists what is in the folder of a Memory beside its volumes. See Config.
func (m *Memory) Residue() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []string
	entries, err := os.ReadDir(m.folder)
	if err != nil {
		return []string{err.Error()}
	}
	for _, e := range entries {
		owned := false
		for _, v := range m.volumes {
			owned = owned || strings.HasPrefix(m.folder+"/"+e.Name()+"@", v.file+"@")
		}
		if !owned {
			left = append(left, e.Name())
		}
	}
	return left
}
