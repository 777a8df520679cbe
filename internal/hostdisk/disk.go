package hostdisk

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The kinds of disks.
const (
	HDD     = "hdd"
	SSD     = "ssd"
	NVMe    = "nvme"
	USB     = "usb"
	Unknown = "unknown"
	Part    = "partition"
)

const unknownHealth, unknownLife = "UNKNOWN", "N/A"

// Disk is a disk, or a partition of one.
type Disk struct {
	// Name without /dev/; Path with it.
	Name, Path string
	// Type is HDD, SSD, NVMe, USB, Unknown or Part.
	Type string
	// Parent is the path of a partition's disk.
	Parent    string
	SizeBytes int64
	GPT       bool
	// Serial, Vendor, Model and WWN are "unknown" where the host does not say.
	Serial, Vendor, Model, WWN string
	// ByID is a link that stays the same over reboots, empty if there is none.
	ByID string
	// RPM is the speed; 0 for what does not rotate, -1 if it is not known.
	RPM int
	// Used says what the disk is used for, in Proxmox VE's words. Empty: nothing known.
	Used string
	// Mounted says that the device itself is mounted.
	Mounted bool
	OSD     OSD
	// Partitions in the order of their names.
	Partitions []Disk

	health string
	life   string
}

// List returns the local disks with their partitions, sorted by name.
func List(f Facts) []Disk {
	u := f.usage()
	name := regexp.MustCompile(`^(?:h|s|x?v)d[a-z]+$|^nvme\d+n\d+$|^cciss!c\d+d\d+$`)
	var disks []Disk
	for _, d := range f.Devices {
		if !name.MatchString(d.Name) || d.Sectors <= 0 {
			continue
		}
		if props := parseUdev(d.Udev); !props.foreign() {
			disks = append(disks, u.disk(d, props))
		}
	}
	slices.SortFunc(disks, func(a, b Disk) int { return strings.Compare(a.Name, b.Name) })
	return disks
}

// sectorBytes is the unit of sizes in /sys, whatever the disk's own sectors are.
const sectorBytes = 512

func devName(sys string) string { return strings.ReplaceAll(sys, "!", "/") }

func (u *usage) disk(d Device, props udev) Disk {
	disk := Disk{
		Name: devName(d.Name), Path: props.get("DEVNAME", "/dev/"+devName(d.Name)), SizeBytes: d.Sectors * sectorBytes,
		GPT: props["ID_PART_TABLE_TYPE"] == "gpt", Serial: props.get("ID_SERIAL_SHORT", "unknown"), WWN: props.get("ID_WWN", "unknown"),
		ByID: props.byID(), health: unknownHealth, life: unknownLife,
	}
	disk.Vendor = firstOf(strings.TrimSpace(d.Vendor), "unknown")
	disk.Model = firstOf(props["ID_MODEL"], strings.TrimSpace(d.Model), "unknown")
	disk.Type, disk.RPM = rotation(d, props)
	disk.Used, disk.Mounted = u.of(disk.Path)
	disk.OSD = u.osd(disk.Path)
	for _, p := range d.Partitions {
		part := Disk{Name: devName(p.Name), Path: "/dev/" + devName(p.Name), Parent: disk.Path, Type: Part, SizeBytes: p.Sectors * sectorBytes, GPT: disk.GPT}
		part.Used, part.Mounted = u.of(part.Path)
		if part.Used == "" && p.Held {
			part.Used = useMapped
		}
		part.OSD = u.osd(part.Path)
		disk.Partitions = append(disk.Partitions, part)
	}
	slices.SortFunc(disk.Partitions, func(a, b Disk) int { return strings.Compare(a.Name, b.Name) })
	disk.addPartitions(d.Held)
	return disk
}

// addPartitions adds to a disk what its partitions are used for.
func (d *Disk) addPartitions(held bool) {
	for _, p := range d.Partitions {
		d.Used = firstOf(d.Used, p.Used)
		d.OSD.Bluestore = d.OSD.Bluestore || p.OSD.Bluestore
		d.OSD.Encrypted = d.OSD.Encrypted || p.OSD.Encrypted
		for _, id := range p.OSD.IDs {
			d.OSD.add(id)
		}
		d.OSD.Journals += p.OSD.Journals
		d.OSD.DB += p.OSD.DB
		d.OSD.WAL += p.OSD.WAL
	}
	switch {
	case d.Used != "":
	case len(d.Partitions) > 0:
		d.Used = usePartitions
	case held:
		d.Used = useMapped
	}
}

// rotation tells the type of a disk and its speed.
func rotation(d Device, props udev) (string, int) {
	switch d.Rotational {
	case "0":
		if strings.HasPrefix(d.Name, "nvme") {
			return NVMe, 0
		}
		return SSD, 0
	case "1":
		if rpm, err := strconv.Atoi(props["ID_ATA_ROTATION_RATE_RPM"]); err == nil && rpm >= 0 {
			return HDD, rpm
		}
		if props["ID_BUS"] == "usb" {
			return USB, 0
		}
	}
	return Unknown, -1
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// AddSMART takes over what a report says about health, and about wear if the disk can wear.
func (d *Disk) AddSMART(s SMART) {
	d.health = firstOf(s.Health, unknownHealth)
	if life, ok := s.Life(); ok && d.Wears() {
		d.life = strconv.Itoa(life)
	}
}

// Wears tells whether a disk's life counts writes, so that its full report is worth asking for.
func (d *Disk) Wears() bool { return d.Type == SSD || d.Type == NVMe }
