package vmconfig

import (
	"fmt"
	"regexp"
	"strings"
)

// Drive is one drive or unusedN entry. Fields that a bus does not know stay empty; String prints what is given.
// See vm_drive formats: "file" is the volume (STORAGE:NAME), an absolute path, "none" or "cdrom".
type Drive struct {
	Key string // scsi0, efidisk0, unused3

	File     string    `pve:"file"`
	Media    string    `pve:"media"` // "", disk or cdrom; see IsCDROM
	Format   string    `pve:"format"`
	Size     Opt[Size] `pve:"size"`
	Snapshot Opt[bool] `pve:"snapshot"`
	Cache    string    `pve:"cache"`
	AIO      string    `pve:"aio"`
	Discard  string    `pve:"discard"`

	DetectZeroes Opt[bool] `pve:"detect_zeroes"`
	IOThread     Opt[bool] `pve:"iothread"`
	Queues       Opt[int]  `pve:"queues"`
	SSD          Opt[bool] `pve:"ssd"`
	ReadOnly     Opt[bool] `pve:"ro"`
	SCSIBlock    Opt[bool] `pve:"scsiblock"`
	ReadError    string    `pve:"rerror"`
	WriteError   string    `pve:"werror"`

	Model   string `pve:"model"`  // URL encoded, as stored
	Serial  string `pve:"serial"` // URL encoded, as stored
	WWN     string `pve:"wwn"`
	Product string `pve:"product"`
	Vendor  string `pve:"vendor"`

	Backup    Opt[bool] `pve:"backup"`
	Replicate Opt[bool] `pve:"replicate"`
	Shared    Opt[bool] `pve:"shared"`

	EFIType         string    `pve:"efitype"`           // efidisk0: 2m (default) or 4m
	PreEnrolledKeys Opt[bool] `pve:"pre-enrolled-keys"` // efidisk0
	MSCert          string    `pve:"ms-cert"`           // efidisk0
	Version         string    `pve:"version"`           // tpmstate0: v1.2 (default) or v2.0
	ImportFrom      string    `pve:"import-from"`       // requests only, never stored

	// Throttle holds the limits by their config key: mbps, mbps_rd, iops_wr_max_length and so on. Nil without limits.
	Throttle map[string]string `pve:"*"`
}

// ParseDrive reads the value of a drive key (or unusedN) as it stands in a config or, with import-from, in a request.
// Besides the format it checks what Proxmox VE's drive parser refuses: see the error texts.
func ParseDrive(key, value string) (Drive, error) {
	format, ok := driveFormat(key)
	if !ok {
		return Drive{}, fmt.Errorf("%q is no drive", key)
	}
	d, err := parseAs[Drive](format, value)
	if err != nil {
		return Drive{}, err
	}
	d.Key = key
	for _, old := range []string{"bps", "bps_rd", "bps_wr"} { // the old byte limits lose their value
		delete(d.Throttle, old)
	}
	if len(d.Throttle) == 0 {
		d.Throttle = nil
	}
	return d, d.check()
}

func (d *Drive) check() error {
	if strings.Contains(d.File, "\x00") {
		return fmt.Errorf("drive '%s': NUL in the volume", d.Key)
	}
	has := func(key string) bool { limit := d.Throttle[key]; return limit != "" && limit != "0" }
	for _, what := range []string{"mbps", "iops"} {
		if has(what) && (has(what+"_rd") || has(what+"_wr")) {
			return fmt.Errorf("drive '%s': %s excludes %s_rd and %s_wr", d.Key, what, what, what)
		}
	}
	for _, suffix := range []string{"", "_rd", "_wr"} {
		if has("mbps"+suffix+"_max") && !has("mbps"+suffix) {
			return fmt.Errorf("drive '%s': mbps%s_max needs mbps%s", d.Key, suffix, suffix)
		}
		if has("bps"+suffix+"_max_length") && !has("mbps"+suffix+"_max") {
			return fmt.Errorf("drive '%s': bps%s_max_length needs mbps%s_max", d.Key, suffix, suffix)
		}
		if has("iops"+suffix+"_max_length") && !has("iops"+suffix+"_max") {
			return fmt.Errorf("drive '%s': iops%s_max_length needs iops%s_max", d.Key, suffix, suffix)
		}
	}
	if d.Media == "cdrom" {
		if d.Snapshot.Value || d.Format != "" || strings.HasPrefix(d.Key, "virtio") {
			return fmt.Errorf("drive '%s': media=cdrom excludes snapshot and format, and is not possible on virtio", d.Key)
		}
	}
	return nil
}

// String prints the value, the volume first, the other keys sorted.
func (d Drive) String() string {
	format, ok := driveFormat(d.Key)
	if !ok {
		format = formatOfBus["scsi"]
	}
	return printAs(format, &d)
}

// Props returns the given keys with their texts. The map is the caller's.
func (d Drive) Props() map[string]string { return encodeProps(&d) }

// IsCDROM reports whether the drive is a CD-ROM. A cloud-init drive counts as one.
func (d Drive) IsCDROM() bool { return d.Media == "cdrom" || d.IsCloudInit() }

var cloudInitVolume = regexp.MustCompile(`[:/](?:vm-\d+-)?cloudinit(?:\.(?:raw|qcow2?|qed|vmdk|cloop))?$`)

// IsCloudInit reports whether the drive's volume is a generated cloud-init medium (or the request for one).
func (d Drive) IsCloudInit() bool {
	return d.File == "cloudinit" || cloudInitVolume.MatchString(d.File)
}

// IsEmpty reports a CD-ROM drive without medium.
func (d Drive) IsEmpty() bool { return d.File == "none" }

// IsPath reports whether the drive is a file or device of the host by absolute path.
func (d Drive) IsPath() bool { return strings.HasPrefix(d.File, "/") }

// Volume returns the storage and the name of a storage volume; ok is false for none, cdrom and paths.
func (d Drive) Volume() (storage, name string, ok bool) { return SplitVolumeID(d.File) }

// Bus returns ide, sata, scsi, virtio, efidisk, tpmstate or unused.
func (d Drive) Bus() string { bus, _ := SplitKey(d.Key); return bus }

// Index returns the number in the drive's key.
func (d Drive) Index() int { _, index := SplitKey(d.Key); return index }

var volumeID = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9\-_.]*[a-zA-Z0-9]):(.+)$`)

// SplitVolumeID splits STORAGE:NAME.
func SplitVolumeID(id string) (storage, name string, ok bool) {
	m := volumeID.FindStringSubmatch(id)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}
