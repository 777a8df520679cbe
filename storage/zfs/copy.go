package zfs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/turtacn/go-proxmox/storage"
)

// CopyFrom implements storage.Copier between ZFS storages of this machine: zfs send into zfs receive. Progress counts bytes of
// the stream, which holds no holes. The copy is of the size of its source, or larger; subvols keep their quota.
func (d *Driver) CopyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	v, err := d.copyFrom(ctx, spec, src, id, o)
	return v, d.fail("copy", spec.ID, err)
}

func (d *Driver) copyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	from, ok := storage.As[*Driver](src)
	if !ok {
		return storage.Volume{}, errors.ErrUnsupported
	}
	v, size, err := d.planned(spec)
	if err != nil {
		return storage.Volume{}, err
	}
	sv, s, err := from.find(ctx, id)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case sv.subvol() != v.subvol():
		return storage.Volume{}, fmt.Errorf("copy of %s into %s: %w", sv.Format, v.Format, errors.ErrUnsupported)
	case spec.SizeBytes > 0 && size < s.size:
		return storage.Volume{}, fmt.Errorf("copy of %d bytes into %d: %w", s.size, size, errors.ErrUnsupported)
	case spec.SizeBytes == 0 || v.subvol() && s.size == 0:
		size = s.size
	}
	if o.Snapshot != "" {
		if err := checkSnapshot(o.Snapshot); err != nil {
			return storage.Volume{}, err
		}
		all, err := from.snapshots(ctx, s.name)
		if err != nil {
			return storage.Volume{}, err
		}
		if _, err := newer(all, o.Snapshot); err != nil {
			return storage.Volume{}, err
		}
	}
	return d.publish(ctx, v, func(temp string) error {
		return from.withSnapshot(ctx, s.name, o.Snapshot, func(snap string) error {
			if err := d.copyDataset(ctx, from, s.name+"@"+snap, temp, v.subvol(), o); err != nil {
				return err
			}
			if _, err := d.tool.run(ctx, "destroy", temp+"@"+snap); err != nil {
				return err
			}
			return d.finish(ctx, temp, v.subvol(), size)
		})
	})
}

// withSnapshot calls fn with the snapshot called name, or if that is empty with one of the current state, for that time.
func (d *Driver) withSnapshot(ctx context.Context, name, snap string, fn func(snap string) error) error {
	if snap != "" {
		return fn(snap)
	}
	snap = d.maker.Name()
	if _, err := d.tool.run(ctx, "snapshot", name+"@"+snap); err != nil {
		return err
	}
	return errors.Join(fn(snap), d.discard(ctx, name+"@"+snap))
}

// copyDataset sends a snapshot into a new dataset.
func (d *Driver) copyDataset(ctx context.Context, from *Driver, snap, to string, subvol bool, o storage.CopyOptions) error {
	send := []string{"send"}
	if from.tool.pool == d.tool.pool {
		send = append(send, "-Lec") // blocks as they are; another pool may lack the features for that
	}
	t := transfer{from: from.tool, to: d.tool, bytesPerSecond: o.BytesPerSecond}
	var total int64
	if o.Progress != nil {
		out, err := from.tool.run(ctx, slices.Concat(send, []string{"-nvP", snap})...)
		if err != nil {
			return err
		}
		total = estimate(out)
		o.Progress(0, total)
		done := int64(0)
		t.progress = func(n int64) {
			if n = min(n, total); n > done {
				done = n
				o.Progress(done, total)
			}
		}
		send = append(send, "-vP")
	}
	t.send = append(send, snap)
	t.recv = []string{"recv", "-u"}
	if subvol {
		t.recv = append(t.recv, subvolProperties...)
	}
	t.recv = append(t.recv, to)
	if err := t.run(ctx); err != nil {
		return err
	}
	if o.Progress != nil {
		o.Progress(total, total)
	}
	return nil
}

// finish gives a received dataset the size and the reservation that a created one would have.
func (d *Driver) finish(ctx context.Context, name string, subvol bool, size int64) error {
	s, err := d.get(ctx, name)
	if err != nil {
		return err
	}
	if s.size != size {
		if err := d.setSize(ctx, name, subvol, size); err != nil {
			return err
		}
	}
	if subvol || d.opt.Sparse {
		return nil
	}
	_, err = d.tool.run(ctx, "set", "refreservation=auto", name)
	return err
}
