package zfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// unavailable is the class of an error about the storage's own dataset.
func unavailable(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return err
}

// Usage implements storage.Driver: what the dataset and its volumes take (with what is reserved for them), and what is left to
// them within the pool and its quotas.
func (d *Driver) Usage(ctx context.Context) (storage.Usage, error) {
	u, err := d.usage(ctx)
	return u, d.fail("usage", "", err)
}

func (d *Driver) usage(ctx context.Context) (storage.Usage, error) {
	out, err := d.tool.run(ctx, "list", "-Hp", "-d", "0", "-o", "used,available", d.dataset)
	if err != nil {
		return storage.Usage{}, unavailable(err)
	}
	used, avail, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\t")
	var u storage.Usage
	if err := errors.Join(number(used, &u.UsedBytes), number(avail, &u.AvailBytes)); err != nil {
		return storage.Usage{}, err
	}
	u.TotalBytes = u.UsedBytes + u.AvailBytes
	return u, nil
}

// Activate implements storage.Activator: a pool that is not imported is, from the disks in Options.ImportDir.
func (d *Driver) Activate(ctx context.Context) error {
	return d.fail("activate", "", d.activate(ctx))
}

func (d *Driver) activate(ctx context.Context) error {
	err := d.there(ctx)
	if !errors.Is(err, storage.ErrUnavailable) || d.tool.suspended() {
		return err
	}
	list, e := d.tool.do(ctx, command{program: d.tool.zpool, args: []string{"list", "-H", "-o", "name"}})
	if e != nil {
		return e
	}
	for name := range strings.Lines(string(list)) {
		if strings.TrimSpace(name) == d.tool.pool { // imported, so it is the dataset that is missing
			return err
		}
	}
	// Not into the cache file: what the storage's configuration names is imported when it is used, not when the machine starts.
	args := []string{"import", "-d", d.opt.ImportDir, "-o", "cachefile=none", d.tool.pool}
	if _, e := d.tool.do(ctx, command{program: d.tool.zpool, args: args}); e != nil {
		if again := d.there(ctx); again == nil { // another has imported it
			return nil
		}
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, e)
	}
	return d.there(ctx)
}
