package daemon

import (
	"log/slog"
	"path/filepath"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/iscsi"
	"github.com/turtacn/go-proxmox/storage/lvm"
	"github.com/turtacn/go-proxmox/storage/lvmthin"
	"github.com/turtacn/go-proxmox/storage/nfs"
	"github.com/turtacn/go-proxmox/storage/rbd"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// storageDrivers is the registry of all types of storage that this program can use.
func storageDrivers(cfg *Config, log *slog.Logger) (*storage.Registry, error) {
	return storage.NewRegistry(
		dir.Backend(&dir.Options{Logger: log}),
		nfs.Backend(&nfs.Options{Logger: log}),
		lvm.Backend(&lvm.Options{Logger: log}),
		lvmthin.Backend(&lvmthin.Options{Logger: log}),
		zfs.Backend(&zfs.Options{Logger: log}),
		iscsi.Backend(&iscsi.Options{Logger: log}),
		iscsi.DirectBackend(&iscsi.Options{Logger: log}),
		rbd.Backend(rbd.Paths{
			PrivDir: filepath.Join(privPath(cfg.DataDir), "ceph"), RunDir: filepath.Join(cfg.Agent.RunDir, "rbd"), Logger: log,
		}),
	)
}
