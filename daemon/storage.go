package daemon

import (
	"log/slog"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/breaker"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/iscsi"
	"github.com/turtacn/go-proxmox/storage/lvm"
	"github.com/turtacn/go-proxmox/storage/lvmthin"
	"github.com/turtacn/go-proxmox/storage/nfs"
	"github.com/turtacn/go-proxmox/storage/rbd"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// storageDrivers is the registry of all types of storage that this program can use. Those across a network are behind a
// breaker: what the kernel or a library makes hang there costs its caller no more than the caller's own patience.
func storageDrivers(cfg *Config, log *slog.Logger) (*storage.Registry, error) {
	return storage.NewRegistry(
		dir.Backend(&dir.Options{Logger: log}),
		guarded(log, nfs.Backend(&nfs.Options{Logger: log})),
		lvm.Backend(&lvm.Options{Logger: log}),
		lvmthin.Backend(&lvmthin.Options{Logger: log}),
		zfs.Backend(&zfs.Options{Logger: log}),
		guarded(log, iscsi.Backend(&iscsi.Options{Logger: log})),
		guarded(log, iscsi.DirectBackend(&iscsi.Options{Logger: log})),
		guarded(log, rbd.Backend(rbd.Paths{
			PrivDir: filepath.Join(privPath(cfg.DataDir), "ceph"), RunDir: filepath.Join(cfg.Agent.RunDir, "rbd"), Logger: log,
		})),
	)
}

// guardTime is the patience with calls whose caller has none of his own. Removing a large image of Ceph, or a new file of NFS
// that takes all its space at once, may take many minutes; whether a storage is alive is the probes' business.
const guardTime = time.Hour

// guarded puts a breaker before each storage of a type.
func guarded(log *slog.Logger, b storage.Backend) storage.Backend {
	return storage.Backend{Type: b.Type, Open: func(cfg storage.Config) (storage.Driver, error) {
		d, err := b.Open(cfg)
		if err != nil {
			return nil, err
		}
		return breaker.New(d, &breaker.Options{Name: cfg.Type, Timeout: guardTime, Logger: log.With("storage", cfg.ID)})
	}}
}
