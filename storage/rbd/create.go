package rbd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

const (
	granule  = 1 << 20 // sizes are multiples of it
	maxBytes = 1 << 60
	// cleanUpTime bounds what is undone after a context has ended. A program that was killed has its image open for another
	// half minute, until the cluster misses its heartbeats.
	cleanUpTime = 90 * time.Second
)

func roundUp(size int64) (int64, error) {
	if size < 0 || size > maxBytes {
		return 0, fmt.Errorf("size of %d bytes: %w", size, storage.ErrBadID)
	}
	return max(granule, (size+granule-1)/granule*granule), nil
}

// Create implements storage.Driver.
func (d *Driver) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	v, err := d.create(ctx, spec, nil)
	return v, d.fail("create", spec.ID, err)
}

// CreateFilled implements storage.Filler: fill gets an image without a file.
func (d *Driver) CreateFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.create(ctx, spec, fill)
	return v, d.fail("create", spec.ID, err)
}

func (d *Driver) create(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.newVolume(spec)
	if err != nil {
		return storage.Volume{}, err
	}
	size, err := roundUp(spec.SizeBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	if fill != nil { // so much work is not begun for a name that is taken
		if err := d.vacant(ctx, v.Name); err != nil {
			return storage.Volume{}, err
		}
	}
	return d.publish(ctx, v, func(temp string) error {
		args := append([]string{"create", "--image-format", "2", "--size", strconv.FormatInt(size>>20, 10) + "M"}, d.dataPool()...)
		if _, err := d.tool.rbd(ctx, call{args: append(args, d.tool.image(temp, "")...)}); err != nil || fill == nil {
			return err
		}
		img, err := d.remote(temp, "")
		if err != nil {
			return err
		}
		return fill(ctx, img)
	})
}

// newVolume reads the id of a volume to be made that is no linked clone.
func (d *Driver) newVolume(spec storage.VolumeSpec) (volid.Volume, error) {
	v, err := d.parse(spec.ID)
	switch {
	case err != nil:
		return v, err
	case v.Linked():
		return v, fmt.Errorf("id of a linked clone: %w", storage.ErrBadID)
	case spec.Format != "" && spec.Format != storage.Raw:
		return v, fmt.Errorf("format %s: %w", spec.Format, storage.ErrBadID)
	}
	return v, nil
}

func (d *Driver) dataPool() []string {
	if d.opt.DataPool == "" {
		return nil
	}
	return []string{"--data-pool", d.opt.DataPool}
}

// publish lets fn make an image under a temporary name and gives it the volume's name when it is whole. After an error, or if
// the name is taken, nothing remains.
func (d *Driver) publish(ctx context.Context, v volid.Volume, fn func(temp string) error) (storage.Volume, error) {
	temp := d.maker.Name()
	err := fn(temp)
	var made storage.Volume
	if err == nil {
		made, err = d.place(ctx, temp, v.Name)
	}
	if err != nil {
		return storage.Volume{}, errors.Join(err, d.cleanUp(ctx, temp))
	}
	return made, nil
}

func (d *Driver) vacant(ctx context.Context, name string) error {
	_, err := d.tool.info(ctx, name, "")
	switch {
	case err == nil:
		return storage.ErrExists
	case errors.Is(err, storage.ErrNotFound):
		return nil
	}
	return err
}

// place gives a finished image its name: ErrExists if it is taken. Ceph's renaming looks and then takes the name, in two steps:
// so one at a time here, and a look afterwards at whose image it became, for other machines.
func (d *Driver) place(ctx context.Context, temp, name string) (storage.Volume, error) {
	before, err := d.tool.info(ctx, temp, "")
	if err != nil {
		return storage.Volume{}, err
	}
	d.placing.Lock()
	defer d.placing.Unlock()
	if err := d.rename(ctx, temp, name); err != nil {
		return storage.Volume{}, err
	}
	i, err := d.tool.info(ctx, name, "")
	if err != nil {
		return storage.Volume{}, err
	}
	if i.ID != before.ID {
		return storage.Volume{}, storage.ErrExists
	}
	v, _ := d.describe(i)
	return v, nil
}

// cleanUp removes an unfinished image, waiting for the program that was making it.
func (d *Driver) cleanUp(ctx context.Context, temp string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	for {
		err := d.drop(ctx, temp)
		switch {
		case err == nil, errors.Is(err, storage.ErrNotFound):
			return nil
		case !errors.Is(err, storage.ErrInUse):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// rename gives an image another name, in one step for all who look. ErrExists.
func (d *Driver) rename(ctx context.Context, from, to string) error {
	_, err := d.tool.rbd(ctx, call{args: append(append([]string{"mv"}, d.tool.image(from, "")...), d.tool.dest(to)...)})
	return err
}

// Rename implements storage.Renamer.
func (d *Driver) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	v, err := d.renameVolume(ctx, id, to)
	return v, d.fail("rename", id, err)
}

func (d *Driver) renameVolume(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	n, err := d.parse(to)
	if err != nil {
		return storage.Volume{}, err
	}
	v, i, err := d.find(ctx, id)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case v.Base || n.Base:
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case n.Linked() && n.BaseName != d.baseOf(i):
		return storage.Volume{}, fmt.Errorf("%s is no clone of %s: %w", v.Name, n.BaseName, storage.ErrBadID)
	}
	if err := d.tool.notOpen(ctx, v.Name); err != nil {
		return storage.Volume{}, err
	}
	if err := d.rename(ctx, v.Name, n.Name); err != nil {
		return storage.Volume{}, err
	}
	return d.stat(ctx, storage.VolumeID(n.Name))
}

// Resize implements storage.Resizer.
func (d *Driver) Resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	v, err := d.resize(ctx, id, sizeBytes)
	return v, d.fail("resize", id, err)
}

func (d *Driver) resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	size, err := roundUp(sizeBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	v, i, err := d.find(ctx, id)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case v.Base:
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case size < i.Size:
		return storage.Volume{}, fmt.Errorf("shrink from %d to %d bytes: %w", i.Size, size, errors.ErrUnsupported)
	}
	if err := d.tool.notOpen(ctx, v.Name); err != nil { // its QEMU must do it, or would not know
		return storage.Volume{}, err
	}
	if size > i.Size {
		args := append([]string{"resize", "--no-progress", "--size", strconv.FormatInt(size>>20, 10) + "M"}, d.tool.image(v.Name, "")...)
		if _, err := d.tool.rbd(ctx, call{args: args}); err != nil {
			return storage.Volume{}, err
		}
	}
	return d.stat(ctx, id)
}

// Delete implements storage.Driver. A base volume with linked clones is ErrInUse, and so is a snapshot that was cloned.
func (d *Driver) Delete(ctx context.Context, id storage.VolumeID) error {
	return d.fail("delete", id, d.delete(ctx, id))
}

func (d *Driver) delete(ctx context.Context, id storage.VolumeID) error {
	v, err := d.parse(id)
	if err == nil && v.Linked() {
		_, _, err = d.find(ctx, id)
	}
	if err != nil {
		return err
	}
	snapshots, err := d.tool.snapshots(ctx, v.Name)
	if err != nil {
		return err
	}
	if len(snapshots) > 0 { // without any, rm itself looks first
		if err := d.tool.notOpen(ctx, v.Name); err != nil {
			return err
		}
	}
	for _, s := range snapshots { // before anything is lost
		if children, err := d.tool.children(ctx, v.Name, s.Name); err != nil || children > 0 {
			return errors.Join(err, when(children > 0, storage.ErrInUse))
		}
	}
	for _, s := range snapshots {
		if err := d.tool.removeSnapshot(ctx, v.Name, s); err != nil {
			return err
		}
	}
	return d.drop(ctx, v.Name)
}

func when(cond bool, err error) error {
	if cond {
		return err
	}
	return nil
}
