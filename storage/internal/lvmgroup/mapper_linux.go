package lvmgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
)

// mapperControl is where device-mapper is asked. It is not there before the module is.
const mapperControl = "/dev/mapper/control"

// dmIoctl is struct dm_ioctl of linux/dm-ioctl.h.
type dmIoctl struct {
	version                      [3]uint32
	dataSize, dataStart, targets uint32
	openCount                    int32
	flags, event, _              uint32
	dev                          uint64
	name                         [128]byte
	uuid                         [129]byte
	_                            [7]byte
}

const (
	dmVersionMajor = 4
	dmDevStatus    = 0xc0000000 | uint(unsafe.Sizeof(dmIoctl{}))<<16 | 0xfd<<8 | 7 // _IOWR(DM_IOCTL, DM_DEV_STATUS_CMD, struct dm_ioctl)
)

// ask looks in the kernel for the device of a volume. It costs one system call where lvs takes a process that reads the disks, and
// says the same.
func (g *Group) ask(name string) (device, error) {
	dm, ok := lvmcmd.DeviceName(g.Name, name)
	if !ok {
		return device{}, nil
	}
	control, err := os.OpenFile(mapperControl, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return device{}, nil
	}
	if err != nil {
		return device{}, err
	}
	defer control.Close()
	q := dmIoctl{version: [3]uint32{dmVersionMajor}, dataSize: uint32(unsafe.Sizeof(dmIoctl{}))}
	copy(q.name[:], dm)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), uintptr(dmDevStatus), uintptr(unsafe.Pointer(&q)))
	switch errno {
	case 0:
	case unix.ENXIO:
		return device{}, nil
	default:
		return device{}, &os.PathError{Op: "ask for device " + dm, Path: mapperControl, Err: errno}
	}
	uuid, _, _ := bytes.Cut(q.uuid[:], []byte{0})
	return device{there: true, uuid: string(uuid), opened: int(q.openCount), dev: q.dev}, nil
}

// size is the size of a block device in bytes.
func (d device) size() (int64, error) {
	text, err := os.ReadFile(sysBlock(d.dev, "size"))
	if err != nil {
		return 0, err
	}
	var sectors int64
	if _, err := fmt.Sscan(string(text), &sectors); err != nil {
		return 0, fmt.Errorf("size of a device %q: %w", text, err)
	}
	return sectors * 512, nil
}
