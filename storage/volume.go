package storage

import "time"

// VolumeID names a volume within its backend: what stands after the colon of Proxmox VE's volume ids, such as
// "100/vm-100-disk-0.qcow2" on a directory or "vm-100-disk-0" on LVM. Only the driver knows its grammar.
type VolumeID string

// Format is how a volume's bytes are laid out.
type Format string

// The formats of guest images. ISO images, templates and backups are Raw.
const (
	Raw     Format = "raw"
	QCOW2   Format = "qcow2"
	VMDK    Format = "vmdk"
	Subvol  Format = "subvol"  // a folder
	Invalid Format = "invalid" // the name promises a format that the bytes are not
)

// Content is the kind of a volume.
type Content string

// The kinds of volumes, named as in Proxmox VE.
const (
	Images   Content = "images"
	RootDir  Content = "rootdir" // container volumes; drivers report them as Images
	ISO      Content = "iso"
	Template Content = "vztmpl"
	Backup   Content = "backup"
	Snippets Content = "snippets"
	Import   Content = "import"
)

// Volume describes a volume at the moment it was looked at.
type Volume struct {
	ID        VolumeID
	Content   Content
	Format    Format
	Owner     int      // guest id, 0 if the volume belongs to none
	SizeBytes int64    // what a guest sees; the file's length for content that is no image
	UsedBytes int64    // space taken in the backend, 0 if it cannot say
	Base      bool     // frozen, may have linked clones
	Parent    VolumeID // the base of a linked clone
	Backing   string   // what the image itself says that it is backed by, as written
	Created   time.Time
	Protected bool   // backups only
	Notes     string // backups only: the first line in lists
	Features  Features
}

// Features is what can be done with a volume now.
type Features uint32

// The features of volumes.
const (
	FeatureSnapshot   Features = 1 << iota // take a snapshot
	FeatureClone                           // make a linked clone
	FeatureCopy                            // copy it whole
	FeatureTemplate                        // make it a base volume
	FeatureResize                          // grow it
	FeatureRename                          // give it to another guest
	FeatureSparseInit                      // a new volume of this kind reads as zeros, so that a copy may leave zeros out
)

// Has reports whether all of want are in f.
func (f Features) Has(want Features) bool { return f&want == want }
