package machine

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp/internal/sockpath"
)

// Listen makes a unix socket that only its owner can connect to, and listens at it, for a chardev that takes it as a
// descriptor (-chardev socket,fd=…,server=on): QEMU then needs no right to the folder, and what is in the folder is nothing
// of its making. What was at the path is removed; the path may be longer than the kernel takes. The mode is set between bind
// and listen, so at no time does it accept anybody else. See StartOptions.Files.
func Listen(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) { // of a run that ended unseen
		return nil, err
	}
	short, done, err := sockpath.Short(path)
	if err != nil {
		return nil, err
	}
	defer done()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), filepath.Base(path))
	if err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: short})); err == nil {
		if err = os.Chmod(path, 0o600); err == nil {
			// One client is served; the one that waits behind it must not make a third one hang in connect.
			err = os.NewSyscallError("listen", unix.Listen(fd, 8))
		}
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "listen", Path: path, Err: err}
	}
	return f, nil
}

// processLimits keep the guest's memory out of core dumps, and let root's machines open many files.
func processLimits() []proc.Limit {
	limits := []proc.Limit{{Resource: unix.RLIMIT_CORE}}
	if os.Geteuid() == 0 {
		const files = 1 << 16
		limits = append(limits, proc.Limit{Resource: unix.RLIMIT_NOFILE, Soft: files, Hard: files})
	}
	return limits
}
