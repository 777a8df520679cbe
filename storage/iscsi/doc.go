// Package iscsi is the storage on an iSCSI target whose logical units are made by somebody else: Proxmox VE's storage types
// iscsi and iscsidirect. Each unit is one volume; none is made, removed, grown or snapshot here.
//
//	drv, err := iscsi.New("10.0.0.5", "iqn.2024-01.com.example:disks", nil)       // the kernel logs in, volumes are block devices
//	drv, err := iscsi.NewDirect("10.0.0.5", "iqn.2024-01.com.example:disks", nil) // QEMU and qemu-img log in by libiscsi
//
// [Driver] needs Debian's open-iscsi and udev, whose links in /dev/disk/by-id name the volumes: CHANNEL.ID.LUN.NAME. [Direct]
// needs libiscsi-bin and QEMU's iSCSI driver (qemu-block-extra); its volumes are lunN. Whether a portal is there is asked by a
// TCP connection first, so that nobody waits for the initiator's long timeouts.
//
// A target reached over several paths is several devices here: use LVM or multipath above them. Both types are safe for
// concurrent use and need root to log in and to give devices to guests.
package iscsi
