package lvmthin

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// BaseID implements storage.Cloner: vm-… becomes base-….
func (d *Driver) BaseID(id storage.VolumeID) (storage.VolumeID, error) {
	b, err := d.baseID(id)
	return b, d.fail("make base of", id, err)
}

func (d *Driver) baseID(id storage.VolumeID) (storage.VolumeID, error) {
	if _, err := d.parse(id); err != nil {
		return "", err
	}
	name, err := volid.Storage{Type: "lvmthin"}.BaseName(string(id))
	if err != nil {
		return "", fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	_, err = d.parse(storage.VolumeID(name))
	return storage.VolumeID(name), err
}

// CloneID implements storage.Cloner: the name alone; it does not say of what it is a clone.
func (d *Driver) CloneID(base storage.VolumeID, owner int, name string) (storage.VolumeID, error) {
	b, err := d.parse(base)
	if err == nil {
		var v volid.Volume
		if v, err = d.parse(storage.VolumeID(name)); err == nil && (!b.Base || v.Base || v.VMID != owner) {
			err = fmt.Errorf("%s for a clone of %s: %w", name, base, storage.ErrBadID)
		}
	}
	if err != nil {
		return "", d.fail("clone", base, err)
	}
	return storage.VolumeID(name), nil
}

// MakeBase implements storage.Cloner. A volume with snapshots is storage.ErrInUse.
func (d *Driver) MakeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.makeBase(ctx, id)
	return v, d.fail("make base of", id, err)
}

func (d *Driver) makeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	baseID, err := d.baseID(id)
	if err != nil {
		return storage.Volume{}, err
	}
	base := string(baseID)
	c, lock, err := d.enter(ctx, string(id))
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	lv, err := c.find(string(id))
	switch {
	case err == nil && c.all[base] != nil:
		return storage.Volume{}, storage.ErrExists
	case err == nil:
		if err := d.movable(ctx, c, lv); err != nil {
			return storage.Volume{}, err
		}
		if err := d.group.Rename(ctx, lv.Name, base); err != nil {
			return storage.Volume{}, err
		}
		d.step("renamed")
	default: // perhaps a call that did not live to its end renamed it
		var e error
		if lv, e = c.find(base); e != nil {
			return storage.Volume{}, err
		}
	}
	if err := d.freeze(ctx, lv, base); err != nil {
		return storage.Volume{}, err
	}
	v, _ := d.parse(baseID)
	out := made(v, lv.SizeBytes)
	out.Created = lv.Created
	return out, nil
}

// freeze makes a base volume read only.
func (d *Driver) freeze(ctx context.Context, lv *lvmcmd.Volume, name string) error {
	if !lv.Writable() {
		return nil
	}
	return d.group.Tool.Change(ctx, "lvchange", "-pr", "--", d.group.LV(name))
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
	if !from.Base || v.Base {
		return storage.Volume{}, fmt.Errorf("%s as a clone of %s: %w", id, base, storage.ErrBadID)
	}
	c, lv, lock, err := d.volume(ctx, base)
	if err != nil {
		return storage.Volume{}, err
	}
	defer lock.Unlock()
	if c.all[v.Name] != nil {
		return storage.Volume{}, storage.ErrExists
	}
	if err := d.room(ctx, &c.pool); err != nil {
		return storage.Volume{}, err
	}
	if err := errors.Join(d.freeze(ctx, lv, lv.Name), d.copyOf(ctx, lv.Name, v.Name, "-prw")); err != nil {
		return storage.Volume{}, err
	}
	return made(v, lv.SizeBytes), nil
}
