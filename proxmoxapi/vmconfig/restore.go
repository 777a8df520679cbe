package vmconfig

import (
	"io"
	"regexp"
	"strings"
)

// RestoreOptions say how the configuration of a backup becomes that of the restored VM.
type RestoreOptions struct {
	Volumes   map[string]string // new volume of each restored drive, by its key
	Unique    bool              // new MAC addresses and SMBIOS UUID
	MACPrefix string            // datacenter option mac_prefix
	Random    io.Reader         // nil: crypto/rand
}

var (
	droppedInRestore = regexp.MustCompile(`^(?:#qmdump#|#vzdump#|lock:|unused\d+:|parent:)`)
	restoreLine      = regexp.MustCompile(`^([a-z][a-z_-]*[0-9]*):[ \t]*(.*?)[ \t\r]*$`)
)

// RestoreText rewrites the configuration text of a backup: marks and left-overs of the backup are dropped, drives that
// were restored get their new volume, drives that were not part of the backup become comments, and identities are made
// new where asked. Everything else, the order of the lines too, stays; the caller parses the result as any config,
// and overrides options of the request in that.
func RestoreText(text string, o RestoreOptions) (string, error) {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.HasPrefix(line, "[") {
			break // a backup's config has no sections; whatever stands there is not restored
		}
		if droppedInRestore.MatchString(line) {
			continue
		}
		line, err := restoreOption(line, o)
		if err != nil {
			return "", err
		}
		b.WriteString(line + "\n")
	}
	return b.String(), nil
}

func restoreOption(line string, o RestoreOptions) (string, error) {
	m := restoreLine.FindStringSubmatch(line)
	if m == nil {
		return line, nil
	}
	key, value := m[1], m[2]
	switch {
	case IsDrive(key):
		return restoreDrive(line, key, value, o), nil
	case key == "vmgenid" && value != "0":
		uuid, err := NewUUID(o.Random)
		return key + ": " + uuid, err
	case IsNet(key) && o.Unique:
		n, err := ParseNet(value)
		if err != nil || n.MAC == "" {
			return line, nil
		}
		n.MAC, err = NewMAC(o.MACPrefix, o.Random)
		return key + ": " + n.String(), err
	case key == "smbios1" && o.Unique:
		s, err := ParseSMBIOS1(value)
		if err != nil {
			return line, nil
		}
		s.UUID, err = NewUUID(o.Random)
		return key + ": " + s.String(), err
	}
	return line, nil
}

func restoreDrive(line, key, value string, o RestoreOptions) string {
	d, err := ParseDrive(key, value)
	if err != nil {
		return line
	}
	volume, restored := o.Volumes[key]
	if !restored {
		if d.Backup.Set && !d.Backup.Value {
			return "#" + line
		}
		return line
	}
	d.File, d.Format = volume, ""
	parts := []string{volume}
	for part := range strings.SplitSeq(value, ",") { // the other keys stay in their written order
		name, _, hasKey := strings.Cut(part, "=")
		if hasKey && name != "file" && name != "volume" && name != "format" {
			parts = append(parts, part)
		}
	}
	return key + ": " + strings.Join(parts, ",")
}

// DeviceMap is one line of a backup's config that says which drive a device of the backup is.
type DeviceMap struct {
	Drive   string // scsi0
	Device  string // drive-scsi0
	Storage string // where it was
	Format  string // of the volume, "" when the storage has only one
}

var deviceMapLine = regexp.MustCompile(`^#qmdump#map:([^:]+):([^:]+):([^:]*):([^:]*):$`)

// DeviceMaps returns the device map of a backup's configuration text.
func DeviceMaps(text string) []DeviceMap {
	var out []DeviceMap
	for line := range strings.SplitSeq(text, "\n") {
		if m := deviceMapLine.FindStringSubmatch(strings.TrimRight(line, blanks)); m != nil && IsDrive(m[1]) {
			out = append(out, DeviceMap{Drive: m[1], Device: m[2], Storage: m[3], Format: m[4]})
		}
	}
	return out
}
