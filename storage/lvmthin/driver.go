package lvmthin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options configure a Driver. The zero value of each field is the documented default.
type Options struct {
	// RefuseDataPercent and RefuseMetadataPercent are how full the pool may be for calls that will take more of it; beyond,
	// they are storage.ErrNoSpace. Default 95 and 90.
	RefuseDataPercent, RefuseMetadataPercent float64
	// WarnPercent is how full data or metadata may be before Alarm is called. Default 80.
	WarnPercent float64
	// Alarm, if set, is called when Usage, or a call that takes space, finds the pool in another state than the last time
	// (its first time: than sound). It must not call the driver.
	Alarm func(Pool)
	// WatchInterval is between two looks at the pool while a volume is filled. Default 2 s.
	WatchInterval time.Duration
	// AllowStale makes volumes also in a pool that does not zero the blocks it gives out, where a guest may read what another
	// one left. By default that is storage.ErrUnsafe.
	AllowStale bool
	Program    string       // lvm2's one program; default "lvm"
	RunDir     string       // for locks, not writable by others; default /run/gpve/lvm
	Filter     []string     // further patterns of devices/global_filter
	Logger     *slog.Logger // argv of each command at Debug; nil discards
}

// Driver is a storage in a thin pool. See the package.
type Driver struct {
	opt   Options
	pool  string
	group *lvmgroup.Group
	state alarm
	// step is called between the steps of a change; tests end the process there.
	step func(name string)
}

// New returns the driver for a thin pool. Nothing is touched.
func New(group, pool string, o *Options) (*Driver, error) {
	if o == nil {
		o = &Options{}
	}
	d := &Driver{opt: *o, pool: pool, step: func(string) {}}
	d.opt.RefuseDataPercent = cmp.Or(o.RefuseDataPercent, 95)
	d.opt.RefuseMetadataPercent = cmp.Or(o.RefuseMetadataPercent, 90)
	d.opt.WarnPercent = cmp.Or(o.WarnPercent, 80)
	d.opt.WatchInterval = cmp.Or(o.WatchInterval, 2*time.Second)
	for _, p := range []float64{d.opt.RefuseDataPercent, d.opt.RefuseMetadataPercent, d.opt.WarnPercent} {
		if !(p > 0 && p <= 100) {
			return nil, fmt.Errorf("lvmthin: %v percent: %w", p, fs.ErrInvalid)
		}
	}
	if d.opt.WatchInterval < 0 {
		return nil, fmt.Errorf("lvmthin: negative WatchInterval: %w", fs.ErrInvalid)
	}
	if !lvmcmd.ValidName(pool) {
		return nil, fmt.Errorf("lvmthin: thin pool %q: %w", pool, fs.ErrInvalid)
	}
	tool, err := lvmcmd.New(&lvmcmd.Options{Program: o.Program, Filter: o.Filter, Logger: o.Logger, Step: func() { d.step("command") }})
	if err != nil {
		return nil, err
	}
	d.group, err = lvmgroup.New(group, tool, lvmgroup.Options{RunDir: o.RunDir, Thin: true})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Backend opens drivers from sections of storage.cfg of the type lvmthin: vgname and thinpool come from there, everything else
// from o. nil is fine.
func Backend(o *Options) storage.Backend {
	return storage.Backend{Type: "lvmthin", Open: func(cfg storage.Config) (storage.Driver, error) {
		return New(cfg.Options["vgname"], cfg.Options["thinpool"], o)
	}}
}

// Activate implements storage.Activator: the pool is there and active.
func (d *Driver) Activate(ctx context.Context) error {
	_, err := d.activePool(ctx)
	return d.fail("activate", "", err)
}

// parse reads a volume id of this storage.
func (d *Driver) parse(id storage.VolumeID) (volid.Volume, error) {
	v, err := volid.Parse("lvmthin", string(id))
	if err != nil {
		return v, fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	return v, d.group.Check(v.Name)
}

// snapshotName are the names of guests' snapshots in Proxmox VE.
var snapshotName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`)

const (
	snapPrefix = "snap_"
	// ofTag is the beginning of the tag that says whose snapshot a volume is, where its name leaves that open.
	ofTag = "gpve.of."
	// rollPrefix is the beginning of the name of a volume that is about to take the place of another: the roll back is
	// decided, and whoever comes next completes it.
	rollPrefix = "gpve-roll."
)

// snapshot is the name of the volume that holds a snapshot.
func (d *Driver) snapshot(volume, name string) (string, error) {
	lv := snapPrefix + volume + "_" + name
	if !snapshotName.MatchString(name) {
		return "", fmt.Errorf("snapshot %q: %w", name, storage.ErrBadID)
	}
	return lv, d.group.Check(lv)
}

// fail wraps the error of one call with what this layer knows.
func (d *Driver) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*storage.OpError](err); ok {
		return err
	}
	return &storage.OpError{Op: op, Driver: "lvmthin", Volume: id, Err: err}
}
