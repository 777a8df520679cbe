// Package copycmd describes the offline copy of a volume as the arguments of qemu-img convert, for volumes on any type of
// storage that QEMU reaches: files, block devices, Ceph images, iSCSI units.
//
//	args, err := copycmd.Args("local:100/vm-100-disk-0.qcow2", "ceph:vm-100-disk-0", copycmd.Options{Storage: lookup})
//
// It is pure: it runs nothing, and asks the host only through [Options]. It is the form of the command that Proxmox VE
// uses and prints, with paths in it. Copies between files that a guest may have written or a user may swap are better made
// by package qimg, which opens them itself. A source that is a volume always has its format named; see [Options].Format for
// one that is a path.
//
// All functions are safe for concurrent use.
package copycmd
