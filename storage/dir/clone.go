package dir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// BaseID implements storage.Cloner: vm-… becomes base-….
func (d *Driver) BaseID(id storage.VolumeID) (storage.VolumeID, error) {
	name, err := d.storage.BaseName(string(id))
	if err != nil {
		return "", d.fail("make base of", id, fmt.Errorf("%w: %w", storage.ErrBadID, err))
	}
	return storage.VolumeID(name), nil
}

// CloneID implements storage.Cloner: BASE/OWNER/NAME, where NAME ends in .qcow2.
func (d *Driver) CloneID(base storage.VolumeID, owner int, name string) (storage.VolumeID, error) {
	p, err := d.locate(base)
	if err != nil {
		return "", d.fail("clone", base, err)
	}
	v := volid.Volume{Content: volid.Images, Name: name, VMID: owner, BaseName: p.Name, BaseVMID: p.VMID}
	id := storage.VolumeID(v.VolumeName("dir"))
	if c, err := d.locate(id); err != nil || !c.Linked() || c.Format != string(storage.QCOW2) || c.Base {
		return "", d.fail("clone", id, fmt.Errorf("no name of a linked clone: %w", storage.ErrBadID))
	}
	return id, nil
}

// MakeBase implements storage.Cloner.
func (d *Driver) MakeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.makeBase(ctx, id)
	return v, d.fail("make base of", id, err)
}

func (d *Driver) makeBase(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	if p, err := d.locate(id); err == nil && p.subvol() {
		return storage.Volume{}, fmt.Errorf("base of a container volume: %w", errors.ErrUnsupported)
	}
	to, err := d.BaseID(id)
	if err != nil {
		return storage.Volume{}, err
	}
	base, err := d.locate(to)
	if err != nil {
		return storage.Volume{}, err
	}
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer r.close()
	o, err := d.openVolume(r, p, false)
	if errors.Is(err, storage.ErrNotFound) { // perhaps done already, by a call that did not live to say so
		if o, err := d.openVolume(r, base, false); err == nil {
			defer o.close()
			return d.freeze(o)
		}
	}
	if err != nil {
		return storage.Volume{}, err
	}
	defer o.close()
	switch {
	case !o.valid:
		return storage.Volume{}, fmt.Errorf("%s is no %s image: %w", o.rel(), o.Format, storage.ErrUnsafe)
	case o.header.Snapshots > 0:
		return storage.Volume{}, fmt.Errorf("image has snapshots: %w", storage.ErrInUse)
	}
	if err := inUse(o.file); err != nil {
		return storage.Volume{}, err
	}
	if err := own(o, os.Geteuid()); err != nil {
		return storage.Volume{}, err
	}
	d.step("renaming")
	if err := r.rename(p.rel(), base.rel(), false); err != nil {
		return storage.Volume{}, err
	}
	d.step("renamed")
	o.place = base
	return d.freeze(o)
}

// freeze takes the right to write from a base image.
func (d *Driver) freeze(o *opened) (storage.Volume, error) {
	if err := o.file.Chmod(baseMode); err != nil && o.stat.perm != baseMode {
		return storage.Volume{}, err
	}
	setImmutable(o.file, true)
	return d.describe(o), nil
}

// Clone implements storage.Cloner: a qcow2 image backed by the base.
func (d *Driver) Clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.clone(ctx, base, id)
	return v, d.fail("clone", id, err)
}

func (d *Driver) clone(ctx context.Context, base, id storage.VolumeID) (storage.Volume, error) {
	from, err := d.locate(base)
	if err != nil {
		return storage.Volume{}, err
	}
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer r.close()
	if !from.Base || p.Base || p.Format != string(storage.QCOW2) || p.BaseName != from.Name || p.BaseVMID != from.VMID {
		return storage.Volume{}, fmt.Errorf("no linked clone of %s: %w", base, storage.ErrBadID)
	}
	b, err := d.openVolume(r, from, false)
	if err != nil {
		return storage.Volume{}, err
	}
	defer b.close()
	if !b.valid {
		return storage.Volume{}, fmt.Errorf("%s is no %s image: %w", b.rel(), b.Format, storage.ErrUnsafe)
	}
	v, err := d.publish(ctx, r, p, func(f *os.File) error {
		// Unless it is asked for, tables for all of the image are not made: they grow with it, a clone shall not.
		o := qimg.CreateOptions{Format: storage.QCOW2, SizeBytes: b.header.VirtualBytes, Preallocation: d.opt.Preallocation}
		o.Backing.Name = fmt.Sprintf("../%d/%s", from.VMID, from.Name)
		o.Backing.Format = storage.Format(from.Format)
		return d.tool.Create(ctx, f, o)
	})
	if err != nil {
		return storage.Volume{}, err
	}
	if err := d.stillThere(r, b); err != nil { // deleted while its clone was being made
		return storage.Volume{}, errors.Join(err, r.remove(p.rel()))
	}
	return v, nil
}

// stillThere reports whether the name of an open file still leads to it.
func (d *Driver) stillThere(r *root, o *opened) error {
	now, err := d.openVolume(r, o.place, false)
	if err != nil {
		return err
	}
	defer now.close()
	if now.stat.inode != o.stat.inode || now.stat.device != o.stat.device {
		return storage.ErrNotFound
	}
	return nil
}
