package pveconf

import (
	"os"
	"strings"
	"time"
)

// guestRule has options of guests and of the node's time.
func guestRule(name string) func(string) error {
	switch name {
	case "pve-hotplug-features":
		return checkHotplug
	case "pve-phys-bits":
		return simple(isPhysBits, "value must be an integer between 8 and 64 or 'host'")
	case "pve-cpuset":
		return simple(isCPUSet, "unable to parse cpuset option")
	case "pve-startup-order":
		return simple(isStartup, "unable to parse startup options")
	case "pve-qm-bootdev":
		return simple(isBootDevice, "invalid boot device '{v}'")
	case "pve-qm-bootdisk":
		return simple(isBootDisk, "invalid boot disk '{v}'")
	case "pve-lxc-dev-string":
		return simple(isDevicePath, "{v} is not a valid device path")
	case "pve-lxc-mp-string":
		return simple(isMountPoint, "{v} contains illegal character sequences")
	case "timezone":
		return simple(isTimezone, "invalid time zone '{v}'")
	case "pve-ct-timezone":
		return simple(func(v string) bool { return v == "host" || isTimezone(v) }, "invalid time zone '{v}'")
	case "pve-day-of-week":
		return simple(func(v string) bool { return len(v) == 3 && weekday(v) >= 0 && class(lower).all(v) }, "invalid day '{v}'")
	case "pve-calendar-event":
		return checkCalendarEvent
	case "pve-task-status-type":
		return simple(func(v string) bool {
			switch strings.ToLower(v) {
			case "ok", "error", "warning", "unknown":
				return true
			}
			return false
		}, "invalid status '{v}'")
	}
	return nil
}

func checkHotplug(v string) error {
	if v == "0" || v == "1" {
		return nil
	}
	for _, feature := range SplitList(v) {
		switch feature {
		case "network", "disk", "cpu", "memory", "usb", "cloudinit":
		default:
			return ruleError("invalid hotplug feature '{v}'", feature)
		}
	}
	return nil
}

func isPhysBits(v string) bool {
	n, ok := small(v, 64)
	return v == "host" || ok && n >= 8 && len(v) <= 2
}

func isCPUSet(v string) bool {
	return each(v, ",", func(part string) bool {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		low, ok := small(strings.TrimSpace(from), 1<<20)
		if !ok || !isRange {
			return ok
		}
		high, ok := small(strings.TrimSpace(to), 1<<20)
		return ok && low <= high
	})
}

func isStartup(v string) bool {
	if v == "" || v == "0" {
		return false
	}
	return each(v, ",", func(part string) bool {
		if part = strings.TrimSpace(part); part == "" {
			return true
		}
		key, number, given := strings.Cut(part, "=")
		switch {
		case !given:
			number = part
		case key != "order" && key != "up" && key != "down":
			return false
		}
		return class(digit).all(number)
	})
}

// family is a numbered option: prefix, and how many there are.
type family struct {
	prefix string
	count  int
}

func inFamily(v string, families ...family) bool {
	for _, f := range families {
		if n, ok := strings.CutPrefix(v, f.prefix); ok {
			if i, ok := small(n, f.count-1); ok && i >= 0 && (len(n) == 1 || n[0] != '0') {
				return true
			}
		}
	}
	return false
}

func isDisk(v string) bool {
	return inFamily(v, family{"ide", 4}, family{"sata", 6}, family{"scsi", 31}, family{"virtio", 16})
}

func isBootDisk(v string) bool { return isDisk(v) || v == "efidisk0" || v == "tpmstate0" }

func isBootDevice(v string) bool {
	return isDisk(v) || inFamily(v, family{"net", 32}, family{"usb", 14}, family{"hostpci", 16})
}

// isDevicePath takes a path below /dev without a component that is a dot or two.
func isDevicePath(v string) bool {
	return strings.HasPrefix(v, "/dev/") && !hasControl(v) && each(v, "/", func(part string) bool { return part != "." && part != ".." })
}

func isMountPoint(v string) bool {
	return !strings.Contains(v, "/./") && !strings.Contains(v, "/../") && !strings.HasSuffix(v, "/.") &&
		!strings.HasSuffix(v, "/..") && !strings.HasPrefix(v, "../") && !hasControl(v)
}

// zoneTable lists the time zones of places, the third column of each line.
const zoneTable = "/usr/share/zoneinfo/zone.tab"

// isTimezone takes UTC and the time zones that the host lists. A host without the list has those that Go can load.
func isTimezone(v string) bool {
	if v == "UTC" {
		return true
	}
	if v == "" || v[0] < 'A' || v[0] > 'Z' || !strings.Contains(v, "/") {
		return false
	}
	table, err := os.ReadFile(zoneTable)
	if err != nil {
		_, err = time.LoadLocation(v)
		return err == nil
	}
	for line := range strings.Lines(string(table)) {
		if columns := strings.Split(strings.TrimRight(line, "\n"), "\t"); line[0] != '#' && len(columns) > 2 && columns[2] == v {
			return true
		}
	}
	return false
}
