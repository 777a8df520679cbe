package pveconf

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// storageRule has storages, volumes and what they hold.
func storageRule(name string) func(string) error {
	switch name {
	case "pve-storage-id":
		return checkStorageID
	case "pve-storage-content":
		return simple(isContent, "invalid content type '{v}'")
	case "pve-storage-format":
		return simple(func(v string) bool { return v == "raw" || v == "qcow2" || v == "vmdk" || v == "subvol" }, "invalid format '{v}'")
	case "pve-storage-options":
		return simple(class(graphic).all, "invalid options '{v}'")
	case "pve-storage-path":
		return simple(func(v string) bool { return isPath(v, ";()") }, "value does not look like a valid absolute path")
	case "pve-storage-path-in-property-string":
		return simple(func(v string) bool { return isPath(v, ";,=()") }, "value does not look like a valid absolute path")
	case "pve-storage-portal-dns":
		return simple(isPortal, "value does not look like a valid portal address")
	case "pve-storage-server":
		return simple(isAddress, "value does not look like a valid server name or IP address")
	case "pve-storage-vgname":
		return simple(func(v string) bool { return framed(v, alnum, class(alnum).and("-_."), alnum) }, "lvm name '{v}' contains illegal characters")
	case "pve-storage-zfs-blocksize":
		return checkBlockSize
	case "pve-dir-override":
		return simple(isDirOverride, "invalid override '{v}'")
	case "pve-volume-id":
		return simple(isVolumeID, "unable to parse volume ID '{v}'")
	case "pve-volume-id-or-absolute-path":
		return simple(isVolumeOrPath, "unable to parse volume ID '{v}'")
	case "pve-volume-id-or-qm-path":
		return simple(func(v string) bool { return v == "none" || v == "cdrom" || isVolumeOrPath(v) }, "unable to parse volume ID '{v}'")
	case "storage-pair":
		return pairRule(checkStorageID)
	case "disk-size":
		return simple(isDiskSize, "value does not look like a valid disk size: {v}")
	}
	return nil
}

func isStorageID(v string) bool { return framed(v, alpha, class(alnum).and("-_."), alnum) }

func checkStorageID(v string) error {
	switch {
	case len(v) < 2:
		return ruleError("storage ID '{v}' cannot be shorter than 2 characters", v)
	case !isStorageID(v):
		return ruleError("storage ID '{v}' contains illegal characters", v)
	}
	return nil
}

func isContent(v string) bool {
	switch v {
	case "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "none", "import":
		return true
	}
	return false
}

// isPath takes an absolute path whose first character after the slash is none of refused. What follows is free, but for
// control characters.
func isPath(v, refused string) bool {
	return len(v) > 1 && v[0] == '/' && strings.IndexByte(refused, v[1]) < 0 && !hasControl(v)
}

func hasControl(v string) bool {
	return strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func isVolumeID(v string) bool {
	storage, volume, ok := strings.Cut(v, ":")
	return ok && isStorageID(storage) && volume != "" && !strings.Contains(volume, "\n")
}

func isVolumeOrPath(v string) bool {
	return strings.HasPrefix(v, "/") && !hasControl(v) || isVolumeID(v)
}

// isPortal takes HOST[:PORT], [HOST][:PORT] with anything for a host in the brackets, and ADDRESS[.PORT] for IPv6.
func isPortal(v string) bool {
	if inner, ok := strings.CutPrefix(v, "["); ok {
		host, port, ok := strings.Cut(inner, "]")
		return ok && host != "" && (port == "" || port[0] == ':' && class(digit).all(port[1:])) && !hasControl(v)
	}
	if isIPv6(v) {
		return true
	}
	if i := strings.LastIndexByte(v, '.'); i > 0 && strings.Contains(v, ":") && isIPv6(v[:i]) {
		return class(digit).all(v[i+1:])
	}
	host, port, given := strings.Cut(v, ":")
	return class(alnum).and(".-").all(host) && (!given || class(digit).all(port))
}

func checkBlockSize(v string) error {
	if v == "" {
		return nil
	}
	digits, shift := v, 0
	switch v[len(v)-1] | 0x20 {
	case 'k':
		digits, shift = v[:len(v)-1], 10
	case 'm':
		digits, shift = v[:len(v)-1], 20
	}
	if !class(digit).all(digits) || digits[0] == '0' {
		return ruleError("invalid ZFS blocksize format '{v}'. Use a number, optionally with the unit k or m.", v)
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if n <<= shift; err != nil || bits.OnesCount64(n) != 1 || n < 512 || n > 16<<20 {
		return ruleError("value '{v}' is not a valid ZFS blocksize. It must be a power of two from 512 to 16M.", v)
	}
	return nil
}

func isDirOverride(v string) bool {
	content, path, ok := strings.Cut(v, "=")
	if !ok || !isContent(content) || path == "" || len(path) >= 1023 || hasControl(path) {
		return false
	}
	return each(path, "/", func(part string) bool {
		return len(part) < 255 && !strings.Contains(part, "..") && !strings.HasSuffix(part, ".")
	})
}

// pairRule checks one element of a map of ids: "1", "SOURCE:TARGET" or "TARGET".
func pairRule(id func(string) error) func(string) error {
	return func(v string) error {
		if v == "1" {
			return nil
		}
		for part := range strings.SplitSeq(v, ":") {
			if err := id(part); err != nil {
				return errors.New("entry '" + v + "' contains invalid ID - " + err.Error())
			}
		}
		if strings.Count(v, ":") > 1 {
			return errors.New("entry '" + v + "' contains invalid ID - more than one colon")
		}
		return nil
	}
}

// isDiskSize takes a decimal number with one of the units K, M, G, T, KiB, MiB, GiB and TiB, or none.
func isDiskSize(v string) bool {
	number := strings.TrimSuffix(v, "iB")
	bare := strings.TrimRight(number, "KMGT")
	if units := len(number) - len(bare); units > 1 || units == 0 && number != v {
		return false
	}
	whole, fraction, given := strings.Cut(bare, ".")
	return class(digit).all(whole) && (!given || class(digit).all(fraction))
}
