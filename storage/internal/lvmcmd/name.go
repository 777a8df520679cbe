package lvmcmd

import "strings"

// maxName is the longest name of a logical volume or volume group.
const maxName = 127

// ValidName reports whether lvm2 takes s as the name of a volume group or logical volume, as far as its characters and
// length go. See lvm(8), VALID NAMES.
func ValidName(s string) bool {
	if s == "" || s == "." || s == ".." || s[0] == '-' || len(s) > maxName {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-") == ""
}

// reserved are the parts that lvm2 keeps for volumes within volumes, and the beginnings that it keeps for itself.
var (
	reservedParts = []string{
		"_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare", "_rimage", "_rmeta",
		"_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig",
	}
	reservedStarts = []string{"pvmove", "snapshot"}
)

// Reserved reports whether lvm2 refuses the name for a volume of ours.
func Reserved(s string) bool {
	for _, p := range reservedStarts {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	for _, p := range reservedParts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// DeviceName is the name that device-mapper has for a volume: both parts with hyphens doubled, one hyphen between them.
// ok is false if it is too long for a device.
func DeviceName(group, volume string) (name string, ok bool) {
	name = strings.ReplaceAll(group, "-", "--") + "-" + strings.ReplaceAll(volume, "-", "--")
	return name, len(name) <= maxName
}
