package hostdisk

import (
	"slices"
	"strconv"
	"strings"
)

// OSD is what a device is to Ceph.
type OSD struct {
	// IDs of the OSDs whose data it has, in the order found.
	IDs []int
	// Bluestore and Encrypted describe the OSD's data.
	Bluestore, Encrypted bool
	// Journals, DB and WAL count what it holds for OSDs, here or on other devices.
	Journals, DB, WAL int
}

// ID is the first OSD, -1 if there is none.
func (o OSD) ID() int {
	if len(o.IDs) == 0 {
		return -1
	}
	return o.IDs[0]
}

func (o *OSD) add(id int) {
	if !slices.Contains(o.IDs, id) {
		o.IDs = append(o.IDs, id)
	}
}

// osdVolumes are the logical volumes for OSDs on one physical volume.
type osdVolumes struct {
	OSD
	any bool
}

// readLVs reads the list of logical volumes: DEVICES;NAME;TAGS. Those of OSDs are named osd-KIND-….
func readLVs(text string) map[string]osdVolumes {
	found := map[string]osdVolumes{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ";", 3)
		if len(parts) < 3 {
			continue
		}
		kind, ok := strings.CutPrefix(parts[1], "osd-")
		if kind, _, _ = strings.Cut(kind, "-"); !ok {
			continue
		}
		for dev := range strings.SplitSeq(parts[0], ",") {
			dev, _, _ = strings.Cut(strings.TrimSpace(dev), "(") // the extent where it starts
			v := found[dev]
			v.read(kind, parts[2])
			found[dev] = v
		}
	}
	return found
}

func (v *osdVolumes) read(kind, tags string) {
	v.any = true
	switch kind {
	case "journal":
		v.Journals++
	case "db":
		v.DB++
	case "wal":
		v.WAL++
	case "block", "data":
		id, encrypted := -1, false
		for tag := range strings.SplitSeq(tags, ",") {
			if n, ok := strings.CutPrefix(tag, "ceph.osd_id="); ok {
				id = osdID(n)
			}
			encrypted = encrypted || tag == "ceph.encrypted=1"
		}
		if id >= 0 {
			v.add(id)
			v.Bluestore, v.Encrypted = kind == "block", encrypted
		}
	}
}

// osdID reads an OSD's number; -1 if it is none.
func osdID(s string) int {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return int(n)
	}
	return -1
}

// mountedOSD returns the OSD whose folder a path is, -1 if it is none.
func mountedOSD(path string) int {
	n, ok := strings.CutPrefix(path, "/var/lib/ceph/osd/ceph-")
	if !ok {
		return -1
	}
	return osdID(n)
}
