// Package rawstream reads and writes what follows and precedes the bytes of a volume in streams "…+size": eight bytes of size,
// little endian, and for raw ones the bytes themselves.
package rawstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/turtacn/go-proxmox/storage"
)

const (
	chunk = 4 << 20  // passes between two looks at the context
	piece = 64 << 10 // zeros are left out in such pieces
)

// Formats are the forms in which a driver that sends nothing but raw bytes can write a volume for these options.
func Formats(o storage.StreamOptions) []storage.StreamFormat {
	if o.Base != "" || o.Snapshots {
		return nil
	}
	return []storage.StreamFormat{storage.StreamRaw}
}

// Check returns errors.ErrUnsupported for a form that is none of Formats.
func Check(format storage.StreamFormat, o storage.StreamOptions) error {
	if format != storage.StreamRaw || len(Formats(o)) == 0 {
		return fmt.Errorf("stream %s: %w", format, errors.ErrUnsupported)
	}
	return nil
}

// WriteSize begins a stream.
func WriteSize(w io.Writer, size int64) error {
	_, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(size)))
	return err
}

// ReadSize reads how a stream begins. storage.ErrUnsafe for less than least or more than most.
func ReadSize(r io.Reader, least, most int64) (int64, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, fmt.Errorf("size of the stream: %w", early(err))
	}
	size := binary.LittleEndian.Uint64(head[:])
	if size < uint64(least) || size > uint64(most) {
		return 0, fmt.Errorf("stream of %d bytes: %w", size, storage.ErrUnsafe)
	}
	return int64(size), nil
}

// Send writes the first n bytes of src. io.ErrUnexpectedEOF if it has less.
func Send(ctx context.Context, w io.Writer, src io.ReaderAt, n int64) error {
	return each(ctx, n, func(buf []byte, off int64) error {
		if _, err := src.ReadAt(buf, off); err != nil {
			return early(err)
		}
		_, err := w.Write(buf)
		return err
	})
}

// Receive writes the next n bytes of r to dst, which reads as zeros, and leaves zeros out. io.ErrUnexpectedEOF if r has less.
func Receive(ctx context.Context, dst io.WriterAt, r io.Reader, n int64) error {
	zeros := make([]byte, piece)
	return each(ctx, n, func(buf []byte, off int64) error {
		got, err := io.ReadFull(r, buf)
		if err != nil {
			return fmt.Errorf("stream at byte %d of %d: %w", off+int64(got), n, early(err))
		}
		for begin, end := 0, 0; begin < len(buf); begin = end { // runs of pieces that are not zero
			for end < len(buf) {
				p := buf[end:min(end+piece, len(buf))]
				if bytes.Equal(p, zeros[:len(p)]) {
					break
				}
				end += len(p)
			}
			if end == begin {
				end = min(begin+piece, len(buf))
				continue
			}
			if _, err := dst.WriteAt(buf[begin:end], off+int64(begin)); err != nil {
				return err
			}
		}
		return nil
	})
}

// each calls fn for the pieces of n bytes, until ctx ends.
func each(ctx context.Context, n int64, fn func(buf []byte, off int64) error) error {
	buf := make([]byte, min(n, chunk))
	for off := int64(0); off < n; off += chunk {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := fn(buf[:min(chunk, n-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// End returns storage.ErrUnsafe if r has more.
func End(r io.Reader) error {
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return fmt.Errorf("stream goes on after its end: %w", storage.ErrUnsafe)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// early makes the end of a stream where more should come an error of its own.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
