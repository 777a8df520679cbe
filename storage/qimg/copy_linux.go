package qimg

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/storage"
)

// copyChunk is how much is copied between two looks at ctx and two reports of progress.
const copyChunk = 32 << 20

// copyRaw copies src into dst, which reads as zeros. Holes stay holes.
func copyRaw(ctx context.Context, dst, src *os.File, o CopyOptions) error {
	total, err := fileSize(src)
	if err != nil {
		return err
	}
	dstSize, err := fileSize(dst)
	if err != nil {
		return err
	}
	report := func(done int64) {
		if o.Progress != nil {
			o.Progress(done, total)
		}
	}
	// A clone makes dst as long as src, so a longer target gets its length back.
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err == nil {
		if dstSize > total {
			err = dst.Truncate(dstSize)
		}
		report(total)
		return err
	}
	for off := int64(0); off < total; {
		start, end, err := nextData(src, off, total)
		if err != nil {
			return err
		}
		if err := copyRange(ctx, dst, src, start, end, report); err != nil {
			return err
		}
		off = end
	}
	report(total)
	return nil
}

// nextData returns the next run of data in [off, total), an empty one at total if there is none.
func nextData(f *os.File, off, total int64) (start, end int64, err error) {
	start, err = unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return total, total, nil
	case errors.Is(err, unix.EINVAL): // file systems without holes
		return off, total, nil
	case err != nil:
		return 0, 0, &os.PathError{Op: "seek", Path: f.Name(), Err: err}
	}
	end, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, &os.PathError{Op: "seek", Path: f.Name(), Err: err}
	}
	return min(start, total), min(end, total), nil
}

func copyRange(ctx context.Context, dst, src *os.File, off, end int64, report func(int64)) error {
	for off < end {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		in, out := off, off
		n, err := unix.CopyFileRange(int(src.Fd()), &in, int(dst.Fd()), &out, int(min(end-off, copyChunk)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
			m, err := copyBuffered(dst, src, off, min(end-off, copyChunk))
			if err != nil {
				return noSpace(err)
			}
			n = int(m)
		case err != nil:
			return noSpace(&os.PathError{Op: "copy_file_range", Path: src.Name(), Err: err})
		}
		if n == 0 { // src became shorter meanwhile
			return io.ErrUnexpectedEOF
		}
		off += int64(n)
		report(off)
	}
	return nil
}

// copyBuffered is for pairs of file systems that the kernel cannot copy between.
func copyBuffered(dst, src *os.File, off, n int64) (int64, error) {
	return io.Copy(io.NewOffsetWriter(dst, off), io.NewSectionReader(src, off, n))
}

func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return errors.Join(storage.ErrNoSpace, err)
	}
	return err
}
