package vmconfig

import (
	"strconv"
	"strings"
)

// family is a numbered option: key0 … key(count-1).
type family struct {
	name  string
	count int
}

// driveFamilies in the order in which Proxmox VE goes through drives.
var driveFamilies = []family{{"ide", 4}, {"scsi", 31}, {"virtio", 16}, {"sata", 6}, {"efidisk", 1}, {"tpmstate", 1}}

const unusedCount = 256

// DriveKeys returns all keys of drives in slot order: ide, scsi, virtio, sata, efidisk0, tpmstate0. Without unusedN.
func DriveKeys() []string {
	var keys []string
	for _, f := range driveFamilies {
		for i := range f.count {
			keys = append(keys, f.name+strconv.Itoa(i))
		}
	}
	return keys
}

// SplitKey splits a key into its name and its number, which is -1 for a key without number. A number with leading
// zeros belongs to the name: net01 is no netN.
func SplitKey(key string) (name string, index int) {
	name = strings.TrimRight(key, "0123456789")
	digits := key[len(name):]
	n, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(n) != digits {
		return key, -1
	}
	return name, n
}

func inFamily(key, name string, count int) bool {
	n, index := SplitKey(key)
	return n == name && index >= 0 && index < count
}

// IsDrive reports whether key is a drive (unusedN is none).
func IsDrive(key string) bool {
	for _, f := range driveFamilies {
		if inFamily(key, f.name, f.count) {
			return true
		}
	}
	return false
}

// IsUnused reports whether key is unused0 … unused255.
func IsUnused(key string) bool { return inFamily(key, "unused", unusedCount) }

// IsNet reports whether key is net0 … net31.
func IsNet(key string) bool { return inFamily(key, "net", 32) }

// IsBootDevice reports whether key can stand in a boot order: a disk of a controller, a NIC, USB or PCI device.
func IsBootDevice(key string) bool {
	name, _ := SplitKey(key)
	switch name {
	case "net":
		return IsNet(key)
	case "usb":
		return inFamily(key, "usb", 14)
	case "hostpci":
		return inFamily(key, "hostpci", 16)
	case "efidisk", "tpmstate":
		return false
	}
	return IsDrive(key)
}

var formatOfBus = map[string]string{
	"ide": "@qemu.ide+import", "sata": "@qemu.sata+import", "scsi": "@qemu.scsi+import", "virtio": "@qemu.virtio+import",
	"efidisk": "@qemu.efidisk+import", "tpmstate": "@qemu.tpmstate+import", "unused": "@qemu.unused",
}

func driveFormat(key string) (string, bool) {
	if !IsDrive(key) && !IsUnused(key) {
		return "", false
	}
	bus, _ := SplitKey(key)
	return formatOfBus[bus], true
}
