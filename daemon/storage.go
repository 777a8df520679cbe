package daemon

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/internal/volume"
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
		guarded(log, dir.Backend(&dir.Options{Logger: log})),
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

// guarded puts a breaker before each storage of a type that another machine serves.
func guarded(log *slog.Logger, b storage.Backend) storage.Backend {
	return storage.Backend{Type: b.Type, Open: func(cfg storage.Config) (storage.Driver, error) {
		d, err := b.Open(cfg)
		if err != nil || !volume.ServedElsewhere(cfg) {
			return d, err
		}
		return breaker.New(d, &breaker.Options{Name: cfg.Type, Timeout: guardTime, Logger: log.With("storage", cfg.ID)})
	}}
}

// storageProbe is how the volumes' service looks at storages from a child process; nil without a program for it.
func storageProbe(cfg *Config) (func(context.Context, storage.Config) (storage.Usage, error), error) {
	if len(cfg.ProbeCommand) == 0 {
		return nil, nil
	}
	p, err := breaker.NewProber(cfg.ProbeCommand...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, of storage.Config) (storage.Usage, error) {
		return p.Probe(ctx, breaker.Request{Config: of, Activate: true})
	}, nil
}

// ServeProbe is the child process of a probe: it reads which storage to look at from in, and writes what it found to out.
// gpved calls it for Config.ProbeCommand. It may never return.
func ServeProbe(ctx context.Context, in io.Reader, out io.Writer) error {
	reg, err := storage.NewRegistry(dir.Backend(nil), nfs.Backend(nil))
	if err != nil {
		return err
	}
	return breaker.Serve(ctx, in, out, reg.Open)
}
