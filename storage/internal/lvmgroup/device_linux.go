package lvmgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/storage"
)

// mapped returns the node behind path if it is the device that device-mapper knows by this uuid, and storage.ErrUnsafe if it
// is another one.
func mapped(path, uuid string) (string, error) {
	node, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	fi, err := os.Lstat(node)
	if err != nil {
		return "", err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || fi.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		return "", fmt.Errorf("%s is no block device: %w", path, storage.ErrUnsafe)
	}
	text, err := os.ReadFile(sysBlock(st.Rdev, "dm/uuid"))
	if errors.Is(err, os.ErrNotExist) { // it went away, or is no device-mapper's
		return "", err
	}
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(string(text)) != uuid {
		return "", fmt.Errorf("%s is another device: %w", path, storage.ErrUnsafe)
	}
	return node, nil
}

func sysBlock(dev uint64, file string) string {
	return fmt.Sprintf("/sys/dev/block/%d:%d/%s", unix.Major(dev), unix.Minor(dev), file)
}

func openNode(node string, write bool) (*os.File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	return os.OpenFile(node, flag|syscall.O_NOFOLLOW, 0)
}

// zeroStep is how much is overwritten at once where nothing else is asked for.
const zeroStep = 32 << 20

// Zero overwrites the bytes from…to of a block device with zeros, step bytes at once (0: 32 MiB), at most rate bytes a second
// (0: no limit). Where the device can it does so itself. See blkdiscard(8), --zeroout.
func Zero(ctx context.Context, f *os.File, from, to, step, rate int64) error {
	if step == 0 {
		step = zeroStep
	}
	begin := time.Now()
	for off := from; off < to; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part := [2]uint64{uint64(off), uint64(min(step, to-off))}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKZEROOUT, uintptr(unsafe.Pointer(&part))); errno != 0 {
			return &os.PathError{Op: "zero", Path: f.Name(), Err: errno}
		}
		off += int64(part[1])
		if rate > 0 {
			if err := until(ctx, begin.Add(time.Duration(float64(off-from)/float64(rate)*float64(time.Second)))); err != nil {
				return err
			}
		}
	}
	return f.Sync()
}

func until(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ZeroesItself is how many bytes a block device can overwrite with zeros in one request without being sent them; 0 if it
// cannot.
func ZeroesItself(f *os.File) int64 {
	fi, err := f.Stat()
	if err != nil {
		return 0
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	text, err := os.ReadFile(sysBlock(st.Rdev, "queue/write_zeroes_max_bytes"))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// noSpace gives a full pool its class.
func noSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) && !errors.Is(err, storage.ErrNoSpace) {
		return fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	}
	return err
}
