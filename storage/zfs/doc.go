// Package zfs is a storage in a ZFS dataset, Proxmox VE's type zfspool: zvols (raw) for guests, file systems (subvol) for
// containers, direct children of one dataset, named as Proxmox VE names them.
//
//	d, err := zfs.New("tank/guests", &zfs.Options{Sparse: true})
//	v, err := d.Create(ctx, storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 32 << 30})
//	at, err := d.Attach(ctx, v.ID, storage.AttachOptions{UID: 64100}) // storage.Block: /dev/zvol/tank/guests/vm-100-disk-0
//	…
//	err = d.Snapshot(ctx, v.ID, "before-upgrade")
//
// # Guarantees
//
// Everything that is one command of ZFS is one step for all who look. What takes more (filling, copying, receiving) happens in
// a dataset with a name of its own, gpve-tmp.…, that no list shows; it gets the volume's name when it is whole. Names say which
// process made them, so that [Driver.Sweep] removes what a dead one left and leaves alone what a living one is about.
//
// A volume that somebody has open is not rolled back, renamed, frozen or deleted (storage.ErrInUse). ZFS itself refuses only the
// last, so the driver looks at who has the device open; between the look and the command is a moment, in which callers keep
// guests from starting.
//
// Rollback is to the newest snapshot alone, like ZFS's: the error names the newer ones. Snapshots whose names no guest's
// snapshot can have (__base__, __migration__, …) are not listed, but stand in the way as well.
//
// A device is opened under its link below /dev/zvol, which udev makes; what is open is then asked for its own name
// (BLKZNAME), because a link may still be that of a volume that is gone.
//
// A suspended pool (its disks are gone) blocks every command for ever, beyond the reach of signals. The driver asks the kernel
// for the pool's state first, and otherwise leaves a command that does not die alone: calls end with their context in any case.
//
// # The tools
//
// The driver runs zfs and zpool itself (-H, -p and at most two levels deep, never a shell): with a context, killed with the
// caller's process, with columns of its own in one list of all volumes, streams in both directions, and errors that have a
// class. github.com/mistifyio/go-zfs has none of these (one time-out for the whole process, a fixed set of columns, lists
// without a depth, no incremental receive), so the driver does not build on it; the tests do, as a second opinion on what is
// really in the pool.
//
// Concurrent calls are fine; the driver has no locks and no state. Linux and ZFS 2.1 or later, root.
package zfs
