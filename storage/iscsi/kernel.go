package iscsi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Driver is a target that the kernel is logged into: type iscsi.
type Driver struct{ target }

// New returns the driver for a target. portal is HOST or HOST:PORT. Nothing is touched.
func New(portal, name string, o *Options) (*Driver, error) {
	t, err := newTarget("iscsi", portal, name, o)
	return &Driver{target: t}, err
}

// Backend opens drivers from sections of storage.cfg of the type iscsi.
func Backend(o *Options) storage.Backend {
	return storage.Backend{Type: "iscsi", Open: func(cfg storage.Config) (storage.Driver, error) {
		return New(cfg.Options["portal"], cfg.Options["target"], o)
	}}
}

// Activate implements storage.Activator: logged in at each portal that the target names for itself, or, if so already, looked
// again for new units. A portal that does not answer is no error as long as there is a session.
func (d *Driver) Activate(ctx context.Context) error {
	return d.fail("activate", "", d.activate(ctx))
}

func (d *Driver) activate(ctx context.Context) error {
	sessions, err := d.sessions()
	if err != nil {
		return err
	}
	if len(sessions) > 0 {
		_, err := d.run(ctx, "iscsiadm", "--mode", "node", "--targetname", d.name, "--rescan")
		return err
	}
	if err := d.reachable(ctx, d.portal); err != nil {
		return err
	}
	out, err := d.run(ctx, "iscsiadm", "--mode", "discovery", "--type", "sendtargets", "--portal", d.portal)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	var errs []error // one path is enough
	for _, portal := range parsePortals(out, d.name) {
		// Not all that iscsiadm has on record: it would wait minutes for each portal that is no more.
		if err := d.reachable(ctx, portal); err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := d.run(ctx, "iscsiadm", "--mode", "node", "--targetname", d.name, "--portal", portal, "--login"); err != nil {
			errs = append(errs, err)
		}
	}
	if sessions, err := d.sessions(); err != nil || len(sessions) == 0 {
		return fmt.Errorf("%w: no session: %w", storage.ErrUnavailable, errors.Join(append(errs, err)...))
	}
	return nil
}

// parsePortals reads where a target can be reached from what a discovery prints: "10.0.0.5:3260,1 iqn.…" lines.
func parsePortals(text []byte, name string) []string {
	var portals []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 2 || f[1] != name {
			continue
		}
		portal, _, _ := strings.Cut(f[0], ",") // the number is that of the portal group
		if _, _, err := net.SplitHostPort(portal); err == nil && !strings.HasPrefix(portal, "-") {
			portals = append(portals, portal)
		}
	}
	return portals
}

// noSuchSession is iscsiadm's exit status when there is nothing to log out of. See iscsiadm(8): ISCSI_ERR_NO_OBJS_FOUND.
const noSuchSession = 21

// Deactivate implements storage.Deactivator: logged out. ErrInUse while a unit is mounted, part of something else, or held
// exclusively; whoever merely has one open, as QEMU does, loses it.
func (d *Driver) Deactivate(ctx context.Context) error {
	units, err := d.units()
	if err != nil {
		return d.fail("deactivate", "", err)
	}
	for _, u := range units {
		if busy, err := held(u.device); err != nil || busy {
			if err == nil {
				err = storage.ErrInUse
			}
			return d.fail("deactivate", "", err)
		}
	}
	_, err = d.run(ctx, "iscsiadm", "--mode", "node", "--targetname", d.name, "--logout")
	if e, ok := errors.AsType[*Error](err); ok && e.Exit == noSuchSession {
		err = nil
	}
	return d.fail("deactivate", "", err)
}

// Create implements storage.Driver: errors.ErrUnsupported.
func (d *Driver) Create(_ context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	return storage.Volume{}, d.never("create", spec.ID)
}

// Delete implements storage.Driver: errors.ErrUnsupported.
func (d *Driver) Delete(_ context.Context, id storage.VolumeID) error { return d.never("delete", id) }

// Usage implements storage.Driver: how much a target has is not known here. ErrUnavailable without a session.
func (d *Driver) Usage(context.Context) (storage.Usage, error) {
	sessions, err := d.sessions()
	if err == nil && len(sessions) == 0 {
		err = storage.ErrUnavailable
	}
	return storage.Usage{}, d.fail("usage", "", err)
}

// Stat implements storage.Driver.
func (d *Driver) Stat(_ context.Context, id storage.VolumeID) (storage.Volume, error) {
	u, err := d.find(id)
	if err != nil {
		return storage.Volume{}, d.fail("stat", id, err)
	}
	return unit(u.id, u.size), nil
}

// List implements storage.Driver. It reads /sys and asks nobody.
func (d *Driver) List(_ context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		units, err := d.units()
		if err != nil {
			yield(storage.Volume{}, d.fail("list", "", err))
			return
		}
		for _, u := range units {
			if v := unit(u.id, u.size); f.Match(&v) && !yield(v, nil) {
				return
			}
		}
	}
}

// Attach implements storage.Driver: a storage.Block whose device belongs to o.UID. udev gives it back to root when the device
// changes; so a guest's process must have it open by then.
func (d *Driver) Attach(_ context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	u, err := d.find(id)
	if err == nil {
		err = own(u.device, o.UID)
	}
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	return storage.Block{Path: u.link, Format: storage.Raw, ReadOnly: o.ReadOnly}, nil
}

// Detach implements storage.Driver: the device is root's again.
func (d *Driver) Detach(_ context.Context, id storage.VolumeID) error {
	u, err := d.find(id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = own(u.device, 0)
	}
	return d.fail("detach", id, err)
}

// Open implements storage.Opener.
func (d *Driver) Open(_ context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	u, err := d.find(id)
	if err != nil {
		return nil, d.fail("open", id, err)
	}
	f, err := openDevice(u.device, write)
	if err != nil {
		return nil, d.fail("open", id, err)
	}
	return &storage.Image{File: f, Format: storage.Raw}, nil
}

// Path implements storage.Pather: the stable link to the device.
func (d *Driver) Path(id storage.VolumeID) (string, error) {
	v, err := d.parse(id)
	return filepath.Join(byID, v.Name), d.fail("locate", id, err)
}

// disk is a logical unit that the kernel has made a block device of.
type disk struct {
	id     storage.VolumeID
	device string // /dev/sdb
	link   string // /dev/disk/by-id/…
	size   int64  // bytes
}

// find returns the unit of a volume. One of another target is not found, however it is named.
func (d *Driver) find(id storage.VolumeID) (disk, error) {
	v, err := d.parse(id)
	if err != nil {
		return disk{}, err
	}
	if v.Name == "" || v.Name != filepath.Base(v.Name) || strings.HasPrefix(v.Name, ".") {
		return disk{}, fmt.Errorf("device name %q: %w", v.Name, storage.ErrBadID)
	}
	units, err := d.units()
	if err != nil {
		return disk{}, err
	}
	i := slices.IndexFunc(units, func(u disk) bool { return u.id == id })
	if i < 0 {
		return disk{}, storage.ErrNotFound
	}
	return units[i], nil
}

// volume is the id of a unit: its address on the host and the stable name of its device.
func (d *Driver) volume(address, link string) (storage.VolumeID, bool) {
	f := strings.Split(address, ":") // host:channel:id:lun
	if len(f) != 4 {
		return "", false
	}
	for _, n := range f[1:] {
		if _, err := strconv.ParseUint(n, 10, 64); err != nil {
			return "", false
		}
	}
	id := storage.VolumeID(strings.Join(append(f[1:], filepath.Base(link)), "."))
	_, err := volid.Parse("iscsi", string(id))
	return id, err == nil
}
