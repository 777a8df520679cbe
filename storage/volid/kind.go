package volid

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

// Kinds returns the known types of storage.
func Kinds() []Kind {
	var kinds []Kind
	for _, typ := range []string{
		"dir", "btrfs", "nfs", "cifs", "cephfs", "lvm", "lvmthin", "zfspool", "zfs",
		"rbd", "iscsi", "iscsidirect", "pbs", "esxi",
	} {
		k, _ := KindOf(typ)
		kinds = append(kinds, k)
	}
	return kinds
}

// KindOf returns the description of a storage type.
func KindOf(typ string) (Kind, bool) {
	k := Kind{Type: typ}
	switch typ {
	case "dir":
		k.Path = true
		k.Formats = []string{"raw", "qcow2", "vmdk", "subvol"}
		k.Contents = []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}
		k.Default = []Content{Images, Rootdir}
	case "btrfs":
		k.Path = true
		k.Formats = []string{"raw", "subvol"}
		k.Contents = []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}
		k.Default = []Content{Images, Rootdir}
	case "nfs":
		k.Path = true
		k.Mounted = true
		k.Formats = []string{"raw", "qcow2", "vmdk"}
		k.Contents = []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}
		k.Default = []Content{Images}
	case "cifs":
		k.Path = true
		k.Mounted = true
		k.Formats = []string{"raw", "qcow2", "vmdk"}
		k.Contents = []Content{Images, Rootdir, VZTmpl, ISO, Backup, Snippets, Import}
		k.Default = []Content{Images}
	case "cephfs":
		k.Path = true
		k.Mounted = true
		k.Formats = []string{"raw"}
		k.Contents = []Content{VZTmpl, ISO, Backup, Snippets, Import}
		k.Default = []Content{Backup}
	case "lvm":
		k.Formats = []string{"raw"}
		k.Contents = []Content{Images, Rootdir}
		k.Default = []Content{Images}
	case "lvmthin":
		k.Formats = []string{"raw"}
		k.Contents = []Content{Images, Rootdir}
		k.Default = []Content{Images, Rootdir}
	case "zfspool":
		k.Formats = []string{"raw", "subvol"}
		k.Contents = []Content{Images, Rootdir}
		k.Default = []Content{Images, Rootdir}
	case "zfs":
		k.Formats = []string{"raw"}
		k.Contents = []Content{Images}
		k.Default = []Content{Images}
	case "rbd":
		k.Formats = []string{"raw"}
		k.Contents = []Content{Images, Rootdir}
		k.Default = []Content{Images}
	case "iscsi":
		k.Formats = []string{"raw"}
		k.Contents = []Content{Images}
		k.Default = []Content{Images}
	case "iscsidirect":
		k.Formats = []string{"raw"}
		k.Contents = []Content{Images}
		k.Default = []Content{Images}
	case "pbs":
		k.Contents = []Content{Backup}
		k.Default = []Content{Backup}
	case "esxi":
		k.Formats = []string{"raw", "qcow2", "vmdk"}
		k.Contents = []Content{Import}
		k.Default = []Content{Import}
	default:
		return Kind{}, false
	}
	return k, true
}
