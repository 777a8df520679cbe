// Package nfs is the storage on an NFS export: the layout of package dir in a folder on which the driver mounts the export.
//
//	drv, err := nfs.New(nfs.Options{Server: "192.0.2.10", Export: "/srv/vm", Path: "/mnt/pve/shared", MountOptions: "vers=4.2,soft"})
//	err = drv.Activate(ctx)   // mounted, folders made
//	err = drv.Deactivate(ctx) // unmounted
//
// Whoever mounted it before is welcome if it is this export; another one at the path is an error. Before the mount is touched
// the server must have answered a NULL call within ProbeTimeout, at most ProbeEvery ago, so that nobody falls asleep in the
// kernel over a dead server; what goes wrong in between is for package breaker, which should wrap the driver. A mount that has
// become stale (the server was rebuilt, the export recreated) is unmounted and mounted again, once per call.
//
// Mount options are checked against a list, and nosuid and nodev are always added. It needs Linux, root and mount.nfs. Safe for
// concurrent use, by several processes too.
package nfs
