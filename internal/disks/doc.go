// Package disks is the room of /nodes/{node}/disks: which disks this node has and what each is used for, and how a fresh one
// becomes a storage: a folder, a volume group, a thin pool, a pool of ZFS.
//
// The facts come from the host's own programs (package hosttool) and are read by package hostdisk. What changes a disk is a
// task; all of them run in one queue, one at a time, each with the checks that were made before it was accepted. A disk is named
// by a path below /dev, which is resolved first: what is not a whole local disk, or a partition where one is meant, is refused,
// and so is whatever the host uses in any way that can be seen. At last the kernel has a say: a device is opened exclusively
// before it is written to.
//
// A Service is safe for concurrent use and needs root.
package disks
