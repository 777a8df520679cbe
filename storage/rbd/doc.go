// Package rbd is the storage in a pool of a Ceph cluster: Proxmox VE's storage type rbd, whose volumes are RBD images.
//
//	drv, err := rbd.New(&rbd.Options{ConfFile: "/etc/ceph/ceph.conf", Pool: "vms", Keyring: "/etc/pve/priv/ceph/vms.keyring"})
//	vol, err := drv.Create(ctx, storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 10 << 30})
//	at, err := drv.Attach(ctx, vol.ID, storage.AttachOptions{UID: 200100}) // storage.RBD, for librbd
//
// It runs the program rbd, one process a call: a cluster that does not answer costs its caller the time of the context, and
// nothing of this process hangs. Volumes are reached by librbd, in QEMU or qemu-img; the kernel's driver (option krbd) is not
// used. The program gets a configuration file that the driver writes, so that the monitors, the user and the key are those of
// the storage and no others; Attach makes a copy of it, and of the key, that one user alone can read.
//
// A volume that is being made has a temporary name and gets its own in one step when it is whole. [Driver.Sweep] removes what
// a dead process of this machine left behind. Sizes are multiples of 1 MiB. A base volume has the protected snapshot __base__,
// of which linked clones are made. A volume that QEMU has open is ErrInUse for whatever would change it under the guest.
//
// A full cluster makes writers wait rather than fail: that is Ceph's rule, and ErrNoSpace comes only from quotas.
//
// It is not a way to manage a cluster: pools, users and monitors are there. A Driver is safe for concurrent use.
package rbd
