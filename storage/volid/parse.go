package volid

import (
	"slices"
	"strconv"
	"strings"
)

// Parse reads a volume name as storages of the given type write them. The errors'
// texts are those of Proxmox VE; errors.Is(err, ErrSyntax) holds for all of them.
func Parse(typ, name string) (Volume, error) {
	if len(name) > maxID || hasControl(name) || !componentsFit(name) {
		return Volume{}, unparsable(typ, name)
	}
	switch typ {
	case "dir", "btrfs", "nfs", "cifs", "cephfs":
		return parseFile(name)
	case "lvm":
		return parseLVM(name)
	case "lvmthin":
		return parseLVMThin(name)
	case "zfspool", "zfs":
		return parseZFS(name)
	case "rbd":
		return parseRBD(name)
	case "iscsi":
		return parseISCSI(name)
	case "iscsidirect":
		return parseISCSIDirect(name)
	case "pbs":
		return parsePBS(name)
	case "esxi":
		return parseESXi(name)
	}
	return Volume{}, syntaxError("unknown storage type '%s'", typ)
}

func unparsable(typ, name string) error {
	switch typ {
	case "dir", "btrfs", "nfs", "cifs", "cephfs":
		return syntaxError("unable to parse directory volume name '%s'", name)
	case "lvm", "lvmthin":
		return syntaxError("unable to parse lvm volume name '%s'", name)
	case "zfspool", "zfs":
		return syntaxError("unable to parse zfs volume name '%s'", name)
	case "rbd":
		return syntaxError("unable to parse rbd volume name '%s'", name)
	case "iscsi", "iscsidirect":
		return syntaxError("unable to parse iscsi volume name '%s'", name)
	case "pbs":
		return syntaxError("unable to parse PBS volume name '%s'", name)
	case "esxi":
		return syntaxError("failed to parse volname '%s'", name)
	}
	return syntaxError("unknown storage type '%s'", typ)
}

// componentsFit refuses components that no file system holds or that name a folder
// above: they are never part of a volume's name.
func componentsFit(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxName || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// guestID reads the digits of a guest's id. 0 stands for "no guest", so a name that
// says 0 has none.
func guestID(s string) (int, bool) {
	if s == "" || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0
}

// ownedName reads PREFIX-VMID-REST, as volumes of guests are named on block storages.
// REST is not empty and holds no character that separates parts of a path, of a
// snapshot's name or of an image's option string.
func ownedName(s string, prefixes ...string) (prefix string, vmid int, ok bool) {
	prefix, rest, found := strings.Cut(s, "-")
	if !found || !slices.Contains(prefixes, prefix) {
		return "", 0, false
	}
	digits, tail, found := strings.Cut(rest, "-")
	if !found || tail == "" || strings.ContainsAny(tail, " \t/@:,;#%\\'\"") {
		return "", 0, false
	}
	vmid, ok = guestID(digits)
	return prefix, vmid, ok
}

func parseLVM(name string) (Volume, error) {
	if err := checkLVMName(name); err != nil {
		return Volume{}, err
	}
	_, vmid, ok := ownedName(name, "vm")
	if !ok {
		return Volume{}, unparsable("lvm", name)
	}
	format := "raw"
	if strings.HasSuffix(name, ".qcow2") {
		format = "qcow2"
	}
	return Volume{Content: Images, Name: name, VMID: vmid, Format: format}, nil
}

func parseLVMThin(name string) (Volume, error) {
	if err := checkLVMName(name); err != nil {
		return Volume{}, err
	}
	prefix, vmid, ok := ownedName(name, "vm", "base")
	if !ok {
		return Volume{}, unparsable("lvmthin", name)
	}
	return Volume{Content: Images, Name: name, VMID: vmid, Base: prefix == "base", Format: "raw"}, nil
}

// checkLVMName: the characters LVM takes for a volume's name.
func checkLVMName(name string) error {
	for i := range len(name) {
		c := name[i]
		if isAlnum(c) || c == '_' || c == '.' || c == '+' || c == '-' && i > 0 {
			continue
		}
		return syntaxError("lvm name '%s' contains illegal characters", name)
	}
	if name == "" {
		return syntaxError("lvm name '%s' contains illegal characters", name)
	}
	return nil
}

func parseZFS(name string) (Volume, error) {
	v, ok := parseCloned(name, []string{"base", "basevol"}, []string{"vm", "base", "subvol", "basevol"})
	if !ok {
		return Volume{}, unparsable("zfs", name)
	}
	return v, nil
}

func parseRBD(name string) (Volume, error) {
	v, ok := parseCloned(name, []string{"base"}, []string{"vm", "base"})
	if !ok {
		return Volume{}, unparsable("rbd", name)
	}
	return v, nil
}

// parseCloned reads [BASE/]NAME, the form of storages that keep the link to the base
// in the volume's name.
func parseCloned(name string, basePrefixes, prefixes []string) (Volume, bool) {
	v := Volume{Content: Images, Name: name, Format: "raw"}
	if base, own, linked := strings.Cut(name, "/"); linked {
		_, vmid, ok := ownedName(base, basePrefixes...)
		if !ok {
			return Volume{}, false
		}
		v.BaseName, v.BaseVMID, v.Name = base, vmid, own
	}
	prefix, vmid, ok := ownedName(v.Name, prefixes...)
	if !ok {
		return Volume{}, false
	}
	v.VMID = vmid
	v.Base = strings.HasPrefix(prefix, "base")
	if strings.HasSuffix(prefix, "vol") {
		v.Format = "subvol"
	}
	return v, true
}

// parseISCSI reads CHANNEL.ID.LUN.NAME, NAME an entry of /dev/disk/by-id.
func parseISCSI(name string) (Volume, error) {
	parts := strings.SplitN(name, ".", 4)
	if len(parts) != 4 || parts[3] == "" || strings.ContainsAny(parts[3], "/ \t") {
		return Volume{}, unparsable("iscsi", name)
	}
	for _, n := range parts[:3] {
		if n == "" || strings.Trim(n, "0123456789") != "" {
			return Volume{}, unparsable("iscsi", name)
		}
	}
	if parts[3] == "." || parts[3] == ".." {
		return Volume{}, unparsable("iscsi", name)
	}
	return Volume{Content: Images, Name: parts[3], Format: "raw"}, nil
}

// parseISCSIDirect reads lunN.
func parseISCSIDirect(name string) (Volume, error) {
	digits, ok := strings.CutPrefix(name, "lun")
	if !ok || digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return Volume{}, unparsable("iscsidirect", name)
	}
	return Volume{Content: Images, Name: digits, Format: "raw"}, nil
}

// parsePBS reads backup/TYPE/ID/TIME of a backup server's snapshot.
func parsePBS(name string) (Volume, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "backup" || !isBackupTime(parts[3]) || !isBackupID(parts[2]) {
		return Volume{}, unparsable("pbs", name)
	}
	v := Volume{Content: Backup, Name: strings.Join(parts[1:], "/"), Format: "pbs-" + parts[1]}
	if parts[1] != "vm" && parts[1] != "ct" && parts[1] != "host" {
		return Volume{}, unparsable("pbs", name)
	}
	v.VMID, _ = guestID(parts[2])
	return v, nil
}

func isBackupID(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '_' && (i == 0 || s[i] != '.' && s[i] != '-') {
			return false
		}
	}
	return s != ""
}

// isBackupTime: YYYY-MM-DDThh:mm:ssZ.
func isBackupTime(s string) bool {
	const form = "0000-00-00T00:00:00Z"
	if len(s) != len(form) {
		return false
	}
	for i := range len(form) {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && s[i] != form[i] {
			return false
		}
	}
	return true
}

// parseESXi reads DATACENTER/DATASTORE/PATH as the mounted tree of an ESXi host
// shows it: a .vmx is a machine's description, anything else an image.
func parseESXi(name string) (Volume, error) {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) != 3 || slices.Contains(parts, "") || strings.Contains(name, "//") {
		return Volume{}, unparsable("esxi", name)
	}
	switch {
	case strings.HasSuffix(name, ".vmx"):
		return Volume{Content: Import, Name: name, Format: "vmx"}, nil
	case strings.HasSuffix(name, ".vmdk"):
		return Volume{Content: Images, Name: name, Format: "vmdk"}, nil
	}
	return Volume{Content: Images, Name: name, Format: "raw"}, nil
}
