// Package storage is what every storage backend has in common: a [Driver] with seven calls, optional capabilities that are
// found with [As], the descriptions that pass between a driver and whoever runs guests ([Volume], [Attachment]), the errors
// that callers branch on, and a [Registry] of backends built in one place.
//
//	reg, err := storage.NewRegistry(dir.Backend(nil))
//	drv, err := reg.Open(storage.Config{ID: "local", Type: "dir", Options: map[string]string{"path": "/srv/vm"}})
//	vol, err := drv.Create(ctx, storage.VolumeSpec{ID: "100/vm-100-disk-0.qcow2", Format: storage.QCOW2, SizeBytes: 8 << 30})
//	if errors.Is(err, storage.ErrExists) { … }
//	if snap, ok := storage.As[storage.Snapshotter](drv); ok && vol.Features.Has(storage.FeatureSnapshot) {
//		err = snap.Snapshot(ctx, vol.ID, "before-upgrade")
//	}
//
// [Intercept] puts something before every call of a driver and of its capabilities; package breaker does so to keep callers
// safe from a backend that no longer answers.
//
// It is not: a configuration file, permissions, tasks or locks across nodes (those belong to whoever embeds it), and it
// knows no QEMU: an Attachment says where the bytes are, the virtual machine layer renders that.
//
// Drivers are safe for concurrent use. Each call is one attempt: either it is done, or it left nothing that List shows.
// Calls may block on hardware; ctx bounds waiting where the operating system allows it. Every call may be repeated after a
// crash. Most drivers need root, for the ownership of device nodes and image files.
package storage
