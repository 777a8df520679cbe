package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// inUse returns ErrInUse if a QEMU program has the image open.
func inUse(f *os.File) error {
	opened, err := qimg.Opened(f)
	if err == nil && opened {
		err = storage.ErrInUse
	}
	return err
}

// change opens an image that is not in use for writing and does fn with it.
func (d *Driver) change(ctx context.Context, id storage.VolumeID, fn func(r *root, o *opened, img *storage.Image) error) error {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return err
	}
	defer r.close()
	if !p.image() {
		return fmt.Errorf("no guest image: %w", errors.ErrUnsupported)
	}
	chain, err := d.openChain(r, p, true)
	if err != nil {
		return err
	}
	defer closeAll(chain)
	if err := inUse(chain[0].file); err != nil {
		return err
	}
	d.step("changing")
	err = fn(r, chain[0], image(chain))
	d.step("changed")
	return err
}

// Resize implements storage.Resizer. A running guest's image is ErrInUse: its QEMU must grow it.
func (d *Driver) Resize(ctx context.Context, id storage.VolumeID, sizeBytes int64) (storage.Volume, error) {
	err := d.change(ctx, id, func(_ *root, o *opened, img *storage.Image) error {
		size, err := roundUp(sizeBytes)
		switch {
		case err != nil:
			return err
		case !d.features(o).Has(storage.FeatureResize):
			return fmt.Errorf("resize this image: %w", errors.ErrUnsupported)
		case size < o.header.VirtualBytes:
			return fmt.Errorf("shrink from %d to %d bytes: %w", o.header.VirtualBytes, size, errors.ErrUnsupported)
		case size == o.header.VirtualBytes:
			return nil
		}
		mode := d.preallocation(img.Format)
		if img.Format == storage.Raw && mode == qimg.PreallocOff {
			if err := o.file.Truncate(size); err != nil {
				return classify("truncate", o.rel(), err)
			}
		} else if err := d.tool.Resize(ctx, img, size, resizeMode(img, mode)); err != nil {
			return err
		}
		return o.file.Sync()
	})
	if err != nil {
		return storage.Volume{}, d.fail("resize", id, err)
	}
	return d.Stat(ctx, id)
}

// resizeMode: an image that is backed grows only thin, or it would hide what backs it from the new part's metadata.
func resizeMode(img *storage.Image, mode qimg.Preallocation) qimg.Preallocation {
	if img.Backing != nil {
		return qimg.PreallocOff
	}
	return mode
}

// Names of snapshots: those of guests in Proxmox VE. They begin with a letter, so qemu-img cannot take one for a number or an option.
var snapshotName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`)

// snapshot does fn with an image that can have snapshots; with must, name must be one of them, without, none of them.
func (d *Driver) snapshot(ctx context.Context, op string, id storage.VolumeID, name string, must bool, fn func(*storage.Image) error) error {
	return d.fail(op, id, d.change(ctx, id, func(_ *root, o *opened, img *storage.Image) error {
		if !snapshotName.MatchString(name) {
			return fmt.Errorf("snapshot name %q: %w", name, storage.ErrBadID)
		}
		if !d.features(o).Has(storage.FeatureSnapshot) {
			return fmt.Errorf("snapshots of this image: %w", errors.ErrUnsupported)
		}
		has, err := d.hasSnapshot(ctx, img, name)
		switch {
		case err != nil:
			return err
		case must && !has:
			return fmt.Errorf("snapshot %q: %w", name, storage.ErrNotFound)
		case !must && has:
			return fmt.Errorf("snapshot %q: %w", name, storage.ErrExists)
		}
		if err := fn(img); err != nil {
			return err
		}
		return o.file.Sync()
	}))
}

func (d *Driver) hasSnapshot(ctx context.Context, img *storage.Image, name string) (bool, error) {
	info, err := d.tool.Info(ctx, img)
	for _, s := range info.Snapshots {
		if s.Name == name {
			return true, err
		}
	}
	return false, err
}

// Snapshot implements storage.Snapshotter with qcow2's internal snapshots.
func (d *Driver) Snapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return d.snapshot(ctx, "snapshot", id, name, false, func(img *storage.Image) error { return d.tool.Snapshot(ctx, img, name) })
}

// Rollback implements storage.Snapshotter; any snapshot will do.
func (d *Driver) Rollback(ctx context.Context, id storage.VolumeID, name string) error {
	return d.snapshot(ctx, "rollback", id, name, true, func(img *storage.Image) error { return d.tool.Rollback(ctx, img, name) })
}

// DeleteSnapshot implements storage.Snapshotter.
func (d *Driver) DeleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return d.snapshot(ctx, "delete snapshot of", id, name, true, func(img *storage.Image) error { return d.tool.DeleteSnapshot(ctx, img, name) })
}

// Snapshots implements storage.Snapshotter. An image in use cannot be asked: ErrInUse.
func (d *Driver) Snapshots(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	img, err := d.openImage(ctx, id, false)
	if err != nil {
		return nil, d.fail("list snapshots of", id, err)
	}
	defer img.Close()
	if img.Format != storage.QCOW2 {
		return nil, nil
	}
	info, err := d.tool.Info(ctx, img)
	return info.Snapshots, d.fail("list snapshots of", id, err)
}

// Rename implements storage.Renamer. The format stays, so does the link to a base; a base with clones is ErrInUse.
func (d *Driver) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	err := d.change(ctx, id, func(r *root, o *opened, _ *storage.Image) error {
		p, err := d.locate(to)
		if err != nil {
			return err
		}
		parent, linked := splitBacking(o.header.BackingFile)
		sameLink := !p.Linked() || linked && parent == [2]string{fmt.Sprint(p.BaseVMID), p.BaseName}
		if !p.image() || p.Format != o.Format || p.Base != o.Base || !sameLink {
			return fmt.Errorf("rename to %s: %w", to, storage.ErrBadID)
		}
		if o.Base {
			return fmt.Errorf("rename a base image: %w", errors.ErrUnsupported)
		}
		if err := r.makeFolder(p.folder, guestMode); err != nil {
			return err
		}
		if err := r.rename(o.rel(), p.rel(), false); err != nil {
			r.removeIfEmpty(p.folder)
			return err
		}
		r.removeIfEmpty(o.folder)
		return nil
	})
	if err != nil {
		return storage.Volume{}, d.fail("rename", id, err)
	}
	return d.Stat(ctx, to)
}
