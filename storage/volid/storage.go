package volid

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Storage is the configuration of one storage, as a section of storage.cfg gives it:
// the options are strings in the file's spelling.
type Storage struct {
	ID      string
	Type    string
	Options map[string]string
}

// Local returns the storage that is there without being configured: a folder for
// everything. The path is the product's choice; Proxmox VE's is /var/lib/vz.
func Local(dir string) Storage {
	return Storage{ID: "local", Type: "dir", Options: map[string]string{
		"path": dir, "content": "backup,images,iso,rootdir,snippets,vztmpl", "prune-backups": "keep-all=1",
	}}
}

// Bool reads a boolean option; absent is false.
func (s Storage) Bool(name string) bool {
	switch strings.ToLower(s.Options[name]) {
	case "1", "on", "yes", "true":
		return true
	}
	return false
}

// Path returns the storage's folder, without a trailing slash; empty if the type has
// none or it is not configured.
func (s Storage) Path() string {
	k, ok := KindOf(s.Type)
	if ok && !k.Path {
		return ""
	}
	p := s.Options["path"]
	if p == "" && k.Mounted {
		p = "/mnt/pve/" + s.ID
	}
	if p == "" {
		return ""
	}
	return path.Clean(p)
}

// MountPoint returns the folder that has to be a mount point for the storage to be there, if the option is_mountpoint says so.
func (s Storage) MountPoint() (folder string, must bool) {
	switch m := s.Options["is_mountpoint"]; strings.ToLower(m) {
	case "", "0", "no", "off", "false":
		return "", false
	case "1", "yes", "on", "true":
		return s.Path(), true
	default:
		return m, true
	}
}

// Contents returns what the storage may hold. Without the option it is the type's
// default.
func (s Storage) Contents() []Content {
	text, set := s.Options["content"]
	if !set {
		k, _ := KindOf(s.Type)
		return k.Default
	}
	var list []Content
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		if w != "none" {
			list = append(list, Content(w))
		}
	}
	return list
}

// Holds tells whether the storage may hold such content.
func (s Storage) Holds(c Content) bool { return slices.Contains(s.Contents(), c) }

// Parse reads a volume name of this storage.
func (s Storage) Parse(name string) (Volume, error) { return Parse(s.Type, name) }

// Dir returns the folder for a kind of content, which content-dirs may override.
func (s Storage) Dir(c Content) (string, error) {
	base := s.Path()
	if base == "" {
		return "", &Error{Text: "storage definition has no path", Class: ErrSyntax}
	}
	sub, ok := map[Content]string{
		Images: "images", Rootdir: "private", ISO: "template/iso", VZTmpl: "template/cache",
		Backup: "dump", Snippets: "snippets", Import: "import",
	}[c]
	if !ok {
		return "", &Error{Text: fmt.Sprintf("unknown vtype '%s'", c), Class: ErrSyntax}
	}
	for pair := range strings.SplitSeq(s.Options["content-dirs"], ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && Content(k) == c && v != "" {
			sub = v
		}
	}
	return path.Join(base, path.Clean("/"+sub)), nil
}
