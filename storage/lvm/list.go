package lvm

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// found is one of the storage's volumes.
type found struct {
	lvmcmd.Volume
	name volid.Volume
}

// whole lists the types of volumes that stand for themselves: linear, mirrored, RAID.
const whole = "-mMrR"

// ours tells whether a logical volume is one of the storage's.
func (d *Driver) ours(lv *lvmcmd.Volume) (found, bool) {
	v, err := d.parse(storage.VolumeID(lv.Name))
	if err != nil || strings.IndexByte(whole, lv.Type()) < 0 {
		return found{}, false
	}
	if d.opt.TaggedOnly && !slices.ContainsFunc(lv.Tags, func(t string) bool { return strings.HasPrefix(t, ownerPrefix) }) {
		return found{}, false
	}
	return found{Volume: *lv, name: v}, true
}

// find reads one volume. storage.ErrNotFound.
func (d *Driver) find(ctx context.Context, id storage.VolumeID) (found, error) {
	v, err := d.parse(id)
	if err != nil {
		return found{}, err
	}
	lv, err := d.group.Volume(ctx, v.Name)
	if err != nil {
		return found{}, err
	}
	f, ok := d.ours(&lv)
	if !ok {
		return found{}, storage.ErrNotFound
	}
	return f, nil
}

// enter is find with the volume's lock.
func (d *Driver) enter(ctx context.Context, id storage.VolumeID) (found, *lvmgroup.Lock, error) {
	v, err := d.parse(id)
	if err != nil {
		return found{}, nil, err
	}
	lock, err := d.group.Lock(ctx, v.Name)
	if err != nil {
		return found{}, nil, err
	}
	f, err := d.find(ctx, id)
	if err != nil {
		lock.Unlock()
		return found{}, nil, err
	}
	return f, lock, nil
}

// size is what a guest sees. grown is false while what lies beyond is not ready.
func (f *found) size() (bytes int64, grown bool) {
	for _, t := range f.Tags {
		if text, ok := strings.CutPrefix(t, growTag); ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && n <= f.SizeBytes {
				return n, false
			}
		}
	}
	return f.SizeBytes, true
}

func (f *found) describe() storage.Volume {
	size, _ := f.size()
	v := storage.Volume{
		ID: storage.VolumeID(f.Name), Content: storage.Images, Format: storage.Format(f.name.Format), Owner: f.name.VMID,
		SizeBytes: size, Created: f.Created,
	}
	if v.Format == storage.Raw {
		v.Features = storage.FeatureCopy | storage.FeatureResize | storage.FeatureRename | storage.FeatureSparseInit
	}
	return v
}

// Stat implements storage.Driver.
func (d *Driver) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	f, err := d.find(ctx, id)
	if err != nil {
		return storage.Volume{}, d.fail("stat", id, err)
	}
	return f.describe(), nil
}

// List implements storage.Driver, by one report.
func (d *Driver) List(ctx context.Context, filter storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		list, err := d.group.Volumes(ctx)
		if err != nil {
			yield(storage.Volume{}, d.fail("list", "", err))
			return
		}
		for i := range list {
			f, ok := d.ours(&list[i])
			if !ok {
				continue
			}
			if v := f.describe(); filter.Match(&v) && !yield(v, nil) {
				return
			}
		}
	}
}
