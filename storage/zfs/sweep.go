package zfs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
)

// cleanUpTime bounds what is undone after a context has ended.
const cleanUpTime = time.Minute

// Sweep implements storage.Sweeper: it removes what dead processes left unfinished, datasets and snapshots of sources.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	n, err := d.sweep(ctx)
	return n, d.fail("sweep", "", err)
}

func (d *Driver) sweep(ctx context.Context) (int, error) {
	out, err := d.tool.run(ctx, "list", "-H", "-d", "2", "-t", "filesystem,volume,snapshot", "-o", "name", d.dataset)
	if err != nil {
		return 0, unavailable(err)
	}
	var n int
	var errs []error
	err = rows(out, func(name string) error {
		rest, ok := strings.CutPrefix(name, d.dataset+"/")
		volume, snap, isSnapshot := strings.Cut(rest, "@")
		switch {
		case !ok || maker.Is(volume) && isSnapshot: // goes with its dataset
			return nil
		case isSnapshot && !d.maker.Abandoned(snap), !isSnapshot && !d.maker.Abandoned(volume):
			return nil
		}
		switch err := d.destroy(ctx, name); {
		case err == nil:
			n++
		case !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrInUse): // a program of that process still ends
			errs = append(errs, err)
		}
		return nil
	})
	return n, errors.Join(append(errs, err)...)
}

// discard destroys what was never a volume, whatever has become of ctx. What is not there is fine.
func (d *Driver) discard(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	err := d.destroy(ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}
