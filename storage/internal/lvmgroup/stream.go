package lvmgroup

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

const (
	copyStep  = 4 << 20
	zeroBlock = 64 << 10 // zeros are left out in such pieces
)

// Formats are the forms of streams for these options.
func Formats(o storage.StreamOptions) []storage.StreamFormat {
	if o.Base != "" || o.Snapshots {
		return nil
	}
	return []storage.StreamFormat{storage.StreamRaw}
}

// CheckStream returns errors.ErrUnsupported for a form that is none of Formats.
func CheckStream(format storage.StreamFormat, o storage.StreamOptions) error {
	if format != storage.StreamRaw || len(Formats(o)) == 0 {
		return fmt.Errorf("stream %s: %w", format, errors.ErrUnsupported)
	}
	return nil
}

// Export writes size bytes of an open device as raw+size.
func Export(ctx context.Context, w io.Writer, f *os.File, size int64) error {
	if err := binary.Write(w, binary.LittleEndian, uint64(size)); err != nil {
		return err
	}
	buf := make([]byte, copyStep)
	for off := int64(0); off < size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := f.ReadAt(buf[:min(copyStep, size-off)], off)
		if err != nil {
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// StreamSize reads the size in front of a raw+size stream. storage.ErrUnsafe for one that no volume has.
func StreamSize(r io.Reader) (int64, error) {
	var size uint64
	if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
		return 0, fmt.Errorf("size of the stream: %w", err)
	}
	if size == 0 || size > maxBytes {
		return 0, fmt.Errorf("stream of %d bytes: %w", size, storage.ErrUnsafe)
	}
	return int64(size), nil
}

// Import writes the size bytes that r must have left, and no more, to a device that reads as zeros.
func Import(ctx context.Context, f *os.File, r io.Reader, size int64) error {
	buf, zeros := make([]byte, copyStep), make([]byte, zeroBlock)
	for off := int64(0); off < size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := io.ReadFull(r, buf[:min(copyStep, size-off)])
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("stream at byte %d of %d: %w", off+int64(n), size, err)
		}
		for i := 0; i < n; i += zeroBlock {
			piece := buf[i:min(i+zeroBlock, n)]
			if bytes.Equal(piece, zeros[:len(piece)]) {
				continue
			}
			if _, err := f.WriteAt(piece, off+int64(i)); err != nil {
				return noSpace(err)
			}
		}
		off += int64(n)
	}
	var more [1]byte
	if n, err := io.ReadFull(r, more[:]); n > 0 {
		return fmt.Errorf("stream goes on after its end: %w", storage.ErrUnsafe)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
