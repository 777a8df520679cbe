package zfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/turtacn/go-proxmox/storage"
)

// Resize implements storage.Resizer. A zvol may be in use: a running QEMU sees the new size after block_resize.
func (d *Driver) Resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	v, err := d.resize(ctx, id, sizeBytes)
	return v, d.fail("resize", id, err)
}

func (d *Driver) resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	v, s, err := d.find(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	size, err := roundUp(sizeBytes, v.subvol())
	switch {
	case err != nil:
		return storage.Volume{}, err
	case v.Base:
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case size < s.size, sizeBytes == 0, s.size == 0 && size > 0:
		return storage.Volume{}, fmt.Errorf("shrink from %d to %d bytes: %w", s.size, sizeBytes, errors.ErrUnsupported)
	}
	if size > s.size {
		if err := d.setSize(ctx, s.name, v.subvol(), size); err != nil {
			return storage.Volume{}, err
		}
	}
	return d.stat(ctx, id)
}

func (d *Driver) setSize(ctx context.Context, name string, subvol bool, size int64) error {
	property := "volsize=" + strconv.FormatInt(size, 10)
	if subvol {
		property = "refquota=" + quota(size)
	}
	_, err := d.tool.run(ctx, "set", property, name)
	return err
}

// Rename implements storage.Renamer. A linked clone stays one of its base: to may name it or not. Base volumes keep their names.
func (d *Driver) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	v, err := d.rename(ctx, id, to)
	return v, d.fail("rename", id, err)
}

func (d *Driver) rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	n, err := d.parse(to)
	if err != nil {
		return storage.Volume{}, err
	}
	v, s, err := d.find(ctx, id)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case v.Base || n.Base:
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case n.subvol() != v.subvol():
		return storage.Volume{}, fmt.Errorf("a volume of format %s as %s: %w", v.Format, to, storage.ErrBadID)
	case n.Linked() && n.BaseName != d.baseOf(s):
		return storage.Volume{}, fmt.Errorf("%s is no clone of %s: %w", v.Name, n.BaseName, storage.ErrBadID)
	}
	if err := d.idle(v, s); err != nil {
		return storage.Volume{}, err
	}
	if _, err := d.tool.run(ctx, "rename", s.name, n.dataset); err != nil {
		return storage.Volume{}, err
	}
	return d.stat(ctx, storage.VolumeID(n.Name))
}
