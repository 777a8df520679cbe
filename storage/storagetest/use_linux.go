package storagetest

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockLikeQEMU takes the lock that says "somebody reads consistently", the least that any QEMU program takes on an image
// file. See block/file-posix.c: RAW_LOCK_PERM_BASE. Closing f ends it.
func lockLikeQEMU(f *os.File) error {
	lk := unix.Flock_t{Type: unix.F_RDLCK, Start: 100, Len: 1}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk)
}
