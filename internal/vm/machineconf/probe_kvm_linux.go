package machineconf

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// See include/uapi/linux/kvm.h.
const (
	kvmGetAPIVersion      = 0xae00
	kvmCreateVM           = 0xae01
	kvmGetSupportedCPUID  = 0xc008ae05
	kvmAPIVersion         = 12
	cpuidFeatures         = 1      // leaf with the basic features
	cpuidSSE3             = 1 << 0 // in ECX: every 64 bit processor since 2005
	maxSupportedCPUIDLeaf = 256
)

type kvmCPUIDEntry struct {
	Function, Index, Flags, EAX, EBX, ECX, EDX uint32
	_                                          [3]uint32
}

type kvmCPUID struct {
	N, _    uint32
	Entries [maxSupportedCPUIDLeaf]kvmCPUIDEntry
}

// kvmWorks tells whether KVM serves guests. The device alone does not say so: there are
// hosts where no machine can be made, and hosts whose KVM lacks features that even the
// smallest processor model has.
func kvmWorks() bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	version, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmGetAPIVersion, 0)
	if errno != 0 || version != kvmAPIVersion {
		return false
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmCreateVM, 0)
	if errno != 0 || unix.Close(int(fd)) != nil {
		return false
	}
	return runtime.GOARCH != "amd64" || kvmHasSSE3(f.Fd())
}

func kvmHasSSE3(kvm uintptr) bool {
	c := kvmCPUID{N: maxSupportedCPUIDLeaf}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, kvm, kvmGetSupportedCPUID, uintptr(unsafe.Pointer(&c))); errno != 0 {
		return false
	}
	for _, e := range c.Entries[:min(c.N, maxSupportedCPUIDLeaf)] {
		if e.Function == cpuidFeatures {
			return e.ECX&cpuidSSE3 != 0
		}
	}
	return false
}
