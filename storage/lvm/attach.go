package lvm

import (
	"context"
	"errors"
	"io"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
	"github.com/turtacn/go-proxmox/storage/internal/rawstream"
)

// Attach implements storage.Driver: a storage.Block, whose device only o.UID and root can open.
func (d *Driver) Attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	at, err := d.attach(ctx, id, o)
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	return at, nil
}

func (d *Driver) attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Block, error) {
	f, lock, err := d.enter(ctx, id)
	if err != nil {
		return storage.Block{}, err
	}
	defer lock.Unlock()
	if err := raw(f.name); err != nil {
		return storage.Block{}, err
	}
	if err := d.settle(ctx, &f); err != nil {
		return storage.Block{}, err
	}
	if err := d.group.Attach(ctx, &f.Volume, o, d.opt.Shared); err != nil {
		return storage.Block{}, err
	}
	return storage.Block{Path: d.group.Path(f.Name), Format: storage.Raw, ReadOnly: o.ReadOnly}, nil
}

// Detach implements storage.Driver: the device is this process's own again and goes away. One that is still open stays, and
// is storage.ErrInUse.
func (d *Driver) Detach(ctx context.Context, id storage.VolumeID) error {
	return d.fail("detach", id, d.detach(ctx, id))
}

func (d *Driver) detach(ctx context.Context, id storage.VolumeID) error {
	v, err := d.parse(id)
	if err != nil {
		return err
	}
	lock, err := d.group.Lock(ctx, v.Name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	active, err := d.group.Active(v.Name)
	if err != nil {
		return err
	}
	if active {
		_, err := d.find(ctx, id)
		if errors.Is(err, storage.ErrNotFound) { // a volume of that name which is not the storage's stays as it is
			return d.group.Forget(v.Name)
		}
		if err != nil {
			return err
		}
	}
	return d.group.Detach(ctx, v.Name)
}

// Open implements storage.Opener. A volume that somebody else has open does not open for writing.
func (d *Driver) Open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	img, _, err := d.open(ctx, id, write)
	return img, d.fail("open", id, err)
}

func (d *Driver) open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, *lvmcmd.Volume, error) {
	f, lock, err := d.enter(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	defer lock.Unlock()
	if err := raw(f.name); err != nil {
		return nil, nil, err
	}
	if err := d.settle(ctx, &f); err != nil {
		return nil, nil, err
	}
	if write && d.group.OpenHere(f.Name) == 0 {
		if err := d.group.Idle(ctx, f.Name); err != nil {
			return nil, nil, err
		}
	}
	img, err := d.group.Open(ctx, &f.Volume, write)
	return img, &f.Volume, err
}

// Path implements storage.Pather.
func (d *Driver) Path(id storage.VolumeID) (string, error) {
	v, err := d.parse(id)
	if err != nil {
		return "", d.fail("locate", id, err)
	}
	return d.group.Path(v.Name), nil
}

// StreamFormats implements storage.Streamer: the bytes.
func (d *Driver) StreamFormats(ctx context.Context, id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	f, err := d.find(ctx, id)
	if err != nil {
		return nil, d.fail("export", id, err)
	}
	if raw(f.name) != nil || o.Snapshot != "" {
		return nil, nil
	}
	return rawstream.Formats(o), nil
}

// Export implements storage.Streamer.
func (d *Driver) Export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	return d.fail("export", id, d.export(ctx, w, id, format, o))
}

func (d *Driver) export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	if err := rawstream.Check(format, o); err != nil {
		return err
	}
	if o.Snapshot != "" {
		return errors.ErrUnsupported
	}
	img, lv, err := d.open(ctx, id, false)
	if err != nil {
		return err
	}
	err = lvmgroup.Export(ctx, w, img.File, lv.SizeBytes)
	return errors.Join(err, img.Close())
}

// ImportFormats implements storage.Streamer.
func (d *Driver) ImportFormats(id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	v, err := d.parse(id)
	if err != nil {
		return nil, d.fail("import", id, err)
	}
	if raw(v) != nil {
		return nil, nil
	}
	return rawstream.Formats(o), nil
}

// Import implements storage.Streamer.
func (d *Driver) Import(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	v, err := d.importStream(ctx, r, id, format, o)
	return v, d.fail("import", id, err)
}

func (d *Driver) importStream(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	if _, err := d.parse(id); err != nil {
		return storage.Volume{}, err
	}
	if err := rawstream.Check(format, o); err != nil {
		return storage.Volume{}, err
	}
	size, err := lvmgroup.StreamSize(r)
	if err != nil {
		return storage.Volume{}, err
	}
	return d.create(ctx, storage.VolumeSpec{ID: id, SizeBytes: size}, func(ctx context.Context, img *storage.Image) error {
		return lvmgroup.Import(ctx, img.File, r, size)
	})
}
