package dir

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// CopyFrom implements storage.Copier with a reflink: the copy shares blocks with its source until one of them writes. The
// source is an image of the same format and size on the same file system (XFS, btrfs, NFS 4.2 on one of these), without
// snapshots and no linked clone; everything else is errors.ErrUnsupported. A source that a guest may write to is ErrInUse.
func (d *Driver) CopyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	v, err := d.copyFrom(ctx, spec, src, id, o)
	return v, d.fail("copy", spec.ID, err)
}

func (d *Driver) copyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	from, ok := storage.As[*Driver](src)
	if !ok || o.Snapshot != "" {
		return storage.Volume{}, fmt.Errorf("copy of this kind: %w", errors.ErrUnsupported)
	}
	p, r, err := d.enter(ctx, spec.ID)
	if err != nil {
		return storage.Volume{}, err
	}
	defer r.close()
	if !p.image() || p.Linked() || p.Base || spec.Format != "" && spec.Format != storage.Format(p.Format) {
		return storage.Volume{}, fmt.Errorf("not a plain guest image: %w", storage.ErrBadID)
	}
	source, err := from.openForCopy(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer source.close()
	size := source.header.VirtualBytes
	want, err := roundUp(spec.SizeBytes)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case source.Format != p.Format || spec.SizeBytes != 0 && want != size:
		return storage.Volume{}, fmt.Errorf("copy to another format or size: %w", errors.ErrUnsupported)
	}
	v, err := d.publish(ctx, r, p, func(f *os.File) error { return reflink(f, source.file) })
	if err == nil && o.Progress != nil {
		o.Progress(size, size)
	}
	return v, err
}

// openForCopy opens an image that is whole in itself and that nobody writes to.
func (d *Driver) openForCopy(ctx context.Context, id storage.VolumeID) (*opened, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if !p.image() {
		return nil, fmt.Errorf("no guest image: %w", errors.ErrUnsupported)
	}
	chain, err := d.openChain(r, p, false)
	if err != nil {
		return nil, err
	}
	o := chain[0]
	closeAll(chain[1:])
	if len(chain) > 1 || o.header.Snapshots > 0 {
		err = fmt.Errorf("copy of an image with others behind it: %w", errors.ErrUnsupported)
	} else {
		err = unwritten(o)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// unwritten returns ErrInUse if a guest may be writing to an image.
func unwritten(o *opened) error {
	busy, err := qimg.OpenedForWriting(o.file)
	if err == nil && busy {
		err = storage.ErrInUse
	}
	return err
}
