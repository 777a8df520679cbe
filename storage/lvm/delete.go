package lvm

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
)

// Delete implements storage.Driver. With Options.SafeRemove the volume is no longer listed when overwriting it begins; a call
// that is cancelled then leaves the rest to Sweep.
func (d *Driver) Delete(ctx context.Context, id storage.VolumeID) error {
	return d.fail("delete", id, d.delete(ctx, id))
}

func (d *Driver) delete(ctx context.Context, id storage.VolumeID) error {
	f, lock, err := d.enter(ctx, id)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if !d.opt.SafeRemove {
		if err := d.group.Idle(ctx, f.Name); err != nil {
			return err
		}
		if err := d.group.Remove(ctx, f.Name); err != nil {
			return err
		}
		return d.group.Forget(f.Name)
	}
	if err := d.group.Detach(ctx, f.Name); err != nil {
		return err
	}
	if err := d.group.Tool.Change(ctx, "lvchange", "--addtag", wipeTag+d.group.Machine(), "--", d.group.LV(f.Name)); err != nil {
		return err
	}
	gone := delPrefix + f.Name
	wiping, err := d.group.Lock(ctx, gone)
	if err != nil {
		return err
	}
	defer func() { wiping.Unlock() }()
	err = d.group.Rename(ctx, f.Name, gone)
	if errors.Is(err, storage.ErrExists) { // an earlier volume of that name is not overwritten yet
		gone += "." + rand.Text()[:6]
		wiping.Unlock()
		if wiping, err = d.group.Lock(ctx, gone); err == nil {
			err = d.group.Rename(ctx, f.Name, gone)
		}
	}
	if err != nil {
		return err
	}
	return d.wipe(ctx, gone)
}

// wipe overwrites a volume and removes it. The caller has its lock.
func (d *Driver) wipe(ctx context.Context, name string) error {
	lv, err := d.group.Volume(ctx, name)
	if err != nil {
		return err
	}
	f, err := d.group.Device(ctx, &lv)
	if err != nil {
		return err
	}
	step, rate := int64(1<<20), d.opt.RemoveBytesPerSecond
	if most := lvmgroup.ZeroesItself(f); most > 0 {
		step, rate = max(512, min(d.opt.RemoveStepBytes, most/512*512)), 0
	}
	err = lvmgroup.Zero(ctx, f, 0, lv.SizeBytes, step, rate)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	d.step("wiped")
	return d.group.Remove(ctx, name)
}

// Sweep implements storage.Sweeper: what this machine made and did not complete is removed, what it began to overwrite is
// overwritten and removed. What other machines left is theirs.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	list, err := d.group.Volumes(ctx)
	if err != nil {
		return 0, d.fail("sweep", "", err)
	}
	n := 0
	var errs []error
	for i := range list {
		lock, ok := d.abandoned(&list[i])
		if !ok {
			continue
		}
		switch err := d.sweep(ctx, &list[i]); {
		case err == nil:
			n++
		case !errors.Is(err, storage.ErrNotFound):
			errs = append(errs, err)
		}
		lock.Unlock()
	}
	return n, d.fail("sweep", "", errors.Join(errs...))
}

// abandoned returns the lock of a volume that nobody works on any more.
func (d *Driver) abandoned(lv *lvmcmd.Volume) (*lvmgroup.Lock, bool) {
	if strings.HasPrefix(lv.Name, delPrefix) && slices.Contains(lv.Tags, wipeTag+d.group.Machine()) {
		return d.group.TryLock(lv.Name)
	}
	return d.group.Abandoned(lv.Name)
}

func (d *Driver) sweep(ctx context.Context, lv *lvmcmd.Volume) error {
	if strings.HasPrefix(lv.Name, delPrefix) {
		return d.wipe(ctx, lv.Name)
	}
	return d.discard(ctx, lv.Name)
}
