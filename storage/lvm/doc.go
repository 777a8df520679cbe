// Package lvm is the storage type lvm: guest images are whole logical volumes of a volume group, raw, without snapshots and
// clones. Names and tags are Proxmox VE's.
//
//	d, err := lvm.New("vg0", &lvm.Options{SafeRemove: true})
//	v, err := d.Create(ctx, storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 32 << 30})
//	at, err := d.Attach(ctx, v.ID, storage.AttachOptions{UID: 200100}) // storage.Block{Path: "/dev/vg0/vm-100-disk-0"}
//
// A new volume, and what a volume grows by, is overwritten with zeros before anybody sees it, so that no guest reads what
// another one left; with Options.SafeRemove also what is removed is. Devices that can overwrite themselves do so.
//
// Volumes are active only while they are attached or open. A group may be shared by several machines (Options.Shared): then
// whoever calls makes sure that one machine at a time changes the group and that a volume is attached on one machine alone;
// nothing here asks the others.
//
// It makes no volume groups and has no qcow2 volumes: those of others are listed and can be deleted. It needs root and lvm2;
// calls may be concurrent, also from several processes of one machine.
package lvm
