package disks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
)

// path is a path of the host.
func (s *Service) path(name string) string { return filepath.Join(s.o.Root, name) }

// read is a small file of /sys or /proc, empty if it cannot be read.
func (s *Service) read(name string) string {
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// list looks at all disks.
func (s *Service) list(ctx context.Context) ([]hostdisk.Disk, error) {
	f := hostdisk.Facts{
		Mounts: s.read("/proc/mounts"),
		LSBLK:  s.look(ctx, "lsblk", "--json", "--output", "path,parttype,fstype"),
		ZPool:  s.look(ctx, "zpool", "list", "-HPLv"),
		PVs:    s.look(ctx, "pvs", "--noheadings", "--readonly", "--options", "pv_name"),
		LVs:    s.look(ctx, "lvs", "--noheadings", "--readonly", "--separator", ";", "--options", "devices,lv_name,lv_tags"),
	}
	entries, err := os.ReadDir(s.path("/sys/block"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if name := e.Name(); isDiskName(name) {
			f.Devices = append(f.Devices, s.device(ctx, name))
		}
	}
	return hostdisk.List(f), ctx.Err()
}

// isDiskName leaves out what cannot be a disk before anybody is asked about it: there may be many loop devices.
func isDiskName(name string) bool {
	for _, prefix := range []string{"hd", "sd", "vd", "xvd", "nvme", "cciss!"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (s *Service) device(ctx context.Context, name string) hostdisk.Device {
	dir := filepath.Join("/sys/block", name)
	d := hostdisk.Device{
		Name: name, Sectors: s.sectors(dir), Rotational: s.read(filepath.Join(dir, "queue/rotational")),
		Vendor: s.read(filepath.Join(dir, "device/vendor")), Model: s.read(filepath.Join(dir, "device/model")),
		Udev: s.look(ctx, "udevadm", "info", "--query", "all", "--path", s.path(dir)), Held: s.held(dir),
	}
	entries, _ := os.ReadDir(s.path(dir))
	for _, e := range entries {
		part := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), name) && s.read(filepath.Join(part, "partition")) != "" {
			d.Partitions = append(d.Partitions, hostdisk.Partition{Name: e.Name(), Sectors: s.sectors(part), Held: s.held(part)})
		}
	}
	return d
}

func (s *Service) sectors(dir string) int64 {
	n, err := strconv.ParseInt(s.read(filepath.Join(dir, "size")), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// held reports whether another device of the kernel stands on this one.
func (s *Service) held(dir string) bool {
	entries, err := os.ReadDir(s.path(filepath.Join(dir, "holders")))
	return err == nil && len(entries) > 0
}
