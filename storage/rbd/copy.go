package rbd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/storage"
)

// CopyFrom implements storage.Copier for two pools of one cluster that the same user reaches. It has no limit of speed: with
// one, the bytes must be copied otherwise.
func (d *Driver) CopyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	v, err := d.copyFrom(ctx, spec, src, id, o)
	return v, d.fail("copy", spec.ID, err)
}

func (d *Driver) copyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	from, ok := storage.As[*Driver](src)
	if !ok || !d.sameCluster(from) || o.BytesPerSecond > 0 {
		return storage.Volume{}, errors.ErrUnsupported
	}
	v, err := d.newVolume(spec)
	if err != nil {
		return storage.Volume{}, err
	}
	size, err := roundUp(spec.SizeBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	source, i, err := from.find(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	if o.Snapshot != "" {
		if i, err = from.tool.info(ctx, source.Name, o.Snapshot); err != nil {
			return storage.Volume{}, err
		}
	} else if err := from.tool.notOpen(ctx, source.Name); err != nil {
		return storage.Volume{}, err
	}
	if spec.SizeBytes > 0 && size < i.Size {
		return storage.Volume{}, fmt.Errorf("copy of %d bytes into %d: %w", i.Size, size, errors.ErrUnsupported)
	}
	if err := d.vacant(ctx, v.Name); err != nil {
		return storage.Volume{}, err
	}
	return d.publish(ctx, v, func(temp string) error {
		args := slices.Concat([]string{"cp"}, from.tool.image(source.Name, o.Snapshot), d.tool.dest(temp), d.dataPool())
		c := call{args: args}
		if o.Progress != nil {
			c.progress = func(percent int64) {
				if percent == 100 {
					o.Progress(i.Size, i.Size)
				} else {
					o.Progress(i.Size/100*percent, i.Size)
				}
			}
		}
		if _, err := d.tool.rbd(ctx, c); err != nil || size <= i.Size {
			return err
		}
		grow := append([]string{"resize", "--no-progress", "--size", strconv.FormatInt(size>>20, 10) + "M"}, d.tool.image(temp, "")...)
		_, err := d.tool.rbd(ctx, call{args: grow})
		return err
	})
}

// sameCluster reports whether both drivers connect in the same way.
func (d *Driver) sameCluster(other *Driver) bool {
	a, err := d.conf.text(d.opt.Keyring)
	if err != nil {
		return false
	}
	b, err := other.conf.text(other.opt.Keyring)
	return err == nil && a == b && d.opt.User == other.opt.User
}
