package hostdisk

import (
	"encoding/json"
	"strings"
)

// Facts is what the host's tools say. Empty outputs are fine: what they would tell is then unknown.
type Facts struct {
	// Devices are the entries of /sys/block.
	Devices []Device
	// Mounts is /proc/mounts.
	Mounts string
	// LSBLK is the output of lsblk --json --output path,parttype,fstype.
	LSBLK string
	// ZPool is the output of zpool list -HPLv.
	ZPool string
	// PVs are the physical volumes of LVM, a path a line: pvs --noheadings --readonly --options pv_name.
	PVs string
	// LVs are the logical volumes: lvs --noheadings --readonly --separator ';' --options devices,lv_name,lv_tags.
	LVs string
}

// Device is an entry of /sys/block.
type Device struct {
	// Name as in /sys/block, where '!' stands for '/'.
	Name string
	// Sectors of 512 bytes: the file size.
	Sectors int64
	// Rotational is the file queue/rotational: "0", "1", or empty if it cannot be read.
	Rotational string
	// Vendor and Model are the files in the folder device, empty if there are none.
	Vendor, Model string
	// Udev is the output of udevadm info --query all for the device.
	Udev string
	// Held says that the folder holders has entries.
	Held bool
	// Partitions of the device.
	Partitions []Partition
}

// Partition is a partition's folder in its device's folder of /sys/block.
type Partition struct {
	Name    string
	Sectors int64
	Held    bool
}

// usage is all that the outputs say about the devices, by path.
type usage struct {
	partType map[string]string // GUID, lower case
	fsType   map[string]string
	mounts   map[string]string
	zfs, pvs map[string]bool
	lvs      map[string]osdVolumes
}

func (f *Facts) usage() *usage {
	u := &usage{partType: map[string]string{}, fsType: map[string]string{}, mounts: map[string]string{}, zfs: map[string]bool{}, pvs: map[string]bool{}}
	u.readLSBLK(f.LSBLK)
	for line := range strings.Lines(f.Mounts) {
		if w := strings.Fields(line); len(w) >= 2 {
			u.mounts[w[0]] = w[1]
		}
	}
	for line := range strings.Lines(f.ZPool) {
		if !strings.HasPrefix(line, "\t") {
			continue // a pool or a class of its devices, not a device
		}
		if w := strings.Fields(line); len(w) > 0 {
			u.zfs[w[0]] = true
		}
	}
	for line := range strings.Lines(f.PVs) {
		u.pvs[strings.TrimSpace(line)] = true
	}
	u.lvs = readLVs(f.LVs)
	return u
}

func (u *usage) readLSBLK(text string) {
	var out struct {
		Devices []struct {
			Path, PartType, FSType *string
		} `json:"blockdevices"`
	}
	if json.Unmarshal([]byte(text), &out) != nil {
		return
	}
	for _, d := range out.Devices {
		if d.Path == nil {
			continue
		}
		if d.PartType != nil {
			u.partType[*d.Path] = strings.ToLower(*d.PartType)
		}
		if d.FSType != nil {
			u.fsType[*d.Path] = *d.FSType
		}
	}
}

// udev is what udevadm says about a device.
type udev map[string]string

func parseUdev(text string) udev {
	u := udev{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "E: "), "="); ok && strings.HasPrefix(line, "E: ") {
			u[key] = value
		}
	}
	return u
}

// get returns a property, or the other value if there is none.
func (u udev) get(key, other string) string {
	if v := u[key]; v != "" {
		return v
	}
	return other
}

// byID returns the first link by id that names the disk by its maker's words.
func (u udev) byID() string {
	for link := range strings.FieldsSeq(u["DEVLINKS"]) {
		name, ok := strings.CutPrefix(link, "/dev/disk/by-id/")
		if !ok || strings.HasPrefix(name, "nvme-eui") {
			continue
		}
		for _, bus := range []string{"ata", "scsi", "nvme"} {
			if strings.HasPrefix(name, bus) {
				return link
			}
		}
	}
	return ""
}

// foreign tells whether the device is no disk of this host: iSCSI, or a CD-ROM.
func (u udev) foreign() bool {
	return u["ID_CDROM"] != "" || u["ID_TYPE"] == "cd" || strings.Contains(u["DEVPATH"], "/session") ||
		strings.Contains(u["ID_PATH"], "-iscsi-")
}
