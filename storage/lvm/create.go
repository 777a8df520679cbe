package lvm

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
)

// Create implements storage.Driver. It takes as long as the device needs for the zeros.
func (d *Driver) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	v, err := d.create(ctx, spec, nil)
	return v, d.fail("create", spec.ID, err)
}

// CreateFilled implements storage.Filler.
func (d *Driver) CreateFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.create(ctx, spec, fill)
	return v, d.fail("create", spec.ID, err)
}

func (d *Driver) create(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.parse(spec.ID)
	if err == nil {
		err = raw(v)
	}
	switch {
	case err != nil:
		return storage.Volume{}, err
	case spec.Format != "" && spec.Format != storage.Raw:
		return storage.Volume{}, fmt.Errorf("format %s: %w", spec.Format, storage.ErrBadID)
	}
	size, err := lvmgroup.RoundUp(spec.SizeBytes, 512) // lvm2 takes sectors, and rounds up to whole extents
	if err != nil {
		return storage.Volume{}, err
	}
	making, err := d.group.LockNew(ctx, v.Name) // one of several makers does the work
	if err != nil {
		return storage.Volume{}, err
	}
	defer making.Unlock()
	if _, err := d.group.Volume(ctx, v.Name); err == nil {
		return storage.Volume{}, storage.ErrExists
	} else if !errors.Is(err, storage.ErrNotFound) {
		return storage.Volume{}, err
	}
	temp := d.group.TempName()
	lock, err := d.group.Lock(ctx, temp)
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	err = d.group.Tool.Change(ctx, "lvcreate", "-ay", "-Wy", "-Zy", "--size", strconv.FormatInt(size, 10)+"b", "--name", temp,
		"--setautoactivation", "n", "--addtag", ownerTag(v.VMID), "--", d.group.Name)
	if err != nil {
		return storage.Volume{}, err
	}
	made, err := d.complete(ctx, temp, fill)
	if err == nil {
		err = d.group.Rename(ctx, temp, v.Name)
	}
	if err != nil {
		ctx, cancel := lvmgroup.CleanUp(ctx)
		defer cancel()
		return storage.Volume{}, errors.Join(err, d.discard(ctx, temp))
	}
	made.Name = v.Name
	f := found{Volume: made, name: v}
	return f.describe(), nil
}

// complete brings a new volume from what its extents held to what it shall hold, and takes its device away.
func (d *Driver) complete(ctx context.Context, temp string, fill func(context.Context, *storage.Image) error) (lvmcmd.Volume, error) {
	lv, err := d.group.Fresh(temp)
	if err != nil {
		return lv, err
	}
	if err := d.zero(ctx, &lv, 0); err != nil {
		return lv, err
	}
	d.step("zeroed")
	if fill == nil {
		return lv, d.group.Deactivate(ctx, temp)
	}
	return lv, d.group.Fill(ctx, &lv, fill)
}

// zero overwrites a volume from an offset on, at full speed.
func (d *Driver) zero(ctx context.Context, lv *lvmcmd.Volume, from int64) error {
	f, err := d.group.Device(ctx, lv)
	if err != nil {
		return err
	}
	err = lvmgroup.Zero(ctx, f, from, lv.SizeBytes, 0, 0)
	return errors.Join(err, f.Close())
}

// discard removes a volume that never was one. What had been written to it is overwritten where that is asked for.
func (d *Driver) discard(ctx context.Context, temp string) error {
	if d.opt.SafeRemove {
		return d.wipe(ctx, temp)
	}
	return d.group.Remove(ctx, temp)
}
