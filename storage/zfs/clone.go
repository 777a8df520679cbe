package zfs

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// BaseID implements storage.Cloner: vm-… becomes base-…, subvol-… basevol-…. A linked clone keeps its link.
func (d *Driver) BaseID(id storage.VolumeID) (storage.VolumeID, error) {
	base, err := d.baseID(id)
	return base, d.fail("make base of", id, err)
}

func (d *Driver) baseID(id storage.VolumeID) (storage.VolumeID, error) {
	if _, err := d.parse(id); err != nil {
		return "", err
	}
	name, err := volid.Storage{Type: "zfspool"}.BaseName(string(id))
	if err != nil {
		return "", fmt.Errorf("%w: %w", storage.ErrBadID, err)
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
	if c, err := d.parse(id); err != nil || !b.Base || c.Base || c.VMID != owner {
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
	baseID, err := d.baseID(id)
	if err != nil {
		return storage.Volume{}, err
	}
	base, err := d.parse(baseID)
	if err != nil {
		return storage.Volume{}, err
	}
	v, s, err := d.find(ctx, id)
	switch {
	case errors.Is(err, storage.ErrNotFound): // perhaps a call that did not live to its end renamed it
		if _, _, e := d.find(ctx, baseID); e != nil {
			return storage.Volume{}, err
		}
	case err != nil:
		return storage.Volume{}, err
	default:
		if err := d.idle(v, s); err != nil {
			return storage.Volume{}, err
		}
		if list, err := d.snapshots(ctx, s.name); err != nil || len(list) > 0 {
			return storage.Volume{}, errors.Join(err, inTheWay(list))
		}
		if _, err := d.tool.run(ctx, "rename", s.name, base.dataset); err != nil {
			return storage.Volume{}, err
		}
	}
	if err := d.freeze(ctx, base.dataset); err != nil {
		return storage.Volume{}, err
	}
	return d.stat(ctx, baseID)
}

// freeze makes a base volume read only and takes the snapshot that linked clones are made of, as far as that was not done.
func (d *Driver) freeze(ctx context.Context, name string) error {
	if _, err := d.tool.run(ctx, "set", "readonly=on", name); err != nil {
		return err
	}
	_, err := d.tool.run(ctx, "snapshot", name+"@"+baseSnapshot)
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	return err
}

// Clone implements storage.Cloner. It takes no space of its own, also where the storage reserves space for other volumes.
func (d *Driver) Clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.clone(ctx, base, id)
	return v, d.fail("clone", id, err)
}

func (d *Driver) clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	n, err := d.parse(id)
	if err != nil {
		return storage.Volume{}, err
	}
	b, s, err := d.find(ctx, base)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case !b.Base || n.Base || n.BaseName != b.Name:
		return storage.Volume{}, fmt.Errorf("not a linked clone of the base volume %s: %w", base, storage.ErrBadID)
	}
	args := []string{"clone", "-o", "readonly=off"}
	if n.subvol() {
		args = append(args, subvolProperties...)
		args = append(args, "-o", "refquota="+quota(s.size))
	}
	args = append(args, s.name+"@"+baseSnapshot, n.dataset)
	_, err = d.tool.run(ctx, args...)
	if errors.Is(err, storage.ErrNotFound) { // of a base that was not frozen to its end
		if err = d.freeze(ctx, s.name); err == nil {
			_, err = d.tool.run(ctx, args...)
		}
	}
	if err != nil {
		return storage.Volume{}, err
	}
	return d.stat(ctx, id)
}
