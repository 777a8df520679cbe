package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/turtacn/go-proxmox/storage"
)

// subvol tells whether the volume is a container's folder.
func (p place) subvol() bool { return p.image() && p.Format == string(storage.Subvol) }

// createSubvol makes an empty folder. A folder has no quota, so it has no size either.
func (d *Driver) createSubvol(r *root, p place, size int64) (storage.Volume, error) {
	switch {
	case d.opt.Type != "dir": // container volumes on network file systems are images
		return storage.Volume{}, fmt.Errorf("container volume: %w", errors.ErrUnsupported)
	case size != 0:
		return storage.Volume{}, fmt.Errorf("folder of at most %d bytes: %w", size, errors.ErrUnsupported)
	}
	for range 100 { // the guest's folder may be removed as empty meanwhile
		if err := errors.Join(r.makeFolder(path.Dir(p.folder), guestMode), r.makeFolder(p.folder, guestMode)); err != nil {
			return storage.Volume{}, err
		}
		d.step("making")
		err := r.mkdir(p.rel(), folderMode)
		d.step("made")
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return storage.Volume{}, err
		}
		return d.statSubvol(r, p)
	}
	return storage.Volume{}, fmt.Errorf("folder of %s: %w", p.id, storage.ErrUnavailable)
}

// statSubvol describes a container's folder.
func (d *Driver) statSubvol(r *root, p place) (storage.Volume, error) {
	f, err := r.folder(p.rel())
	if err != nil {
		return storage.Volume{}, err
	}
	defer f.Close()
	st, err := fstat(f)
	if err != nil {
		return storage.Volume{}, err
	}
	return d.describeSubvol(&opened{place: p, stat: st, valid: true}), nil
}

// describeSubvol makes a volume of a folder: its size is unknown and it can do nothing, as in Proxmox VE.
func (d *Driver) describeSubvol(o *opened) storage.Volume {
	v := d.describe(o)
	v.SizeBytes, v.UsedBytes, v.Features = 0, 0, 0
	return v
}

// attachSubvol says where a container's folder is. What is in it has owners of its own.
func (d *Driver) attachSubvol(r *root, p place, o storage.AttachOptions) (*storage.File, error) {
	f, err := r.folder(p.rel())
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := d.passable(r, p.folder); err != nil {
		return nil, err
	}
	return &storage.File{Path: path.Join(d.path, p.rel()), Format: storage.Subvol, ReadOnly: o.ReadOnly}, nil
}

// deleteSubvol hides a container's folder first, so that it is never seen half, and then removes what is in it.
func (d *Driver) deleteSubvol(ctx context.Context, r *root, p place) error {
	if _, err := d.statSubvol(r, p); err != nil && !errors.Is(err, storage.ErrUnsafe) {
		return err
	}
	temp := path.Join(p.folder, tempName())
	d.step("hiding")
	if err := r.rename(p.rel(), temp, false); err != nil {
		return err
	}
	d.step("hidden")
	if ctx.Err() != nil { // it is gone for everybody; what remains is Sweep's
		return nil
	}
	err := removeTree(r, temp)
	r.removeIfEmpty(p.folder)
	return err
}

// removeTree removes a folder with all that is in it and follows no link.
func removeTree(r *root, rel string) error {
	parent, err := r.folder(path.Dir(rel))
	if err != nil {
		return err
	}
	defer parent.Close()
	// The very folder that was opened, not whatever its name leads to now.
	at, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", parent.Fd()))
	if err != nil {
		return err
	}
	defer at.Close()
	if err := at.RemoveAll(path.Base(rel)); err != nil {
		return classify("remove", rel, err)
	}
	return nil
}
