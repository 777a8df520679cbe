package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// Attach implements storage.Driver: a storage.Block whose device belongs to o.UID, or the storage.File of a subvol's folder,
// mounted. A base volume is read only.
func (d *Driver) Attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	at, err := d.attach(ctx, id, o)
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	return at, nil
}

func (d *Driver) attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	v, s, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	readOnly := v.Base || o.ReadOnly
	if v.subvol() {
		return d.folder(ctx, s, readOnly)
	}
	f, err := d.device(ctx, s.name, false)
	if err != nil {
		return nil, err
	}
	err = own(f, o.UID)
	return storage.Block{Path: devicePath(s.name), Format: storage.Raw, ReadOnly: readOnly}, errors.Join(err, f.Close())
}

// folder attaches a subvol. That of a linked clone says which folder it began as.
func (d *Driver) folder(ctx context.Context, s dataset, readOnly bool) (storage.Attachment, error) {
	path, err := d.mounted(ctx, s.name)
	at := storage.File{Path: path, Format: storage.Subvol, ReadOnly: readOnly}
	if base := d.baseOf(s); base != "" && err == nil {
		path, err = d.mounted(ctx, d.dataset+"/"+base)
		at.Backing = &storage.File{Path: path, Format: storage.Subvol, ReadOnly: true}
	}
	return at, err
}

// own gives an open device to a uid; 0 is this process's own.
func own(f *os.File, uid int) error {
	if uid == 0 {
		uid = os.Geteuid()
	}
	if err := f.Chown(uid, -1); err != nil {
		return err
	}
	return f.Chmod(0o660) // the group is Debian's disk
}

// Detach implements storage.Driver: the device belongs to the caller again. A subvol stays mounted, as ZFS mounts it.
func (d *Driver) Detach(ctx context.Context, id storage.VolumeID) error {
	return d.fail("detach", id, d.detach(ctx, id))
}

func (d *Driver) detach(ctx context.Context, id storage.VolumeID) error {
	v, err := d.parse(id)
	if err != nil || v.subvol() {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if d.tool.suspended() { // opening would block; nobody can use it either
		return nil
	}
	f, err := openDevice(v.dataset, false)
	if errors.Is(err, errNoDevice) {
		return nil
	} else if err != nil {
		return err
	}
	return errors.Join(own(f, 0), f.Close())
}

// mounted returns the folder of a file system, which is mounted if it is not yet.
func (d *Driver) mounted(ctx context.Context, name string) (string, error) {
	out, err := d.tool.run(ctx, "list", "-H", "-d", "0", "-o", "mounted,mountpoint", name)
	if err != nil {
		return "", err
	}
	is, folder, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\t")
	if !strings.HasPrefix(folder, "/") {
		return "", fmt.Errorf("%s has the mount point %q: %w", name, folder, storage.ErrUnavailable)
	}
	if is == "yes" {
		return folder, nil
	}
	_, err = d.tool.run(ctx, "mount", name)
	if e, ok := errors.AsType[*Error](err); ok && strings.Contains(e.Stderr, "already mounted") { // by another call
		err = nil
	}
	return folder, err
}

// Open implements storage.Opener. The file of a subvol is its folder, and the file systems that may be mounted in it are not
// its own.
func (d *Driver) Open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	img, err := d.open(ctx, id, write)
	return img, d.fail("open", id, err)
}

func (d *Driver) open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	v, s, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if write && v.Base {
		return nil, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	}
	return d.openDataset(ctx, s.name, v.subvol(), write)
}

func (d *Driver) openDataset(ctx context.Context, name string, subvol, write bool) (*storage.Image, error) {
	if !subvol {
		f, err := d.device(ctx, name, write)
		if err != nil {
			return nil, err
		}
		return &storage.Image{File: f, Format: storage.Raw}, nil
	}
	folder, err := d.mounted(ctx, name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	return &storage.Image{File: f, Format: storage.Subvol}, nil
}

// OpenSnapshot implements storage.SnapshotOpener: a clone that nobody else sees and that goes with the image. Until then the
// snapshot cannot be deleted.
func (d *Driver) OpenSnapshot(ctx context.Context, id storage.VolumeID, name string) (*storage.Image, error) {
	img, err := d.openSnapshot(ctx, id, name)
	return img, d.fail("open snapshot of", id, err)
}

func (d *Driver) openSnapshot(ctx context.Context, id storage.VolumeID, name string) (*storage.Image, error) {
	if err := errors.Join(checkSnapshot(name), d.check(id)); err != nil {
		return nil, err
	}
	v, s, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return d.openClone(ctx, v, s.name+"@"+name)
}

// openClone opens a snapshot of a volume.
func (d *Driver) openClone(ctx context.Context, v volume, snap string) (*storage.Image, error) {
	temp := d.dataset + "/" + d.maker.Name()
	if _, err := d.tool.run(ctx, "clone", "-o", "readonly=on", snap, temp); err != nil {
		return nil, err
	}
	img, err := d.openDataset(ctx, temp, v.subvol(), false)
	if err != nil {
		return nil, errors.Join(err, d.discard(ctx, temp))
	}
	img.Release = func() error { return d.discard(ctx, temp) }
	return img, nil
}
