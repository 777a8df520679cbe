// Package ovf reads appliances: OVF descriptors, and OVA archives that hold one with its disks.
//
//	a, err := ovf.OpenArchive(file, size, nil)     // an OVA: a tar archive
//	d, err := a.Descriptor()                       // or ovf.Parse(text) for a lone .ovf
//	opts := d.Options()                            // what a VM's configuration gets: cores, memory, boot, net0, …
//	for _, disk := range d.Disks { r, err := a.Open(disk.File) … }
//
// An appliance comes from outside and may be hostile. Nothing of it is followed by path: a descriptor names members of
// its own archive, or files beside it, by bare names, and everything else is refused. Members must be plain files that lie
// wholly inside the archive, each name once; links, devices, sparse members, absolute and climbing names are refused. XML
// with a document type is refused before any entity could matter. All sizes are bounded before memory is taken, and
// nothing is written anywhere.
//
// Whether a disk image itself is safe is not judged here; see package qimg. The format is DMTF's DSP0243 (OVF 1 and 2).
// Values returned are not shared and may be kept; an Archive is safe for concurrent use if its reader is.
package ovf
