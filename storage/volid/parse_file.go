package volid

import (
	"slices"
	"strings"
)

// parseFile reads the names of storages that are folders: guest images lie under
// their guest's id, everything else under the word of its content.
func parseFile(name string) (Volume, error) {
	first, rest, ok := strings.Cut(name, "/")
	if !ok || rest == "" {
		return Volume{}, unparsable("dir", name)
	}
	if vmid, ok := guestID(first); ok {
		return parseImage(vmid, rest)
	}
	v := Volume{Content: Content(first), Name: rest, Format: "raw"}
	switch v.Content {
	case ISO:
		ok = isISOName(rest)
	case VZTmpl:
		ok = isTemplateName(rest)
	case Backup:
		ok = isArchiveName(rest)
		v.VMID = archiveOwner(rest)
	case Snippets:
		ok = !strings.Contains(rest, "/")
	case Import:
		v.Format, ok = importFormat(rest)
	default:
		ok = false
	}
	if !ok {
		return Volume{}, unparsable("dir", name)
	}
	return v, nil
}

// parseImage reads what follows a guest's id: NAME, or the linked form
// BASENAME/VMID/NAME.
func parseImage(vmid int, rest string) (Volume, error) {
	if parts := strings.Split(rest, "/"); len(parts) == 3 {
		if owner, ok := guestID(parts[1]); ok {
			baseName, _, _, err := parseImageName(parts[0])
			if err != nil {
				return Volume{}, err
			}
			name, format, base, err := parseImageName(parts[2])
			if err != nil {
				return Volume{}, err
			}
			return Volume{Content: Images, Name: name, VMID: owner, BaseName: baseName, BaseVMID: vmid, Base: base, Format: format}, nil
		}
	}
	name, format, base, err := parseImageName(rest)
	if err != nil {
		return Volume{}, err
	}
	return Volume{Content: Images, Name: name, VMID: vmid, Base: base, Format: format}, nil
}

// parseImageName reads a disk image's file name. A name with a guest's id in it is the
// ordinary form; other names are taken as they are, but a snapshot's file is not a
// volume.
func parseImageName(s string) (name, format string, base bool, err error) {
	stem, format, ok := cutLast(s, ".")
	bad := !ok || stem == "" || strings.ContainsAny(s, "/ \t") || !slices.Contains(imageFormats(), format)
	if !bad {
		if prefix, digits, found := strings.Cut(stem, "-"); found {
			id, tail, found := strings.Cut(digits, "-")
			owned := found && tail != "" && id != "" && strings.Trim(id, "0123456789") == ""
			if owned && slices.Contains([]string{"vm", "base", "subvol"}, prefix) {
				return s, format, prefix == "base", nil
			}
		}
	}
	if strings.HasPrefix(s, "snap-") && strings.HasSuffix(s, ".qcow2") {
		return "", "", false, syntaxError("'%s' is a snapshot filename, not a volume!", s)
	}
	after, hasBase := strings.CutPrefix(stem, "base-")
	if bad || hasBase && after == "" {
		return "", "", false, syntaxError("unable to parse volume filename '%s'", s)
	}
	return s, format, hasBase, nil
}

// cutLast cuts at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// fileWithEnding tells whether s is one component with something before one of the
// endings.
func fileWithEnding(s string, endings ...string) bool {
	if strings.Contains(s, "/") {
		return false
	}
	return slices.ContainsFunc(endings, func(e string) bool { return len(s) > len(e) && strings.HasSuffix(s, e) })
}

func isISOName(s string) bool { return fileWithEnding(strings.ToLower(s), ".iso", ".img") }

func isTemplateName(s string) bool {
	return fileWithEnding(strings.ToLower(s), ".tar", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2")
}

// archiveEndings are the file name endings of backups, which matter in their case.
func archiveEndings() []string {
	e := []string{".tgz", ".tar", ".vma"}
	for _, c := range []string{".gz", ".lzo", ".zst", ".bz2"} {
		e = append(e, ".tar"+c, ".vma"+c)
	}
	return e
}

func isArchiveName(s string) bool { return fileWithEnding(s, archiveEndings()...) }

// archiveOwner reads the guest out of vzdump-TYPE-VMID-….
func archiveOwner(s string) int {
	for _, kind := range []string{"openvz", "lxc", "qemu"} {
		rest, ok := strings.CutPrefix(s, "vzdump-"+kind+"-")
		if !ok {
			continue
		}
		if digits, _, found := strings.Cut(rest, "-"); found {
			id, _ := guestID(digits)
			return id
		}
	}
	return 0
}

// importFormat reads FILE.EXT or ARCHIVE.ova/MEMBER.EXT.
func importFormat(s string) (string, bool) {
	archive, member, inside := strings.Cut(s, "/")
	if !inside {
		stem, ext, _ := cutLast(archive, ".")
		ok := stem != "" && isImportChars(archive) && slices.Contains([]string{"ova", "ovf", "qcow2", "raw", "vmdk"}, ext)
		return ext, ok
	}
	stem, ext, _ := cutLast(member, ".")
	ok := len(archive) > len(".ova") && strings.HasSuffix(archive, ".ova") && isImportChars(archive) &&
		stem != "" && isImportChars(member) && slices.Contains([]string{"qcow2", "raw", "vmdk"}, ext)
	return "ova+" + ext, ok
}

// isImportChars: letters, digits and a few marks; a blank is allowed, a slash is not.
func isImportChars(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && !strings.ContainsRune(" .+=_-", rune(s[i])) {
			return false
		}
	}
	return true
}
