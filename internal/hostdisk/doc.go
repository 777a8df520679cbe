// Package hostdisk tells a host's disks, and what each is used for, from what the host's tools say.
//
// It is pure: it runs nothing and opens nothing. The caller collects the outputs ([Facts]) of udevadm, lsblk, zpool, pvs,
// lvs and smartctl and a few files of /sys and /proc; the package makes of them the rows that the disk methods of the
// API give.
//
//	disks := hostdisk.List(facts)
//	health := hostdisk.ParseSMART(output)
//	disks[0].AddSMART(health)
//
// The outputs hold text that a disk's maker or a guest chose (models, serials, labels, names of volumes). It is data
// here, never a path to open; what does not look right is left out. All functions are safe for concurrent use.
package hostdisk
