package lvmthin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
)

// enter takes the lock of a volume and reads the pool; a roll back of the volume that somebody did not live to complete is
// completed. The volume itself may not be there.
func (d *Driver) enter(ctx context.Context, name string) (*content, *lvmgroup.Lock, error) {
	lock, err := d.group.Lock(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	c, err := d.look(ctx)
	if err == nil && c.all[rollPrefix+name] != nil {
		if err = d.roll(ctx, c, name); err == nil {
			c, err = d.look(ctx)
		}
	}
	if err != nil {
		lock.Unlock()
		return nil, nil, err
	}
	return c, lock, nil
}

// volume is enter for a volume that must be there.
func (d *Driver) volume(ctx context.Context, id storage.VolumeID) (*content, *lvmcmd.Volume, *lvmgroup.Lock, error) {
	v, err := d.parse(id)
	if err != nil {
		return nil, nil, nil, err
	}
	c, lock, err := d.enter(ctx, v.Name)
	if err != nil {
		return nil, nil, nil, err
	}
	lv, err := c.find(v.Name)
	if err != nil {
		lock.Unlock()
		return nil, nil, nil, err
	}
	return c, lv, lock, nil
}

// Resize implements storage.Resizer, also while a guest uses the volume: its QEMU must then be told (block_resize).
func (d *Driver) Resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	v, err := d.resize(ctx, id, sizeBytes)
	return v, d.fail("resize", id, err)
}

func (d *Driver) resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	c, lv, lock, err := d.volume(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	size, err := lvmgroup.RoundUp(sizeBytes, lv.ExtentBytes)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case c.volumes[lv.Name].Base:
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case size < lv.SizeBytes || sizeBytes == 0:
		return storage.Volume{}, fmt.Errorf("shrink from %d to %d bytes: %w", lv.SizeBytes, sizeBytes, errors.ErrUnsupported)
	}
	if size > lv.SizeBytes {
		if err := d.room(ctx, &c.pool); err != nil {
			return storage.Volume{}, err
		}
		if err := d.group.Tool.Change(ctx, "lvextend", "--size", strconv.FormatInt(size, 10)+"b", "--", d.group.LV(lv.Name)); err != nil {
			return storage.Volume{}, err
		}
		lv.SizeBytes = size
	}
	return c.describe(lv.Name), nil
}

// Rename implements storage.Renamer. A volume with snapshots, which are called after it, is storage.ErrInUse.
func (d *Driver) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	v, err := d.rename(ctx, id, to)
	return v, d.fail("rename", id, err)
}

func (d *Driver) rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	n, err := d.parse(to)
	if err != nil {
		return storage.Volume{}, err
	}
	c, lv, lock, err := d.volume(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	switch {
	case c.volumes[lv.Name].Base || n.Base:
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case c.all[n.Name] != nil:
		return storage.Volume{}, storage.ErrExists
	}
	if err := d.movable(ctx, c, lv); err != nil {
		return storage.Volume{}, err
	}
	from := lv.Name
	if err := d.group.Rename(ctx, from, n.Name); err != nil {
		return storage.Volume{}, err
	}
	v := made(n, lv.SizeBytes)
	v.Created = lv.Created
	return v, nil
}

// movable returns the error of a volume whose name cannot change, and takes the device of any other away.
func (d *Driver) movable(ctx context.Context, c *content, lv *lvmcmd.Volume) error {
	if n := len(c.snapshots[lv.Name]); n > 0 {
		return fmt.Errorf("volume has %d snapshots: %w", n, storage.ErrInUse)
	}
	return d.group.Detach(ctx, lv.Name)
}

// Delete implements storage.Driver. Linked clones live on: they share data, but do not depend on their base.
func (d *Driver) Delete(ctx context.Context, id storage.VolumeID) error {
	return d.fail("delete", id, d.delete(ctx, id))
}

func (d *Driver) delete(ctx context.Context, id storage.VolumeID) error {
	c, lv, lock, err := d.volume(ctx, id)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	var names []string
	for _, s := range append(append([]*lvmcmd.Volume(nil), c.snapshots[lv.Name]...), lv) { // the volume is the last to go
		if err := d.group.Idle(ctx, s.Name); err != nil {
			return err
		}
		names = append(names, s.Name)
	}
	if err := d.group.Remove(ctx, names...); err != nil {
		return err
	}
	return d.group.Forget(lv.Name)
}

// Sweep implements storage.Sweeper: volumes whose maker on this machine is gone are removed, roll backs that nobody completes
// are completed.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	c, err := d.look(ctx)
	if err != nil {
		return 0, d.fail("sweep", "", err)
	}
	n := 0
	var errs []error
	for name := range c.all {
		done, err := d.sweep(ctx, name)
		if done {
			n++
		}
		errs = append(errs, err)
	}
	return n, d.fail("sweep", "", errors.Join(errs...))
}

func (d *Driver) sweep(ctx context.Context, name string) (bool, error) {
	if to, ok := strings.CutPrefix(name, rollPrefix); ok {
		lock, free := d.group.TryLock(to)
		if !free {
			return false, nil
		}
		defer lock.Unlock()
		c, err := d.look(ctx)
		if err != nil || c.all[name] == nil {
			return false, err
		}
		err = d.roll(ctx, c, to)
		return err == nil, err
	}
	lock, ok := d.group.Abandoned(name)
	if !ok {
		return false, nil
	}
	defer lock.Unlock()
	err := d.group.Remove(ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
