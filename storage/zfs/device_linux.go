package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/storage"
)

// devicePath is the link that udev makes for a zvol. See udev/rules.d/60-zvol.rules of OpenZFS.
func devicePath(dataset string) string { return filepath.Join("/dev/zvol", dataset) }

// blkZName asks a zvol's device for the name of its dataset. See include/sys/fs/zfs.h: BLKZNAME, _IOR(0x12, 125, char[256]).
const blkZName = 2<<30 | 256<<16 | 0x12<<8 | 125

// errNoDevice says that the device of a zvol is not there, or not yet.
var errNoDevice = errors.New("no device")

// restart is ERESTARTSYS, which user space should never see: ZFS answers so while another device is made or removed. See
// zvol_open in module/os/linux/zfs/zvol_os.c of OpenZFS.
const (
	restart      = syscall.Errno(512)
	restarts     = 200
	restartPause = 10 * time.Millisecond
)

// openDevice opens the device of a zvol, and makes sure that it is that zvol's: the link may be an old one.
func openDevice(dataset string, write bool) (*os.File, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(devicePath(dataset), flags, 0)
	for n := 0; errors.Is(err, restart) && n < restarts; n++ {
		time.Sleep(restartPause)
		f, err = os.OpenFile(devicePath(dataset), flags, 0)
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return nil, fmt.Errorf("%w: %w", errNoDevice, err)
	case err != nil:
		return nil, err
	}
	name, err := zvolName(f)
	if err == nil && name != dataset {
		err = fmt.Errorf("%w: the link is still that of %s", errNoDevice, name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// zvolName is the name of the dataset behind an open device. Anything but a zvol is an error.
func zvolName(f *os.File) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", fmt.Errorf("%s is no block device: %w", f.Name(), storage.ErrUnsafe)
	}
	var name [256]byte
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), blkZName, uintptr(unsafe.Pointer(&name)))
	if errno != 0 {
		return "", fmt.Errorf("%s is no zvol: %w", f.Name(), errno)
	}
	text, _, _ := bytes.Cut(name[:], []byte{0})
	return string(text), nil
}

// device opens the device of a zvol when udev has made it. It must be looked for: there is no call that waits for it.
func (d *Driver) device(ctx context.Context, dataset string, write bool) (*os.File, error) {
	if d.tool.suspended() {
		return nil, fmt.Errorf("pool %s is suspended: %w", d.tool.pool, storage.ErrUnavailable)
	}
	limit := time.NewTimer(d.opt.DeviceTimeout)
	defer limit.Stop()
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		f, err := openDevice(dataset, write)
		if !errors.Is(err, errNoDevice) {
			return f, err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-limit.C:
			return nil, fmt.Errorf("%w: no device %s after %v: %w", storage.ErrUnavailable, devicePath(dataset), d.opt.DeviceTimeout, err)
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		}
	}
}
