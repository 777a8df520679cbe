package lvm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options configure a Driver. The zero value of each field is the documented default.
type Options struct {
	Shared     bool // other machines see the group: volumes are activated for one, and read again from disk when attached
	TaggedOnly bool // only volumes with a tag pve-vm-N are the storage's
	SafeRemove bool // what is removed is overwritten with zeros first
	// RemoveStepBytes is how much is overwritten at once by a device that can do that itself; default 32 MiB.
	RemoveStepBytes int64
	// RemoveBytesPerSecond is how fast zeros are written to a device that must be sent them; default 10 MiB.
	RemoveBytesPerSecond int64
	Program              string       // lvm2's one program; default "lvm"
	RunDir               string       // for locks, not writable by others; default /run/gpve/lvm
	Filter               []string     // further patterns of devices/global_filter
	Logger               *slog.Logger // argv of each command at Debug; nil discards
}

// Driver is a storage in a volume group. See the package.
type Driver struct {
	opt   Options
	group *lvmgroup.Group
	// step is called between the steps of a change; tests end the process there.
	step func(name string)
}

// New returns the driver for a volume group. Nothing is touched.
func New(group string, o *Options) (*Driver, error) {
	if o == nil {
		o = &Options{}
	}
	d := &Driver{opt: *o, step: func(string) {}}
	if o.RemoveStepBytes < 0 || o.RemoveBytesPerSecond < 0 || o.RemoveStepBytes%512 != 0 {
		return nil, fmt.Errorf("lvm: RemoveStepBytes %d, RemoveBytesPerSecond %d: %w", o.RemoveStepBytes, o.RemoveBytesPerSecond, fs.ErrInvalid)
	}
	if o.RemoveStepBytes == 0 {
		d.opt.RemoveStepBytes = 32 << 20
	}
	if o.RemoveBytesPerSecond == 0 {
		d.opt.RemoveBytesPerSecond = 10 << 20
	}
	tool, err := lvmcmd.New(&lvmcmd.Options{Program: o.Program, Filter: o.Filter, Logger: o.Logger, Step: func() { d.step("command") }})
	if err != nil {
		return nil, err
	}
	active := []string{"-ay", "-K"}
	if o.Shared {
		active = []string{"-aey", "-K"}
	}
	if d.group, err = lvmgroup.New(group, tool, lvmgroup.Options{RunDir: o.RunDir, Activation: active}); err != nil {
		return nil, err
	}
	return d, nil
}

// Backend opens drivers from sections of storage.cfg of the type lvm. The section gives vgname, shared, tagged_only, saferemove,
// saferemove-stepsize (MiB) and saferemove_throughput (bytes a second, or minus that); everything else comes from o. nil is fine.
// A section with snapshot-as-volume-chain opens: its raw volumes are like any others.
func Backend(o *Options) storage.Backend {
	if o == nil {
		o = &Options{}
	}
	return storage.Backend{Type: "lvm", Open: func(cfg storage.Config) (storage.Driver, error) {
		opt, st := *o, volid.Storage{Type: "lvm", Options: cfg.Options}
		opt.Shared, opt.TaggedOnly, opt.SafeRemove = st.Bool("shared"), st.Bool("tagged_only"), st.Bool("saferemove")
		if s := cfg.Options["saferemove-stepsize"]; s != "" {
			n, err := strconv.ParseInt(s, 10, 32)
			if err != nil || n <= 0 {
				return nil, fmt.Errorf("lvm: saferemove-stepsize %q: %w", s, fs.ErrInvalid)
			}
			opt.RemoveStepBytes = n << 20
		}
		if s := cfg.Options["saferemove_throughput"]; s != "" {
			n, err := strconv.ParseInt(strings.TrimPrefix(s, "-"), 10, 64)
			if err != nil || n <= 0 {
				return nil, fmt.Errorf("lvm: saferemove_throughput %q: %w", s, fs.ErrInvalid)
			}
			opt.RemoveBytesPerSecond = n
		}
		return New(cfg.Options["vgname"], &opt)
	}}
}

// Activate implements storage.Activator: the group is there, with all its physical volumes.
func (d *Driver) Activate(ctx context.Context) error {
	g, err := d.group.Tool.Group(ctx, d.group.Name)
	if err == nil && g.Missing > 0 {
		err = fmt.Errorf("volume group %s: %d physical volumes are missing: %w", g.Name, g.Missing, storage.ErrUnavailable)
	}
	return d.fail("activate", "", err)
}

// Usage implements storage.Driver: the extents of the group.
func (d *Driver) Usage(ctx context.Context) (storage.Usage, error) {
	g, err := d.group.Tool.Group(ctx, d.group.Name)
	if err != nil {
		return storage.Usage{}, d.fail("usage", "", err)
	}
	return storage.Usage{TotalBytes: g.SizeBytes, UsedBytes: g.SizeBytes - g.FreeBytes, AvailBytes: g.FreeBytes}, nil
}

// parse reads a volume id of this storage.
func (d *Driver) parse(id storage.VolumeID) (volid.Volume, error) {
	v, err := volid.Parse("lvm", string(id))
	if err != nil {
		return v, fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	return v, d.group.Check(v.Name)
}

// raw returns the error of calls that only raw volumes have.
func raw(v volid.Volume) error {
	if v.Format != string(storage.Raw) {
		return fmt.Errorf("%s volume: %w", v.Format, errors.ErrUnsupported)
	}
	return nil
}

// ownerTag says whose a volume is, also to other tools.
func ownerTag(vmid int) string { return ownerPrefix + strconv.Itoa(vmid) }

const (
	ownerPrefix = "pve-vm-"
	// growTag is the beginning of the tag of a volume that is growing: behind it stands the size that it had, and what lies
	// beyond is not zero yet.
	growTag = "gpve.grow."
	// delPrefix is the beginning of the name of a volume that is being overwritten, wipeTag that of the tag which says by
	// which machine.
	delPrefix, wipeTag = "del-", "gpve.wipe."
)

// fail wraps the error of one call with what this layer knows.
func (d *Driver) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*storage.OpError](err); ok {
		return err
	}
	return &storage.OpError{Op: op, Driver: "lvm", Volume: id, Err: err}
}
