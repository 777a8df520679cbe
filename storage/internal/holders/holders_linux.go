package holders

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Of returns who has the block device at path open, this process included. A device that is not there has none.
func Of(path string) ([]Holder, error) {
	node, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var want syscall.Stat_t
	if err := syscall.Stat(node, &want); err != nil {
		return nil, &os.PathError{Op: "stat", Path: node, Err: err}
	}
	if want.Mode&syscall.S_IFMT != syscall.S_IFBLK {
		return nil, fmt.Errorf("%s is no block device: %w", path, os.ErrInvalid)
	}
	list, err := processes("/proc", filepath.Base(node), func(file string) bool {
		var st syscall.Stat_t
		return syscall.Stat(file, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFBLK && st.Rdev == want.Rdev
	})
	if err != nil {
		return nil, err
	}
	f, err := claim(node)
	switch {
	case err == nil:
		return list, f.Close()
	case errors.Is(err, syscall.EBUSY):
		return append(list, Holder{Name: "the kernel (mounted, mapped or exported)"}), nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENXIO): // it has just gone
		return nil, nil
	}
	return nil, err
}

// claim opens a device for this process alone. ZFS answers ERESTARTSYS, which user space should never see, while it makes or
// removes another device. See zvol_open in module/os/linux/zfs/zvol_os.c of OpenZFS.
func claim(node string) (f *os.File, err error) {
	const restart, tries, pause = syscall.Errno(512), 200, 10 * time.Millisecond
	for range tries {
		f, err = os.OpenFile(node, os.O_RDONLY|syscall.O_EXCL|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, restart) {
			break
		}
		time.Sleep(pause)
	}
	return f, err
}

// processes looks through all file descriptors. Only those whose name ends like the device's are looked at closely: a closer
// look at a file of a dead NFS server would hang.
func processes(proc, device string, is func(file string) bool) ([]Holder, error) {
	pids, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var list []Holder
	for _, p := range pids {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		folder := filepath.Join(proc, p.Name(), "fd")
		files, err := os.ReadDir(folder)
		if err != nil { // it has ended, or is not ours to see
			continue
		}
		for _, f := range files {
			file := filepath.Join(folder, f.Name())
			target, err := os.Readlink(file)
			if err == nil && strings.HasSuffix(strings.TrimSuffix(target, " (deleted)"), "/"+device) && is(file) {
				comm, _ := os.ReadFile(filepath.Join(proc, p.Name(), "comm")) // a process without a name is still one
				list = append(list, Holder{PID: pid, Name: strings.TrimSpace(string(comm))})
				break
			}
		}
	}
	return list, nil
}
