package rbd

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/storage"
)

// Sweep removes what dead processes of this machine left unfinished, and says how much. What another machine's left is hers.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	names, err := d.tool.names(ctx)
	if err != nil {
		return 0, d.fail("sweep", "", err)
	}
	var n int
	var errs []error
	for _, name := range names {
		if !d.maker.Abandoned(name) {
			continue
		}
		switch err := d.drop(ctx, name); {
		case err == nil:
			n++
		case !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrInUse): // a program of that process still ends
			errs = append(errs, err)
		}
	}
	return n, d.fail("sweep", "", errors.Join(errs...))
}

// drop removes an image that was never a volume.
func (d *Driver) drop(ctx context.Context, name string) error {
	_, err := d.tool.rbd(ctx, call{args: append([]string{"rm", "--no-progress"}, d.tool.image(name, "")...)})
	return err
}
