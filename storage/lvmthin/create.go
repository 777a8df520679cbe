package lvmthin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Create implements storage.Driver: one command, so there is nothing unfinished at any moment.
func (d *Driver) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	v, err := d.create(ctx, spec, nil)
	return v, d.fail("create", spec.ID, err)
}

// CreateFilled implements storage.Filler. A fill under which the pool runs full is given up with storage.ErrNoSpace.
func (d *Driver) CreateFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.create(ctx, spec, fill)
	return v, d.fail("create", spec.ID, err)
}

func (d *Driver) create(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.parse(spec.ID)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case spec.Format != "" && spec.Format != storage.Raw:
		return storage.Volume{}, fmt.Errorf("format %s: %w", spec.Format, storage.ErrBadID)
	}
	making, err := d.group.LockNew(ctx, v.Name) // one of several makers does the work
	if err != nil {
		return storage.Volume{}, err
	}
	defer making.Unlock()
	c, err := d.look(ctx)
	if err != nil {
		return storage.Volume{}, err
	}
	if c.all[v.Name] != nil {
		return storage.Volume{}, storage.ErrExists
	}
	size, err := lvmgroup.RoundUp(spec.SizeBytes, c.pool.ExtentBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	if err := d.room(ctx, &c.pool); err != nil {
		return storage.Volume{}, err
	}
	if fill == nil {
		if err := d.make(ctx, v.Name, size, "-an"); err != nil {
			return storage.Volume{}, err
		}
	} else if err := d.fill(ctx, v.Name, size, fill); err != nil {
		return storage.Volume{}, err
	}
	return made(v, size), nil
}

// made describes a volume that was just made.
func made(v volid.Volume, size int64) storage.Volume {
	out := storage.Volume{
		ID: storage.VolumeID(v.Name), Content: storage.Images, Format: storage.Raw, Owner: v.VMID, SizeBytes: size, Base: v.Base,
		Created: time.Now().Truncate(time.Second), Features: storage.FeatureCopy | storage.FeatureSparseInit,
	}
	if v.Base {
		out.Features |= storage.FeatureClone
	} else {
		out.Features |= storage.FeatureSnapshot | storage.FeatureResize | storage.FeatureTemplate | storage.FeatureRename
	}
	return out
}

// make makes an empty volume, active or not as args say. storage.ErrExists.
func (d *Driver) make(ctx context.Context, name string, size int64, args ...string) error {
	args = append(args, "-ky", "-V", strconv.FormatInt(size, 10)+"b", "--name", name, "--thinpool", d.group.LV(d.pool))
	return d.group.Tool.Change(ctx, "lvcreate", args...)
}

// fill makes a volume under a temporary name and gives it its own when it is whole. After an error nothing remains.
func (d *Driver) fill(ctx context.Context, name string, size int64, fill func(context.Context, *storage.Image) error) error {
	temp := d.group.TempName()
	lock, err := d.group.Lock(ctx, temp)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := d.make(ctx, temp, size, "-ay", "-K"); err != nil {
		return err
	}
	d.step("made")
	if err = d.watched(ctx, temp, fill); err == nil {
		d.step("filled")
		err = d.group.Rename(ctx, temp, name)
	}
	if err != nil {
		ctx, cancel := lvmgroup.CleanUp(ctx)
		defer cancel()
		return errors.Join(err, d.group.Remove(ctx, temp))
	}
	d.step("renamed")
	return nil
}

// watched fills a volume, and looks at the pool meanwhile.
func (d *Driver) watched(ctx context.Context, temp string, fill func(context.Context, *storage.Image) error) error {
	lv, err := d.group.Fresh(temp)
	if err != nil {
		return err
	}
	work, give := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { d.watch(work, give) })
	err = d.group.Fill(work, &lv, fill)
	full := context.Cause(work)
	give(nil)
	wg.Wait()
	if err == nil || ctx.Err() != nil {
		return err
	}
	if full == nil { // a write that found no space may say no more than that it failed
		if pool, e := d.group.Volume(ctx, d.pool); e == nil {
			full = d.full(&pool)
		}
	}
	if full != nil && !errors.Is(err, storage.ErrNoSpace) {
		err = errors.Join(full, err)
	}
	return err
}

// watch ends the work with storage.ErrNoSpace as soon as the pool is full.
func (d *Driver) watch(work context.Context, give context.CancelCauseFunc) {
	tick := time.NewTicker(d.opt.WatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-work.Done():
			return
		case <-tick.C:
		}
		if lv, err := d.group.Volume(work, d.pool); err == nil {
			if err := d.full(&lv); err != nil {
				give(err)
				return
			}
		}
	}
}
