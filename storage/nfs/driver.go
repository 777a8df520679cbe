package nfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// Driver is a storage on an NFS export. All calls of dir.Driver and its capabilities stand behind the check of the mount.
type Driver struct {
	*storage.Interceptor
	dir     *dir.Driver
	opt     Options
	logger  *slog.Logger
	server  *server
	mounter mounter
	noMkdir bool
	gate    chan struct{} // holds one token: who has it may mount and unmount
}

// mounter is what the driver asks of the system.
type mounter interface {
	// at returns the topmost mount at a path; ok is false if there is none. It never touches the mount itself.
	at(path string) (m mount, ok bool, err error)
	mount(ctx context.Context, source, path, options string) error
	// unmount: with lazy, from under those who use it, and without waiting for the server.
	unmount(ctx context.Context, path string, lazy bool) error
}

// mount is one line of /proc/self/mountinfo.
type mount struct {
	source, fstype string
	address        string // of the server, as the kernel knows it
}

// New returns a driver. Nothing is touched.
func New(o Options) (*Driver, error) {
	options, err := o.check()
	if err != nil {
		return nil, err
	}
	o.Path = path.Clean(o.Path)
	o.Export = path.Clean(o.Export)
	below := dir.Options{}
	if o.Dir != nil {
		below = *o.Dir
	}
	d := &Driver{opt: o, logger: o.Logger, mounter: system{}, noMkdir: below.NoBaseFolder, gate: make(chan struct{}, 1)}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	below.Type, below.MountPoint, below.NoBaseFolder = "nfs", o.Path, true
	if d.dir, err = dir.New(o.Path, &below); err != nil {
		return nil, err
	}
	d.server = newServer(o.Server, options, cmp.Or(o.ProbeTimeout, 2*time.Second), cmp.Or(o.ProbeEvery, 2*time.Second))
	d.Interceptor = storage.Intercept(d.dir, d.around)
	return d, nil
}

// around lets a call on the folder through when the export is mounted and its server lives.
func (d *Driver) around(ctx context.Context, c storage.Call, do func(context.Context) error) error {
	if err := d.reachable(ctx); err != nil {
		return d.fail(c.Op, c.ID, err)
	}
	err := do(ctx)
	if !errors.Is(err, syscall.ESTALE) {
		return err
	}
	d.logger.WarnContext(ctx, "stale mount", slog.String("path", d.opt.Path), slog.Any("error", err))
	if again := d.remount(ctx); again != nil {
		return d.fail(c.Op, c.ID, errors.Join(again, err))
	}
	if c.Long { // what it read or wrote is gone
		return err
	}
	return do(ctx)
}

// reachable returns ErrUnavailable unless this export is mounted and its server answers.
func (d *Driver) reachable(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	mounted, err := d.mounted()
	if err == nil && !mounted {
		err = fmt.Errorf("%w: %s is not mounted at %s", storage.ErrUnavailable, d.opt.source(), d.opt.Path)
	}
	if err != nil {
		return err
	}
	return d.server.alive(ctx)
}

// mounted reports whether this export is mounted; another mount at the path is an error.
func (d *Driver) mounted() (bool, error) {
	m, ok, err := d.mounter.at(d.opt.Path)
	if err != nil || !ok {
		return false, err
	}
	if !d.is(m) {
		return false, fmt.Errorf("%w: %s (%s) is mounted at %s instead of %s", storage.ErrUnavailable, m.source, m.fstype, d.opt.Path, d.opt.source())
	}
	return true, nil
}

// Activate implements storage.Activator: it mounts the export unless it is mounted, and makes the folders of the contents.
func (d *Driver) Activate(ctx context.Context) error {
	err := d.activate(ctx)
	if errors.Is(err, syscall.ESTALE) {
		if err = d.remount(ctx); err == nil {
			err = d.dir.Activate(ctx)
		}
	}
	return d.fail("activate", "", err)
}

func (d *Driver) activate(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.server.alive(ctx); err != nil {
		return err
	}
	if err := d.locked(ctx, func() error {
		mounted, err := d.mounted()
		if err != nil || mounted {
			return err
		}
		return d.mount(ctx)
	}); err != nil {
		return err
	}
	return d.dir.Activate(ctx)
}

// mount mounts the export and looks whether it is there. Whoever calls has the gate.
func (d *Driver) mount(ctx context.Context) error {
	if !d.noMkdir {
		if err := os.MkdirAll(d.opt.Path, 0o755); err != nil {
			return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
		}
	}
	options := "nosuid,nodev"
	if d.opt.MountOptions != "" {
		options = d.opt.MountOptions + "," + options
	}
	d.logger.DebugContext(ctx, "mount", slog.String("source", d.opt.source()), slog.String("path", d.opt.Path), slog.String("options", options))
	if err := d.mounter.mount(ctx, d.opt.source(), d.opt.Path, options); err != nil {
		return fmt.Errorf("%w: mount: %w", storage.ErrUnavailable, err)
	}
	mounted, err := d.mounted()
	if err == nil && !mounted {
		err = fmt.Errorf("%w: mounted, but not there", storage.ErrUnavailable)
	}
	return err
}

// remount takes a stale mount away, from under whoever has it, and mounts the export again.
func (d *Driver) remount(ctx context.Context) error {
	return d.locked(ctx, func() error {
		mounted, err := d.mounted()
		if err != nil {
			return err
		}
		if mounted {
			if err := d.mounter.unmount(ctx, d.opt.Path, true); err != nil {
				return err
			}
		}
		return d.mount(ctx)
	})
}

// Deactivate implements storage.Deactivator: the export is unmounted. ErrInUse while somebody uses it; a mount whose server
// is dead is taken away from them. A mount of another export is left alone.
func (d *Driver) Deactivate(ctx context.Context) error {
	return d.fail("deactivate", "", d.locked(ctx, func() error {
		m, ok, err := d.mounter.at(d.opt.Path)
		if err != nil || !ok || !d.is(m) {
			return err
		}
		dead := d.server.ask(ctx) != nil
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.logger.DebugContext(ctx, "unmount", slog.String("path", d.opt.Path), slog.Bool("lazy", dead))
		err = d.mounter.unmount(ctx, d.opt.Path, dead)
		if errors.Is(err, syscall.EBUSY) {
			err = fmt.Errorf("%w: %w", storage.ErrInUse, err)
		}
		return err
	}))
}

// locked does fn with the right to mount. It waits no longer than ctx.
func (d *Driver) locked(ctx context.Context, fn func() error) error {
	select {
	case d.gate <- struct{}{}:
		defer func() { <-d.gate }()
		return fn()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *Driver) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*storage.OpError](err); ok {
		return err
	}
	return &storage.OpError{Op: op, Driver: "nfs", Volume: id, Err: err}
}
