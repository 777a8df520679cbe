package disks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// usual is what paths of disks and partitions look like when links are resolved.
var usual = regexp.MustCompile(`^/dev/(?:[hsvx]v?d[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|cciss/c\d+d\d+(?:p\d+)?)$`)

// found is a disk, or a partition with its disk.
type found struct {
	path string
	disk *hostdisk.Disk
	part *hostdisk.Disk // nil: the whole disk is meant
}

// resolve returns the device node that a path names. Only block devices of this host have one.
func (s *Service) resolve(name string) (string, error) {
	if !strings.HasPrefix(name, "/dev/") || strings.ContainsRune(name, 0) || filepath.Clean(name) != name {
		return "", call.Errorf("got unusual device path '%s'", name)
	}
	real, err := filepath.EvalSymlinks(s.path(name))
	if err != nil {
		return "", &call.Error{Status: 500, Text: "failed to get absolute path to " + name, Err: err}
	}
	if s.o.Root != "/" {
		real = strings.TrimPrefix(real, filepath.Clean(s.o.Root))
	}
	if !usual.MatchString(real) {
		return "", call.Errorf("got unusual device path '%s'", real)
	}
	fi, err := os.Stat(s.path(real))
	if err != nil || !s.isBlock(fi) {
		return "", &call.Error{Status: 500, Text: "not a valid block device", Err: err}
	}
	return real, nil
}

// isBlock reports whether a file is a block device. Below a root of a test, which can make none, a plain file stands for one.
func (s *Service) isBlock(fi os.FileInfo) bool {
	if s.o.Root != "/" && fi.Mode().IsRegular() {
		return true
	}
	return fi.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice
}

// find resolves a path and looks the device up among the local disks.
func (s *Service) find(ctx context.Context, name string) (found, error) {
	path, err := s.resolve(name)
	if err != nil {
		return found{}, err
	}
	disks, err := s.list(ctx)
	if err != nil {
		return found{}, err
	}
	for i := range disks {
		d := &disks[i]
		if d.Path == path {
			return found{path: path, disk: d}, nil
		}
		for j := range d.Partitions {
			if d.Partitions[j].Path == path {
				return found{path: path, disk: d, part: &d.Partitions[j]}, nil
			}
		}
	}
	return found{}, call.Errorf("'%s' is not a valid local disk", path)
}

// used tells what a device is used for, empty for nothing that can be seen.
func (f *found) used() string {
	if f.part != nil {
		return f.part.Used
	}
	return f.disk.Used
}

// free finds a device that nothing uses.
func (s *Service) free(ctx context.Context, name string) (found, error) {
	f, err := s.find(ctx, name)
	if err != nil {
		return f, err
	}
	if f.used() != "" || f.mounted() || s.holds(f.path) {
		return f, call.Errorf("device '%s' is already in use", f.path)
	}
	return f, nil
}

func (f *found) mounted() bool {
	if f.part != nil {
		return f.part.Mounted
	}
	for _, p := range f.disk.Partitions {
		if p.Mounted {
			return true
		}
	}
	return f.disk.Mounted
}

// holds reports whether another device stands on this one.
func (s *Service) holds(path string) bool {
	return s.held(filepath.Join("/sys/class/block", sysName(path)))
}

// sysName is a device's name in /sys, where '!' stands for '/'.
func sysName(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "/dev/"), "/", "!")
}

// partitions are the paths of what is on a disk, or of the partition itself.
func (f *found) partitions() []string {
	var list []string
	if f.part != nil {
		return list
	}
	for _, p := range f.disk.Partitions {
		list = append(list, p.Path)
	}
	return list
}

// number is the number of a partition on its disk.
func (f *found) number() (string, error) {
	if f.part == nil {
		return "", errors.New("not a partition")
	}
	digits := f.path[len(strings.TrimRight(f.path, "0123456789")):]
	if digits == "" {
		return "", errors.New("a partition without a number")
	}
	return digits, nil
}

// stable is a link to the device that stays the same over reboots, or its path.
func (f *found) stable() string {
	if f.part == nil && f.disk.ByID != "" {
		return f.disk.ByID
	}
	return f.path
}
