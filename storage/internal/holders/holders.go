// Package holders finds who has a block device open: for drivers whose backend lets a volume be renamed or rolled back under a
// running guest. See proc(5) and open(2), O_EXCL on block devices.
//
// A process is found by the name under which it sees the device, so one with another name for it (a node of its own in a
// chroot) is not; the kernel's own users (a mounted file system, a mapping, an exported LUN) are. Seeing other users' processes
// needs root.
package holders

import "fmt"

// Holder is one that has a device open. PID 0 is the kernel.
type Holder struct {
	PID  int
	Name string // of the program, at most 15 bytes
}

func (h Holder) String() string {
	if h.PID == 0 {
		return h.Name
	}
	return fmt.Sprintf("%s (pid %d)", h.Name, h.PID)
}

// Passing reports whether h is one of udev's programs, which look at every device that changes and let go of it by themselves.
func (h Holder) Passing() bool {
	switch h.Name {
	case "systemd-udevd", "(udev-worker)", "udevd", "udevadm", "blkid", "zvol_id":
		return true
	}
	return false
}
