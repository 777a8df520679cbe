package zfs

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/rawstream"
)

// exportRaw writes the size of a snapshot and its bytes.
func (d *Driver) exportRaw(ctx context.Context, w io.Writer, v volume, snap string) (err error) {
	img, err := d.openClone(ctx, v, snap)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	size, err := img.File.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := rawstream.WriteSize(w, size); err != nil {
		return err
	}
	return rawstream.Send(ctx, w, img.File, size)
}

// importRaw makes a zvol of a size and its bytes. Zeros are left out: a new zvol has them.
func (d *Driver) importRaw(ctx context.Context, r io.Reader, v volume) (storage.Volume, error) {
	told, err := rawstream.ReadSize(r, 1, maxBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	size, err := roundUp(told, false)
	if err != nil {
		return storage.Volume{}, err
	}
	return d.publish(ctx, v, func(temp string) error {
		if err := d.make(ctx, temp, false, size); err != nil {
			return err
		}
		img, err := d.openDataset(ctx, temp, false, true)
		if err != nil {
			return err
		}
		return d.noSpace(ctx, errors.Join(readRaw(ctx, r, img.File, told), img.Close()))
	})
}

func readRaw(ctx context.Context, r io.Reader, f *os.File, size int64) error {
	if err := rawstream.Receive(ctx, f, r, size); err != nil {
		return err
	}
	if err := rawstream.End(r); err != nil {
		return err
	}
	return f.Sync()
}
