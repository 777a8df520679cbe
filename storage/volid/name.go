package volid

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxDisks bounds the search for a free name.
const maxDisks = 1024

// NextName returns the name of a new disk of a guest: the lowest number that none of
// the taken names uses. taken are the names that exist: volume names as [Parse] reads
// them, or the bare names of volumes in the volume group or pool; which of them count
// depends on the type.
func (s Storage) NextName(vmid int, format string, taken []string) (string, error) {
	k, _ := KindOf(s.Type)
	prefix := "vm"
	if format == "subvol" {
		prefix = "subvol"
	}
	ending := ""
	if k.Path || s.Type == "lvm" && format == "qcow2" {
		ending = "." + format
	}
	used := s.takenNumbers(vmid, ending, taken)
	for n := range maxDisks {
		if used[n] {
			continue
		}
		name := fmt.Sprintf("%s-%d-disk-%d%s", prefix, vmid, n, ending)
		if k.Path {
			return strconv.Itoa(vmid) + "/" + name, nil
		}
		return name, nil
	}
	return "", fmt.Errorf("unable to allocate an image name for VM %d in storage '%s'", vmid, s.ID)
}

// takenNumbers collects the disk numbers in use. Where a type knows sub volumes, disks
// and sub volumes share one row of numbers, whatever their ending; elsewhere only
// names with the same ending count.
func (s Storage) takenNumbers(vmid int, ending string, taken []string) map[int]bool {
	k, _ := KindOf(s.Type)
	shared := slices.Contains(k.Formats, "subvol")
	words := "vm|base"
	if shared {
		words = "vm|base|subvol|basevol"
	}
	re := regexp.MustCompile(fmt.Sprintf(`(?:%s)-%d-disk-(\d+)(.*)$`, words, vmid))
	used := map[int]bool{}
	for _, name := range taken {
		m := re.FindStringSubmatch(name)
		if m == nil || !shared && ending != "" && m[2] != ending {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			used[n] = true
		}
	}
	return used
}

// CloudInitName returns the name of a guest's cloud-init drive in this format.
func (s Storage) CloudInitName(vmid int, format string) string {
	return s.fixedName(vmid, "cloudinit", format)
}

// StateName returns the name of the volume that keeps the memory of a snapshot.
func (s Storage) StateName(vmid int, snap string) string {
	return s.fixedName(vmid, "state-"+snap, "raw")
}

// FleeceName returns the name of a guest's n-th fleecing image.
func (s Storage) FleeceName(vmid, n int, format string) string {
	return s.fixedName(vmid, "fleece-"+strconv.Itoa(n), format)
}

func (s Storage) fixedName(vmid int, what, format string) string {
	name := fmt.Sprintf("vm-%d-%s", vmid, what)
	k, _ := KindOf(s.Type)
	switch {
	case k.Path:
		return fmt.Sprintf("%d/%s.%s", vmid, name, format)
	case s.Type == "lvm" && format == "qcow2":
		return name + ".qcow2"
	}
	return name
}

// BaseName returns the name that a volume gets when it becomes a base image. The link
// of a clone to its own base stays in it.
func (s Storage) BaseName(name string) (string, error) {
	v, err := s.Parse(name)
	if err != nil {
		return "", err
	}
	if v.Base {
		return "", &Error{Text: "create_base not possible with base image", Class: ErrSyntax}
	}
	from, to := "vm-", "base-"
	if s.Type == "zfspool" && v.Format == "subvol" {
		from, to = "subvol-", "basevol-"
	}
	rest, ok := strings.CutPrefix(v.Name, from)
	if !ok {
		return "", unparsable(s.Type, name)
	}
	v.Name = to + rest
	return v.VolumeName(s.Type), nil
}
