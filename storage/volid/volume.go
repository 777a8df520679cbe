package volid

import "strconv"

// Volume is what a volume's name says.
type Volume struct {
	Content Content
	// Name is the last part: a file, logical volume, dataset or image name. For a
	// member of an appliance archive it is ARCHIVE/MEMBER.
	Name string
	// VMID is the guest that the volume belongs to, 0 if none.
	VMID int
	// BaseName and BaseVMID name the base image of a linked clone. BaseVMID is 0 where
	// the storage does not say.
	BaseName string
	BaseVMID int
	// Base says that the volume is a base image, which linked clones share.
	Base bool
	// Format of the data: raw, qcow2, vmdk, subvol; an archive's or import file's own.
	Format string
}

// Linked tells whether the name says that the volume is a linked clone.
func (v Volume) Linked() bool { return v.BaseName != "" }

// VolumeName returns the name in the form that storages of this type use, the inverse
// of [Parse]. It is empty for a type that is not known.
func (v Volume) VolumeName(typ string) string {
	k, ok := KindOf(typ)
	switch {
	case !ok:
		return ""
	case k.Path && v.Content == Images:
		own := strconv.Itoa(v.VMID) + "/" + v.Name
		if v.Linked() {
			return strconv.Itoa(v.BaseVMID) + "/" + v.BaseName + "/" + own
		}
		return own
	case k.Path:
		return string(v.Content) + "/" + v.Name
	case v.Linked():
		return v.BaseName + "/" + v.Name
	}
	return v.Name
}

// imageFormats are the formats that a disk image's file name can end in.
func imageFormats() []string { return []string{"raw", "qcow2", "vmdk", "subvol"} }
