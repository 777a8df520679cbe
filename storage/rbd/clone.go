package rbd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// BaseID implements storage.Cloner: vm-… becomes base-….
func (d *Driver) BaseID(id storage.VolumeID) (storage.VolumeID, error) {
	name, err := volid.Storage{Type: "rbd"}.BaseName(string(id))
	if err != nil {
		return "", d.fail("make base of", id, fmt.Errorf("%w: %w", storage.ErrBadID, err))
	}
	return storage.VolumeID(name), nil
}

// CloneID implements storage.Cloner: BASE/NAME.
func (d *Driver) CloneID(base storage.VolumeID, owner int, name string) (storage.VolumeID, error) {
	b, err := d.parse(base)
	if err != nil {
		return "", d.fail("clone", base, err)
	}
	id := storage.VolumeID(b.Name + "/" + name)
	if c, err := d.parse(id); err != nil || !b.Base || !c.Linked() || c.Base || c.VMID != owner {
		return "", d.fail("clone", id, fmt.Errorf("no name of a linked clone: %w", storage.ErrBadID))
	}
	return id, nil
}

// MakeBase implements storage.Cloner. A volume with snapshots is ErrInUse.
func (d *Driver) MakeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.makeBase(ctx, id)
	return v, d.fail("make base of", id, err)
}

func (d *Driver) makeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	baseID, err := d.BaseID(id)
	if err != nil {
		return storage.Volume{}, err
	}
	base, err := d.parse(baseID)
	if err != nil {
		return storage.Volume{}, err
	}
	v, _, err := d.find(ctx, id)
	switch {
	case errors.Is(err, storage.ErrNotFound): // perhaps a call that did not live to its end renamed it
		if _, _, e := d.find(ctx, baseID); e != nil {
			return storage.Volume{}, err
		}
	case err != nil:
		return storage.Volume{}, err
	default:
		if err := d.tool.notOpen(ctx, v.Name); err != nil {
			return storage.Volume{}, err
		}
		if s, err := d.tool.snapshots(ctx, v.Name); err != nil || len(s) > 0 {
			return storage.Volume{}, errors.Join(err, when(len(s) > 0, fmt.Errorf("volume has snapshots: %w", storage.ErrInUse)))
		}
		if err := d.rename(ctx, v.Name, base.Name); err != nil {
			return storage.Volume{}, err
		}
	}
	if err := d.freeze(ctx, base.Name); err != nil {
		return storage.Volume{}, err
	}
	return d.stat(ctx, baseID)
}

// freeze makes the snapshot that linked clones are made of, as far as it is not there.
func (d *Driver) freeze(ctx context.Context, image string) error {
	all, err := d.tool.snapshots(ctx, image)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s snapshotInfo) bool { return s.Name == baseSnapshot })
	if i < 0 {
		if err := d.tool.snap(ctx, "create", image, baseSnapshot); err != nil && !errors.Is(err, storage.ErrExists) {
			return err
		}
	} else if all[i].Protected {
		return nil
	}
	if err := d.tool.snap(ctx, "protect", image, baseSnapshot); !errors.Is(err, storage.ErrInUse) { // EBUSY: it is protected
		return err
	}
	return nil
}

// Clone implements storage.Cloner.
func (d *Driver) Clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.clone(ctx, base, id)
	return v, d.fail("clone", id, err)
}

func (d *Driver) clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	from, err := d.parse(base)
	if err != nil {
		return storage.Volume{}, err
	}
	v, err := d.parse(id)
	if err != nil {
		return storage.Volume{}, err
	}
	if !from.Base || v.Base || v.BaseName != from.Name {
		return storage.Volume{}, fmt.Errorf("no linked clone of %s: %w", base, storage.ErrBadID)
	}
	return d.publish(ctx, v, func(temp string) error {
		args := append([]string{"clone"}, d.tool.image(from.Name, baseSnapshot)...)
		_, err := d.tool.rbd(ctx, call{args: slices.Concat(args, d.tool.dest(temp), d.dataPool())})
		return err
	})
}
