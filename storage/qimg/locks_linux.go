package qimg

import (
	"os"

	"golang.org/x/sys/unix"
)

// QEMU locks single bytes of an image file while it is open: one for each permission that it holds, one for each that it
// does not share. See block/file-posix.c: RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE, and BLK_PERM_WRITE.
const (
	lockFirst, lockCount = 100, 200
	lockWrite            = lockFirst + 1
)

// Opened reports whether a QEMU program has the image file open, on this machine or, where the file system carries locks,
// on another one.
func Opened(f *os.File) (bool, error) { return locked(f, lockFirst, lockCount) }

// OpenedForWriting reports whether a QEMU program may be writing to the image file.
func OpenedForWriting(f *os.File) (bool, error) { return locked(f, lockWrite, 1) }

func locked(f *os.File, start, n int64) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: start, Len: n}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lk); err != nil {
		return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return lk.Type != unix.F_UNLCK, nil
}
