package qimg

import (
	"cmp"
	"context"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/storage"
)

// Copy copies the contents of src into the existing image dst, which must not be smaller. Raw files are copied by the
// kernel (shared blocks where the file system can, holes kept), everything else by qemu-img. dst is synced.
// ErrInUse if a guest may be writing to src, ErrNoSpace; a cancelled copy leaves dst in a state of its own.
func (t *Tool) Copy(ctx context.Context, dst, src *storage.Image, o CopyOptions) error {
	if fast(dst, src, o) {
		if busy, err := OpenedForWriting(src.File); err != nil || busy {
			return cmp.Or(err, storage.ErrInUse)
		}
		if err := copyRaw(ctx, dst.File, src.File, o); err != nil {
			return err
		}
	} else if err := t.Convert(ctx, dst, src, o); err != nil {
		return err
	}
	if dst.Remote != nil { // qemu-img flushed it before it ended
		return nil
	}
	return dst.File.Sync()
}

// fast reports whether the kernel can do the whole copy.
func fast(dst, src *storage.Image, o CopyOptions) bool {
	return dst.Remote == nil && src.Remote == nil && dst.Format == storage.Raw && src.Format == storage.Raw && o.Snapshot == "" && o.BytesPerSecond == 0 &&
		o.TargetIsZero && regular(dst.File) && regular(src.File)
}

func regular(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode().IsRegular()
}

// fileSize returns the length of a file or block device without moving its offset for long.
func fileSize(f *os.File) (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if fi.Mode().IsRegular() {
		return fi.Size(), nil
	}
	return f.Seek(0, io.SeekEnd)
}
