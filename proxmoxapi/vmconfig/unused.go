package vmconfig

import (
	"maps"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// AddUnused registers a volume as unusedN with the lowest free number and returns the key. A volume that is listed
// already keeps its key. Whether a volume may be listed (owned by the VM, no CD-ROM, no path) is the caller's question.
func (s Section) AddUnused(volume string) (key string, err error) {
	free := ""
	for i := unusedCount - 1; i >= 0; i-- {
		key := "unused" + strconv.Itoa(i)
		value, ok := s[key]
		if !ok {
			free = key
			continue
		}
		if d, err := ParseDrive(key, value); err == nil && d.File == volume {
			return key, nil
		}
	}
	if free == "" {
		return "", call.Errorf("Too many unused volumes - please delete them first.")
	}
	s[free] = volume
	return free, nil
}

// Reference is one place of a configuration that names a volume.
type Reference struct {
	Section string // "" main, "pending", or the snapshot's name
	Key     string // drive, unusedN or vmstate
}

// References returns every place that names a volume.
func (c *Config) References(volume string) []Reference {
	var out []Reference
	look := func(name string, s Section) {
		for _, key := range s.Keys() {
			if key == "vmstate" && s[key] == volume {
				out = append(out, Reference{name, key})
			}
			if d, ok, err := s.Drive(key); (IsDrive(key) || IsUnused(key)) && ok && err == nil && d.File == volume {
				out = append(out, Reference{name, key})
			}
		}
	}
	look("", c.Main)
	look("pending", c.Pending)
	for _, name := range slices.Sorted(maps.Keys(c.Snapshots)) {
		look(name, c.Snapshots[name])
	}
	return out
}
