// Package lvmthin is the storage type lvmthin: guest images are thin volumes of one thin pool, snapshots are thin volumes
// called snap_VOLUME_NAME, linked clones are thin snapshots of read-only base volumes. Names are Proxmox VE's.
//
//	d, err := lvmthin.New("pve", "data", nil)
//	v, err := d.Create(ctx, storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 32 << 30})
//	err = d.Snapshot(ctx, v.ID, "before-upgrade")
//	at, err := d.Attach(ctx, v.ID, storage.AttachOptions{UID: 200100}) // storage.Block{Path: "/dev/pve/vm-100-disk-0"}
//
// Volumes are active only while they are attached or open, and carry the flag that keeps them from being activated with the
// machine. A thin pool that fills up takes its guests down with it, so what would take more of it is refused with
// storage.ErrNoSpace while there is still a rest, and what is being filled is given up. The pool's own growth
// (activation/thin_pool_autoextend_threshold in lvm.conf) goes on as configured.
//
// It does not make volume groups or pools. It needs root and lvm2; calls may be concurrent, also from several processes of
// one machine. Volume groups that several machines share are not for thin pools.
package lvmthin
