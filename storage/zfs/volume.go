package zfs

import (
	"context"
	"iter"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// Stat implements storage.Driver. UsedBytes is what the volume itself takes, without its snapshots and what is reserved for it.
// The size of a subvol is its quota, 0 if it has none.
func (d *Driver) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.stat(ctx, id)
	return v, d.fail("stat", id, err)
}

func (d *Driver) stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	_, s, err := d.find(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	v, _ := d.describe(s)
	return v, nil
}

// describe makes a volume of a dataset; false if it is none.
func (d *Driver) describe(s dataset) (storage.Volume, bool) {
	name, ok := strings.CutPrefix(s.name, d.dataset+"/")
	if !ok {
		return storage.Volume{}, false
	}
	n, err := d.parse(storage.VolumeID(name))
	if err != nil || n.Linked() || s.zvol == n.subvol() {
		return storage.Volume{}, false
	}
	v := storage.Volume{
		ID: storage.VolumeID(name), Content: storage.Images, Format: storage.Format(n.Format), Owner: n.VMID,
		SizeBytes: s.size, UsedBytes: s.used, Base: n.Base, Backing: s.origin, Created: s.created,
		Features: storage.FeatureCopy | storage.FeatureSparseInit,
	}
	if base := d.baseOf(s); base != "" {
		linked := storage.VolumeID(base + "/" + name)
		if _, err := d.parse(linked); err == nil {
			v.ID, v.Parent = linked, storage.VolumeID(base)
		}
	}
	if v.Base {
		v.Features |= storage.FeatureClone
	} else {
		v.Features |= storage.FeatureSnapshot | storage.FeatureTemplate | storage.FeatureResize | storage.FeatureRename
	}
	return v, true
}

// List implements storage.Driver: one command however many volumes there are.
func (d *Driver) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		out, err := d.tool.run(ctx, "list", "-Hp", "-d", "1", "-t", "filesystem,volume", "-o", columns, d.dataset)
		if err != nil {
			yield(storage.Volume{}, d.fail("list", "", unavailable(err)))
			return
		}
		more := true
		err = rows(out, func(line string) error {
			if !more {
				return nil
			}
			s, err := parseDataset(line)
			if err != nil {
				return err
			}
			if v, ok := d.describe(s); ok && f.Match(&v) {
				more = yield(v, nil)
			}
			return nil
		})
		if err != nil && more {
			yield(storage.Volume{}, d.fail("list", "", err))
		}
	}
}
