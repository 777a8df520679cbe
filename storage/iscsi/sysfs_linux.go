package iscsi

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/storage"
)

const (
	sessionClass = "/sys/class/iscsi_session" // See Documentation/ABI, drivers/scsi/scsi_transport_iscsi.c
	byID         = "/dev/disk/by-id"
)

// sessions are the folders in /sys of the sessions with the target.
func (d *Driver) sessions() ([]string, error) {
	all, err := filepath.Glob(filepath.Join(sessionClass, "session*"))
	if err != nil {
		return nil, err
	}
	var ours []string
	for _, s := range all {
		name, err := readLine(filepath.Join(s, "targetname"))
		if err != nil {
			continue // it ended
		}
		if state, err := readLine(filepath.Join(s, "state")); err == nil && name == d.name && state == "LOGGED_IN" {
			ours = append(ours, s)
		}
	}
	return ours, nil
}

// units are the target's disks, each once.
func (d *Driver) units() ([]disk, error) {
	sessions, err := d.sessions()
	if err != nil {
		return nil, err
	}
	links, err := stableLinks()
	if err != nil {
		return nil, err
	}
	var units []disk
	for _, s := range sessions {
		blocks, err := filepath.Glob(filepath.Join(s, "device", "target*", "*:*:*:*", "block", "*"))
		if err != nil {
			return nil, err
		}
		for _, b := range blocks {
			device := filepath.Join("/dev", filepath.Base(b))
			link := links[device]
			id, ok := d.volume(filepath.Base(filepath.Dir(filepath.Dir(b))), link)
			sectors, err := readLine(filepath.Join(b, "size")) // of 512 bytes, whatever the device's own are
			n, e := strconv.ParseInt(sectors, 10, 64)
			if link == "" || !ok || err != nil || e != nil {
				continue // udev has not come to it yet, or it is gone
			}
			units = append(units, disk{id: id, device: device, link: link, size: n * 512})
		}
	}
	slices.SortFunc(units, func(a, b disk) int { return cmp.Compare(a.id, b.id) })
	return slices.CompactFunc(units, func(a, b disk) bool { return a.id == b.id }), nil // another path to it
}

// stableLinks maps devices to their names in /dev/disk/by-id: of several the one that names the unit itself.
func stableLinks() (map[string]string, error) {
	entries, err := os.ReadDir(byID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	links := map[string]string{}
	for _, e := range entries { // sorted: scsi-… goes before wwn-…
		if strings.Contains(e.Name(), "-part") {
			continue
		}
		link := filepath.Join(byID, e.Name())
		device, err := filepath.EvalSymlinks(link)
		if err != nil {
			continue
		}
		if _, ok := links[device]; !ok {
			links[device] = link
		}
	}
	return links, nil
}

func readLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// openDevice opens a block device and nothing else.
func openDevice(path string, write bool) (*os.File, error) {
	mode := os.O_RDONLY
	if write {
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(path, mode|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || fi.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no block device: %w", path, storage.ErrUnsafe))
	}
	return f, nil
}

// own gives a device to a user.
func own(path string, uid int) error {
	f, err := openDevice(path, false)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Chown(uid, -1)
}

// held reports whether a device is in use: mounted, part of something else, or opened exclusively, as QEMU's host_device is not.
func held(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, f.Close()
}
