package storage

// Attachment says how an attached volume is reached. It is one of [File], [Block], [RBD], [ISCSI].
type Attachment interface{ attachment() }

// File is a volume in a file.
type File struct {
	Path     string // absolute
	Format   Format
	ReadOnly bool  // the file itself refuses writing (base volumes)
	Backing  *File // what a linked clone is backed by; give it to QEMU explicitly rather than let the image choose
}

// Block is a volume that is a block device.
type Block struct {
	Path     string // device node
	Format   Format // Raw, or QCOW2 on LVM
	ReadOnly bool
}

// RBD is a Ceph block device reached by librbd.
type RBD struct {
	Pool, Namespace, Image, Snapshot string
	Monitors                         []string // HOST:PORT; empty: those of ConfFile
	User, KeyringFile, ConfFile      string
}

// ISCSI is a LUN reached by libiscsi.
type ISCSI struct {
	Portal, Target string
	LUN            int
	Initiator      string
}

func (File) attachment()  {}
func (Block) attachment() {}
func (RBD) attachment()   {}
func (ISCSI) attachment() {}
