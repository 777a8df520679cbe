package volid

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BackupName is what the file name of a backup says.
type BackupName struct {
	// FileName is the last component of the path or volume name.
	FileName string
	// Guest is the kind of guest: qemu, lxc or openvz.
	Guest string
	// Format is tar or vma.
	Format string
	// Compression is gz, lzo, zst, bz2, or empty.
	Compression string
	// Standard says that the name is the one that a backup job gives, so that it names guest and time. The two fields
	// below are zero otherwise.
	Standard bool
	VMID     int
	// Created is the time in the name, read in the zone given to [ParseBackupName].
	Created time.Time

	stem string
}

// archiveTime is the form of the time in a standard name.
const archiveTime = "2006_01_02-15_04_05"

// ParseBackupName reads the name of a backup of a guest: a volume id, a volume name, a path or a bare file name, of which
// only the last component counts. The time in a standard name is wall clock time in zone. A name with an impossible
// date or guest id is not standard. An error is of class [ErrSyntax]; its text starts with
// "ERROR: couldn't determine archive info".
func ParseBackupName(name string, zone *time.Location) (BackupName, error) {
	file := name
	if i := strings.LastIndexAny(name, "/:"); i >= 0 {
		file = name[i+1:]
	}
	a, ok := parseBackupFile(file, zone)
	if !ok {
		return BackupName{}, syntaxError("ERROR: couldn't determine archive info from '%s'", name)
	}
	return a, nil
}

func parseBackupFile(file string, zone *time.Location) (BackupName, bool) {
	if len(file) > maxName || hasControl(file) || strings.Contains(file, "/") {
		return BackupName{}, false
	}
	rest, ok := strings.CutPrefix(file, "vzdump-")
	if !ok {
		return BackupName{}, false
	}
	guest, rest, ok := strings.Cut(rest, "-")
	if !ok || !slices.Contains([]string{"qemu", "lxc", "openvz"}, guest) {
		return BackupName{}, false
	}
	a := BackupName{FileName: file, Guest: guest}
	stem, ok := a.cutEnding(rest)
	if !ok {
		return BackupName{}, false
	}
	a.stem = strings.TrimSuffix(file, rest[len(stem):])
	id, when, _ := strings.Cut(stem, "-")
	if vmid, ok := archiveGuest(id); ok && len(when) == len(archiveTime) {
		if created, err := time.ParseInLocation(archiveTime, when, zone); err == nil {
			a.Standard, a.VMID, a.Created = true, vmid, created
		}
	}
	return a, true
}

// archiveGuest reads a guest's id as the names of backups have it: 100 to 999999999.
func archiveGuest(s string) (int, bool) {
	if len(s) < 3 || len(s) > 9 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	id, err := strconv.Atoi(s)
	return id, err == nil
}

// cutEnding takes the ending off, and what it says into a.
func (a *BackupName) cutEnding(s string) (string, bool) {
	for _, e := range archiveEndings() {
		stem, ok := strings.CutSuffix(s, e)
		if !ok || stem == "" {
			continue
		}
		if e == ".tgz" {
			a.Format, a.Compression = "tar", "gz"
			return stem, true
		}
		a.Format, a.Compression, _ = strings.Cut(e[1:], ".")
		return stem, true
	}
	return "", false
}

// LogName is the file name of the job's log beside the archive, empty for a name that is not standard.
func (a BackupName) LogName() string {
	if !a.Standard {
		return ""
	}
	return a.stem + ".log"
}

// NotesName is the file name of the notes beside the archive, empty for a name that is not standard.
func (a BackupName) NotesName() string {
	if !a.Standard {
		return ""
	}
	return a.FileName + ".notes"
}

// Decompressor is the command that Proxmox VE uses to unpack the archive: tar itself with an option, or a filter that
// writes the archive to its standard output. It is nil without compression.
func (a BackupName) Decompressor() []string {
	option := map[string]string{"gz": "-z", "lzo": "--lzop", "zst": "--zstd", "bz2": "--bzip2"}
	filter := map[string][]string{"gz": {"zcat"}, "lzo": {"lzop", "-d", "-c"}, "zst": {"zstd", "-q", "-d", "-c"}, "bz2": {"bzcat", "-q"}}
	switch {
	case a.Compression == "":
		return nil
	case a.Format == "tar":
		return []string{"tar", option[a.Compression]}
	}
	return filter[a.Compression]
}

// NewBackupName makes the standard name of a new backup: the inverse of [ParseBackupName]. ending is what follows the time,
// such as "vma.zst". The zone of created is the one that the name is read in.
func NewBackupName(guest string, vmid int, created time.Time, ending string) (string, error) {
	name := "vzdump-" + guest + "-" + strconv.Itoa(vmid) + "-" + created.Format(archiveTime) + "." + ending
	if a, err := ParseBackupName(name, created.Location()); err != nil || !a.Standard {
		return "", syntaxError("no name for a backup of %s %d as '%s'", guest, vmid, ending)
	}
	return name, nil
}

// ListFormat is the format of a volume as lists of content show it: that of an image, "iso", "snippet", and for
// templates and backups the ending in the words of Proxmox VE ("tzst", "vma.zst").
func (v Volume) ListFormat() string {
	switch v.Content {
	case ISO:
		return "iso"
	case Snippets:
		return "snippet"
	case VZTmpl:
		short := map[string]string{".gz": "tgz", ".xz": "txz", ".zst": "tzst", ".bz2": "tbz2", ".tar": "tar"}
		return short[strings.ToLower(path.Ext(v.Name))]
	case Backup:
		for _, e := range archiveEndings() {
			if strings.HasSuffix(v.Name, e) {
				return e[1:]
			}
		}
	}
	return v.Format
}

// BackupGuest is the kind of guest that a backup is of (qemu, lxc, openvz), "unknown" if its name does not say, and
// empty for what is no backup.
func (v Volume) BackupGuest() string {
	if v.Content != Backup {
		return ""
	}
	if a, ok := parseBackupFile(v.Name, time.UTC); ok {
		return a.Guest
	}
	return "unknown"
}

// ListOwner is the guest that lists of content show a volume under. A backup that was renamed still belongs to the
// guest of the first number in its name that can be a guest's id. 0 is none.
func (v Volume) ListOwner() int {
	if v.Content != Backup || v.VMID != 0 {
		return v.VMID
	}
	parts := strings.Split(v.Name, "-")
	for _, p := range parts[min(1, len(parts)):max(1, len(parts)-1)] {
		if id, ok := archiveGuest(p); ok {
			return id
		}
	}
	return 0
}

// ListContent is the kind of content that lists show a volume as: a guest's image is [Rootdir] if its owner is a
// container.
func (v Volume) ListContent(isContainer func(vmid int) bool) Content {
	if v.Content == Images && isContainer != nil && isContainer(v.VMID) {
		return Rootdir
	}
	return v.Content
}
