// Package iso writes small ISO 9660 images (interchange level 3) with Rock Ridge and Joliet names in memory: what
// genisoimage -iso-level 3 -R -J makes. It is for media of a few files, such as those of cloud-init: every file is
// in memory, no file is split, there is no boot record.
//
// The image depends on its arguments alone. Nothing touches the disk, since the files may hold secrets.
//
// See ECMA-119, the System Use Sharing Protocol (IEEE P1281), the Rock Ridge Interchange Protocol (IEEE P1282) and the
// Joliet specification.
package iso
