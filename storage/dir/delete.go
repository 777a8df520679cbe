package dir

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Delete implements storage.Driver. Deleting looks at the name alone: what lies there, link or device, is removed as such.
func (d *Driver) Delete(ctx context.Context, id storage.VolumeID) error {
	return d.fail("delete", id, d.delete(ctx, id))
}

func (d *Driver) delete(ctx context.Context, id storage.VolumeID) error {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return err
	}
	defer r.close()
	if p.subvol() {
		return d.deleteSubvol(ctx, r, p)
	}
	o, err := d.openVolume(r, p, false)
	switch {
	case err == nil:
		defer o.close()
		if err := d.deletable(ctx, r, o); err != nil {
			return err
		}
		setImmutable(o.file, false)
	case errors.Is(err, storage.ErrUnsafe): // a trap: removing its name touches nothing else
	default:
		return err
	}
	d.step("deleting")
	if err := r.remove(p.rel()); err != nil {
		return err
	}
	d.step("deleted")
	switch p.Content {
	case volid.Images:
		r.removeIfEmpty(p.folder)
	case volid.Backup:
		return d.removeAnnotations(r, p)
	}
	return nil
}

func (d *Driver) deletable(ctx context.Context, r *root, o *opened) error {
	if o.Content == volid.Backup && d.protected(r, o.place) {
		return storage.ErrProtected
	}
	if !o.image() {
		return nil
	}
	if err := inUse(o.file); err != nil {
		return err
	}
	if !o.Base {
		return nil
	}
	clone, err := d.cloneOf(ctx, r, o)
	if err == nil && clone != "" {
		err = fmt.Errorf("base of %s: %w", clone, storage.ErrInUse)
	}
	return err
}

// cloneOf returns one linked clone of a base image, empty if there is none.
func (d *Driver) cloneOf(ctx context.Context, r *root, base *opened) (clone storage.VolumeID, err error) {
	parent := storage.VolumeID(fmt.Sprintf("%d/%s", base.VMID, base.Name))
	err = d.walk(ctx, r, storage.Filter{Content: storage.Images}, func(v storage.Volume) error {
		if v.Parent == parent {
			clone = v.ID
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return clone, err
}

// Usage implements storage.Driver.
func (d *Driver) Usage(ctx context.Context) (storage.Usage, error) {
	u, err := d.usage(ctx)
	return u, d.fail("usage", "", err)
}

func (d *Driver) usage(ctx context.Context) (storage.Usage, error) {
	if err := ctx.Err(); err != nil {
		return storage.Usage{}, context.Cause(ctx)
	}
	if err := d.checkMount(); err != nil {
		return storage.Usage{}, err
	}
	r, err := openRoot(d.path)
	if err != nil {
		return storage.Usage{}, err
	}
	defer r.close()
	return r.usage()
}
