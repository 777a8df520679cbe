package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

// stageLockByte is locked while a temporary file is being written. It is far from the bytes that QEMU locks.
const stageLockByte = 1 << 40

// lockStage takes the lock of a temporary file; false if somebody else has it. The lock ends with the descriptor, so a dead
// writer's file can be told from a living one's.
func lockStage(f *os.File) (bool, error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: stageLockByte, Len: 1}
	switch err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk); {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return false, nil
	default:
		return false, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
}

// setImmutable sets or clears the flag that keeps even root from changing a file. Best effort: most network file systems
// and containers have no such flag, and the mode 0444 remains.
func setImmutable(f *os.File, on bool) {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return
	}
	want := flags &^ immutableFlag
	if on {
		want |= immutableFlag
	}
	if want != flags {
		unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(want))
	}
}
