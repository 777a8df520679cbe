package zfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/storage"
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
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(size))); err != nil {
		return err
	}
	return copyChunks(ctx, size, func(buf []byte, off int64) error {
		if _, err := img.File.ReadAt(buf, off); err != nil {
			return err
		}
		_, err := w.Write(buf)
		return err
	})
}

// chunk is how much is copied between two looks at the context.
const chunk = 1 << 20

func copyChunks(ctx context.Context, size int64, step func(buf []byte, off int64) error) error {
	buf := make([]byte, chunk)
	for off := int64(0); off < size; off += chunk {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := step(buf[:min(chunk, size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// importRaw makes a zvol of a size and its bytes. Zeros are left out: a new zvol has them.
func (d *Driver) importRaw(ctx context.Context, r io.Reader, v volume) (storage.Volume, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return storage.Volume{}, fmt.Errorf("size of the stream: %w", early(err))
	}
	told := binary.LittleEndian.Uint64(head[:])
	if told == 0 || told > maxBytes {
		return storage.Volume{}, fmt.Errorf("a stream of %d bytes: %w", told, storage.ErrUnsafe)
	}
	size, err := roundUp(int64(told), false)
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
		return d.noSpace(ctx, errors.Join(d.readRaw(ctx, r, img.File, int64(told)), img.Close()))
	})
}

func (d *Driver) readRaw(ctx context.Context, r io.Reader, f *os.File, size int64) error {
	zeros := make([]byte, chunk)
	err := copyChunks(ctx, size, func(buf []byte, off int64) error {
		if _, err := io.ReadFull(r, buf); err != nil {
			return early(err)
		}
		if bytes.Equal(buf, zeros[:len(buf)]) {
			return nil
		}
		_, err := f.WriteAt(buf, off)
		return err
	})
	if err != nil {
		return err
	}
	if n, err := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return fmt.Errorf("the stream goes on after its %d bytes: %w", size, storage.ErrUnsafe)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return f.Sync()
}

// early makes the end of a stream where more should come an error of its own.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
