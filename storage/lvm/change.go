package lvm

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
)

// Resize implements storage.Resizer, also while a guest uses the volume: its QEMU must then be told (block_resize). Until what
// the volume grew by is zero it is listed with its old size; a call that did not get so far is completed by the next one, or
// when the volume is attached.
func (d *Driver) Resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	v, err := d.resize(ctx, id, sizeBytes)
	return v, d.fail("resize", id, err)
}

func (d *Driver) resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	f, lock, err := d.enter(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	if err := raw(f.name); err != nil {
		return storage.Volume{}, err
	}
	size, err := lvmgroup.RoundUp(sizeBytes, f.ExtentBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	now, grown := f.size()
	if size < now || sizeBytes == 0 {
		return storage.Volume{}, fmt.Errorf("shrink from %d to %d bytes: %w", now, sizeBytes, errors.ErrUnsupported)
	}
	target := d.group.LV(f.Name)
	if grown && size > now {
		tag := growTag + strconv.FormatInt(now, 10)
		if err := d.group.Tool.Change(ctx, "lvchange", "--addtag", tag, "--", target); err != nil {
			return storage.Volume{}, err
		}
		f.Tags = append(f.Tags, tag)
	}
	if size != f.SizeBytes { // smaller than it is only where nobody has seen the rest yet
		verb := "lvextend"
		if size < f.SizeBytes {
			verb = "lvreduce"
		}
		if err := d.group.Tool.Change(ctx, verb, "--size", strconv.FormatInt(size, 10)+"b", "--", target); err != nil {
			if !grown || size < now {
				return storage.Volume{}, err
			}
			ctx, cancel := lvmgroup.CleanUp(ctx)
			defer cancel()
			return storage.Volume{}, errors.Join(err, d.settle(ctx, &f))
		}
		f.SizeBytes = size
	}
	if err := d.settle(ctx, &f); err != nil {
		return storage.Volume{}, err
	}
	return f.describe(), nil
}

// settle completes the growth of a volume.
func (d *Driver) settle(ctx context.Context, f *found) error {
	size, grown := f.size()
	if grown {
		return nil
	}
	if size < f.SizeBytes {
		if err := d.zero(ctx, &f.Volume, size); err != nil {
			return err
		}
		d.step("zeroed")
		if !f.Active() {
			if err := d.group.Deactivate(ctx, f.Name); err != nil {
				return err
			}
		}
	}
	if err := d.group.Tool.Change(ctx, "lvchange", "--deltag", growTag+strconv.FormatInt(size, 10), "--", d.group.LV(f.Name)); err != nil {
		return err
	}
	f.Tags = nil
	return nil
}

// Rename implements storage.Renamer.
func (d *Driver) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	v, err := d.rename(ctx, id, to)
	return v, d.fail("rename", id, err)
}

func (d *Driver) rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	n, err := d.parse(to)
	if err == nil {
		err = raw(n)
	}
	if err != nil {
		return storage.Volume{}, err
	}
	v, err := d.parse(id)
	if err != nil {
		return storage.Volume{}, err
	}
	lock, err := d.group.Lock(ctx, v.Name)
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	list, err := d.group.Volumes(ctx) // both names by one report
	if err != nil {
		return storage.Volume{}, err
	}
	var f found
	have, taken := false, v.Name == n.Name
	for i := range list {
		switch list[i].Name {
		case v.Name:
			f, have = d.ours(&list[i])
		case n.Name:
			taken = true
		}
	}
	switch {
	case !have:
		return storage.Volume{}, storage.ErrNotFound
	case raw(v) != nil:
		return storage.Volume{}, raw(v)
	case taken:
		return storage.Volume{}, storage.ErrExists
	}
	if err := d.group.Detach(ctx, v.Name); err != nil {
		return storage.Volume{}, err
	}
	if err := d.retag(ctx, &f, v.VMID, n.VMID); err != nil {
		return storage.Volume{}, err
	}
	if err := d.group.Rename(ctx, v.Name, n.Name); err != nil {
		ctx, cancel := lvmgroup.CleanUp(ctx)
		defer cancel()
		return storage.Volume{}, errors.Join(err, d.retag(ctx, &f, n.VMID, v.VMID))
	}
	f.Name, f.name = n.Name, n
	return f.describe(), nil
}

// retag says that a volume is another guest's, so that it is always somebody's. A call that ends here can be repeated.
func (d *Driver) retag(ctx context.Context, f *found, from, to int) error {
	if from == to {
		return nil
	}
	return d.group.Tool.Change(ctx, "lvchange", "--addtag", ownerTag(to), "--deltag", ownerTag(from), "--", d.group.LV(f.Name))
}
