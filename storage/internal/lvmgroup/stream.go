package lvmgroup

import (
	"context"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/storage/internal/rawstream"
)

// Export writes size bytes of an open device as raw+size.
func Export(ctx context.Context, w io.Writer, f *os.File, size int64) error {
	if err := rawstream.WriteSize(w, size); err != nil {
		return err
	}
	return rawstream.Send(ctx, w, f, size)
}

// StreamSize reads the size in front of a raw+size stream. storage.ErrUnsafe for one that no volume has.
func StreamSize(r io.Reader) (int64, error) { return rawstream.ReadSize(r, 1, maxBytes) }

// Import writes the size bytes that r must have left, and no more, to a device that reads as zeros.
func Import(ctx context.Context, f *os.File, r io.Reader, size int64) error {
	if err := rawstream.Receive(ctx, f, r, size); err != nil {
		return noSpace(err)
	}
	return rawstream.End(r)
}
