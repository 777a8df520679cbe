package zfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/holders"
)

// Delete implements storage.Driver: the volume goes with its snapshots. One that linked clones depend on is ErrInUse.
func (d *Driver) Delete(ctx context.Context, id storage.VolumeID) error {
	return d.fail("delete", id, d.delete(ctx, id))
}

func (d *Driver) delete(ctx context.Context, id storage.VolumeID) error {
	v, s, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if err := d.idle(v, s); err != nil { // before anything is lost: destroying snapshots and all is more than one step
		return err
	}
	return d.destroy(ctx, s.name)
}

const (
	// busyTime is how long to wait for those who have a new or changed device open for a look: udev.
	busyTime  = 10 * time.Second
	busyPause = 50 * time.Millisecond
)

// destroy destroys a dataset with its snapshots, or one snapshot. ZFS refuses when somebody has it open; that udev has, passes.
func (d *Driver) destroy(ctx context.Context, name string) error {
	args := []string{"destroy", name}
	if !strings.Contains(name, "@") {
		args = []string{"destroy", "-r", name} // never -R, which takes clones with it
	}
	tries := time.NewTimer(busyTime)
	defer tries.Stop()
	for {
		_, err := d.tool.run(ctx, args...)
		if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, storage.ErrInUse) || !strings.Contains(e.Stderr, "is busy") {
			return err
		}
		if held := held(name); held != nil {
			return errors.Join(err, held)
		}
		pause := time.NewTimer(busyPause)
		select {
		case <-pause.C:
		case <-tries.C:
			return err
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// idle is ErrInUse if somebody has the device of a volume open, or its snapshots are cloned. Where folders are in use, ZFS knows.
func (d *Driver) idle(v volume, s dataset) error {
	if v.subvol() {
		return nil
	}
	return held(s.name)
}

// held is ErrInUse, with the names of those who have a zvol's device open.
func held(name string) error {
	list, err := holders.Of(devicePath(name))
	if err != nil {
		return err
	}
	var names []string
	for _, h := range list {
		if !h.Passing() {
			names = append(names, h.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: held by %s", storage.ErrInUse, strings.Join(names, ", "))
}
