// Package dir is the storage in a folder, laid out as Proxmox VE lays out its storage type dir: guest images as
// images/VMID/NAME in raw or qcow2 (VMDK is read), ISO images, templates, snippets, import sources and backups in folders of
// their own.
//
//	drv, err := dir.New("/srv/vm", nil)
//	vol, err := drv.Create(ctx, storage.VolumeSpec{ID: "100/vm-100-disk-0.raw", SizeBytes: 10 << 30})
//	at, err := drv.Attach(ctx, vol.ID, storage.AttachOptions{UID: 200100}) // storage.File{Path: "/srv/vm/images/100/…"}
//
// Every file is opened beneath the folder with openat2(2), refusing symbolic links in every component, and must be a regular
// file; images must not have a second hard link. So nothing that somebody placed in the folder leads out of it. Links that an
// administrator made inside the folder are refused too: use the option content-dirs or a bind mount. What a linked clone is
// backed by is taken from its header, checked to be an image of the same storage, and handed on explicitly.
//
// A new volume is written under a temporary name (.gpve-….tmp), synced and then renamed, so a crash leaves nothing that a
// list shows; [Driver.Sweep] removes what is left, knowing by a lock what is still being written, also by another machine.
// Whether an image is in use is asked of the locks that QEMU holds on it.
//
// A full copy is a reflink where the file system shares blocks ([Driver.CopyFrom]); elsewhere the caller copies the bytes.
// Volumes leave and come as streams of Proxmox VE's forms raw+size, qcow2+size and vmdk+size. A container volume in a folder
// (subvol) has no quota and is attached by its path; it does not travel as a stream.
//
// Images belong to the attaching uid (mode 0640) while attached and to the caller's otherwise; base images are 0444,
// immutable where the file system can; folders of images are 0711. Root is needed for that; without, only the caller's own uid
// can attach. It needs Linux 5.6 and, for everything but raw files, qemu-img. Safe for concurrent use, by several processes too.
package dir
