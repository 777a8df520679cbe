package volid

import "slices"

// Content is what a volume is used for, and the word in a storage's content option.
type Content string

// The kinds of content. A container's root disk parses as [Images]: the name does
// not tell the two apart.
const (
	Images   Content = "images"
	Rootdir  Content = "rootdir"
	ISO      Content = "iso"
	VZTmpl   Content = "vztmpl"
	Backup   Content = "backup"
	Snippets Content = "snippets"
	Import   Content = "import"
)

// Kind describes one type of storage.
type Kind struct {
	Type string
	// Path says that volumes are files below one folder.
	Path bool
	// Network storages with a folder are mounted at /mnt/pve/ID unless told otherwise.
	Mounted bool
	// Formats of guest images, the default first.
	Formats []string
	// Contents the type can hold, and those it holds when the option is not set.
	Contents, Default []Content
}

// kinds are the known types of storage. The table is one value, since it is asked with each name of a list.
var kinds = []Kind{
	{Type: "dir", Path: true, Formats: []string{"raw", "qcow2", "vmdk", "subvol"},
		Contents: []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}, Default: []Content{Images, Rootdir}},
	{Type: "btrfs", Path: true, Formats: []string{"raw", "subvol"},
		Contents: []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}, Default: []Content{Images, Rootdir}},
	{Type: "nfs", Path: true, Mounted: true, Formats: []string{"raw", "qcow2", "vmdk"},
		Contents: []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}, Default: []Content{Images}},
	{Type: "cifs", Path: true, Mounted: true, Formats: []string{"raw", "qcow2", "vmdk"},
		Contents: []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}, Default: []Content{Images}},
	{Type: "cephfs", Path: true, Mounted: true, Formats: []string{"raw"},
		Contents: []Content{VZTmpl, ISO, Backup, Snippets, Import}, Default: []Content{Backup}},
	{Type: "lvm", Formats: []string{"raw"}, Contents: []Content{Images, Rootdir}, Default: []Content{Images}},
	{Type: "lvmthin", Formats: []string{"raw"}, Contents: []Content{Images, Rootdir}, Default: []Content{Images, Rootdir}},
	{Type: "zfspool", Formats: []string{"raw", "subvol"}, Contents: []Content{Images, Rootdir}, Default: []Content{Images, Rootdir}},
	{Type: "zfs", Formats: []string{"raw"}, Contents: []Content{Images}, Default: []Content{Images}},
	{Type: "rbd", Formats: []string{"raw"}, Contents: []Content{Images, Rootdir}, Default: []Content{Images}},
	{Type: "iscsi", Formats: []string{"raw"}, Contents: []Content{Images}, Default: []Content{Images}},
	{Type: "iscsidirect", Formats: []string{"raw"}, Contents: []Content{Images}, Default: []Content{Images}},
	{Type: "pbs", Contents: []Content{Backup}, Default: []Content{Backup}},
	{Type: "esxi", Formats: []string{"raw", "qcow2", "vmdk"}, Contents: []Content{Import}, Default: []Content{Import}},
}

// Kinds returns the known types of storage. What is in their slices must not be changed.
func Kinds() []Kind { return slices.Clone(kinds) }

// KindOf returns the description of a storage type. What is in its slices must not be changed.
func KindOf(typ string) (Kind, bool) {
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Type == typ })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}
