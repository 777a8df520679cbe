// Package volume is the storage room: which storages there are (/pve/storage.cfg), what their volumes are, and who may use
// them. It implements the methods /storage, /nodes/{node}/storage, /nodes/{node}/scan and /nodes/{node}/query-url-metadata of
// the API, and is what virtual machines get their disks from.
//
// A volume is named by its volume id, STORAGE:NAME. The bytes are the business of the drivers of package storage; this
// package finds the driver, turns its errors into the texts of Proxmox VE (package call), and never holds a lock while bytes
// are copied. A name for a new volume comes from NextName, which reserves it in memory for a while; Create then makes exactly
// that one, so that an operation can journal the name before anything exists.
//
// A copy takes the best way that two storages have: one of the target's own (storage.Copier), qemu-img on the open volumes, or a
// stream. Files that users let the node fetch come by HTTP from anywhere but the host itself and its link: the address is
// checked when the connection is made. Secrets of storages lie in the store and, for the programs that need them, in files that
// only the daemon reads (Options.PrivDir).
//
// Storages are probed in the background, each by one goroutine of its own. A storage that does not answer is inactive after
// the probe's deadline, calls about it fail at once, and nothing else waits for it.
//
// A Service is safe for concurrent use. Run must run for the probes; without it, the first question probes.
package volume
