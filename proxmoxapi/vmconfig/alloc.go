package vmconfig

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// VolumeKind says what the volume of a drive in a request asks for.
type VolumeKind int

// The kinds of volumes in a request.
const (
	VolumeExisting  VolumeKind = iota // STORAGE:NAME as it is
	VolumeNew                         // STORAGE:GIB
	VolumeCloudInit                   // STORAGE:cloudinit
	VolumeImport                      // STORAGE:0,import-from=SOURCE
	VolumePath                        // /absolute/path
	VolumeNone                        // CD-ROM without medium
	VolumeHostCDROM                   // the host's CD-ROM drive
)

// VolumeRequest is what the volume of a drive in a create or update request asks for.
type VolumeRequest struct {
	Kind      VolumeKind
	Storage   string // of kinds New, CloudInit, Import and Existing
	SizeBytes int64  // of New: a multiple of 1 KiB. Fixed for efidisk0 and tpmstate0, whose SIZE is ignored
	Format    string // wanted format of New, CloudInit and Import, "" for the storage's default
	Source    string // of Import: volume id or absolute path
	Volume    string // of Existing and Path: the value as given
}

// TPMStateBytes and CloudInitBytes are the fixed sizes of the volumes of tpmstate0 and of cloud-init drives.
const (
	TPMStateBytes  = 4 << 20
	CloudInitBytes = 4 << 20
)

var newVolume = regexp.MustCompile(`^(?:([a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):)?(\d+(?:\.\d+)?)$`)

// ParseVolumeRequest reads the volume of a drive in a request. defaultStorage stands in for a missing STORAGE: of new
// volumes, and may be empty. Errors are those of the API, by the drive's key.
func ParseVolumeRequest(d Drive, defaultStorage string) (VolumeRequest, error) {
	r := VolumeRequest{Format: d.Format, Volume: d.File}
	if d.ImportFrom != "" {
		return parseImport(d, r)
	}
	switch storage, name, _ := d.Volume(); {
	case d.File == "none":
		r.Kind = VolumeNone
	case d.File == "cdrom":
		r.Kind = VolumeHostCDROM
	case d.File == "cloudinit" || name == "cloudinit":
		r.Kind, r.Storage = VolumeCloudInit, orDefault(storage, defaultStorage)
		if r.Storage == "" {
			return r, errNoStorage()
		}
	case d.IsPath():
		r.Kind = VolumePath
	case newVolume.MatchString(d.File):
		return parseNewVolume(d, r, defaultStorage)
	default:
		r.Kind, r.Storage = VolumeExisting, storage
		if d.Media != "cdrom" && strings.HasPrefix(name, "iso/") {
			return r, call.Param(d.Key, "explicit 'media=cdrom' is required for iso images")
		}
	}
	return r, nil
}

func parseNewVolume(d Drive, r VolumeRequest, defaultStorage string) (VolumeRequest, error) {
	m := newVolume.FindStringSubmatch(d.File)
	r.Kind, r.Storage = VolumeNew, orDefault(m[1], defaultStorage)
	if r.Storage == "" {
		return r, errNoStorage()
	}
	switch d.Bus() {
	case "tpmstate":
		r.SizeBytes = TPMStateBytes
		return r, nil
	case "efidisk":
		return r, nil // the size is the firmware template's
	}
	gib, err := strconv.ParseFloat(m[2], 64)
	kib := math.Ceil(gib * (1 << 20))
	if err != nil || kib > math.MaxInt64>>11 {
		return r, call.Param(d.Key, "unable to parse drive options")
	}
	r.SizeBytes = int64(kib) << 10
	return r, nil
}

func parseImport(d Drive, r VolumeRequest) (VolumeRequest, error) {
	m := newVolume.FindStringSubmatch(d.File)
	if m == nil || m[1] == "" || strings.Trim(m[2], "0.") != "" {
		return r, call.Param(d.Key, "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>")
	}
	needed := map[string]map[string]bool{
		"efidisk":  {"efitype": d.EFIType != "", "pre-enrolled-keys": d.PreEnrolledKeys.Set},
		"tpmstate": {"version": d.Version != ""},
	}
	for _, key := range []string{"efitype", "pre-enrolled-keys", "version"} {
		if given, isNeeded := needed[d.Bus()][key]; isNeeded && !given {
			return r, call.Param(d.Key, "need to specify '%s' when using 'import-from'", key)
		}
	}
	r.Kind, r.Storage, r.Source, r.Volume = VolumeImport, m[1], d.ImportFrom, ""
	return r, nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func errNoStorage() error {
	return call.Errorf("no storage ID specified (and no default storage)")
}
