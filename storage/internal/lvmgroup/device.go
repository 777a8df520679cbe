package lvmgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/holders"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
)

// Path is where the device of a volume is while that is active.
func (g *Group) Path(name string) string { return "/dev/" + g.Name + "/" + name }

// device is what the kernel has for a volume; the zero value: none.
type device struct {
	there  bool
	uuid   string // "LVM-" and 64 characters, as in lvmcmd.Volume
	opened int    // how many times it is open
	dev    uint64 // device number
}

// activate makes the device of a volume and returns its node. The caller has the volume's lock. Whether there is one the kernel
// says, not v: it may have come or gone since v was read.
func (g *Group) activate(ctx context.Context, v *lvmcmd.Volume) (string, error) {
	d, err := g.ask(v.Name)
	if err != nil {
		return "", err
	}
	if !d.there {
		args := append(append([]string(nil), g.opt.Activation...), "--", g.LV(v.Name))
		if err := g.Tool.Change(ctx, "lvchange", args...); err != nil {
			return "", err
		}
	}
	return g.node(ctx, v)
}

// Fresh describes a volume that this process has made and activated just now, as the kernel knows it: name, identity, size and
// time.
func (g *Group) Fresh(name string) (lvmcmd.Volume, error) {
	d, err := g.ask(name)
	if err == nil && !d.there {
		err = fmt.Errorf("no device of %s: %w", g.LV(name), storage.ErrUnavailable)
	}
	if err != nil {
		return lvmcmd.Volume{}, err
	}
	size, err := d.size()
	return lvmcmd.Volume{Name: name, UUID: d.uuid, SizeBytes: size, Created: time.Now().Truncate(time.Second)}, err
}

// node waits for the device of an active volume. What is at its path is believed only when the kernel says that it is the
// device-mapper's device of this very volume.
func (g *Group) node(ctx context.Context, v *lvmcmd.Volume) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, g.opt.NodeWait, fmt.Errorf("no device at %s: %w", g.Path(v.Name), storage.ErrUnavailable))
	defer cancel()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		node, err := mapped(g.Path(v.Name), v.UUID)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return node, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// give hands a node to a uid, alone: nothing is left for other users. udev sets its group and mode again whenever the device
// changes, but leaves the owner.
func give(node string, h holder) error {
	uid := h.uid
	if uid == 0 {
		uid = os.Geteuid()
	}
	mode := os.FileMode(0o600)
	if h.readOnly {
		mode = 0o400
	}
	if err := os.Lchown(node, uid, -1); err != nil {
		return err
	}
	return os.Chmod(node, mode)
}

// takeBack makes the node this process's own again, where there is one.
func (g *Group) takeBack(name string, d device) error {
	node, err := mapped(g.Path(name), d.uuid)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return give(node, holder{})
}

// Attach activates a volume and hands its device to a user. The caller has its lock.
func (g *Group) Attach(ctx context.Context, v *lvmcmd.Volume, o storage.AttachOptions, refresh bool) error {
	h := holder{uid: o.UID, readOnly: o.ReadOnly || !v.Writable()}
	if refresh { // another machine may have made it grow
		d, err := g.ask(v.Name)
		if err == nil && d.there {
			err = g.Tool.Change(ctx, "lvchange", "--refresh", "--", g.LV(v.Name))
		}
		if err != nil {
			return err
		}
	}
	node, err := g.activate(ctx, v)
	if err != nil {
		return err
	}
	if err := g.mark(v.Name, h); err != nil {
		return err
	}
	return give(node, h)
}

// Restore attaches a volume as it was attached under the same name before it was replaced, if it was.
func (g *Group) Restore(ctx context.Context, name string) error {
	h, ok := g.marked(name)
	if !ok {
		return nil
	}
	v, err := g.Volume(ctx, name)
	if err != nil {
		return err
	}
	return g.Attach(ctx, &v, storage.AttachOptions{UID: h.uid, ReadOnly: h.readOnly}, false)
}

// Active reports whether there is a device of a volume on this machine.
func (g *Group) Active(name string) (bool, error) {
	d, err := g.ask(name)
	return d.there, err
}

// Detach takes back what Attach gave, also of a volume that is gone. A device that somebody has open stays, and is
// storage.ErrInUse. The caller has the volume's lock.
func (g *Group) Detach(ctx context.Context, name string) error {
	d, err := g.ask(name)
	if err != nil {
		return err
	}
	if d.there {
		if err := g.Idle(ctx, name); err != nil { // its user keeps what he has open, and the device as his
			return err
		}
		if err := g.takeBack(name, d); err != nil {
			return err
		}
		if err := g.Deactivate(ctx, name); err != nil {
			return err
		}
	}
	return g.Forget(name)
}

const idleWait, idlePoll = 10 * time.Second, 20 * time.Millisecond

// Idle returns storage.ErrInUse if somebody has the device of a volume open. It waits for udev, which looks at each device that
// was written, to close it.
func (g *Group) Idle(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, idleWait, fmt.Errorf("%s is open: %w", g.Path(name), storage.ErrInUse))
	defer cancel()
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	for {
		d, err := g.ask(name)
		if err != nil || d.opened == 0 {
			return err
		}
		who, err := holders.Of(g.Path(name))
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(who, func(h holders.Holder) bool { return !h.Passing() }); i >= 0 {
			return fmt.Errorf("%s is open: %v: %w", g.Path(name), who[i], storage.ErrInUse)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Open opens the device of a volume. Closing the image takes the device away again, unless the volume was attached
// meanwhile or somebody else has it open. The caller has the volume's lock.
func (g *Group) Open(ctx context.Context, v *lvmcmd.Volume, write bool) (*storage.Image, error) {
	node, err := g.activate(ctx, v)
	if err != nil {
		return nil, err
	}
	f, err := openNode(node, write)
	if err != nil {
		return nil, err
	}
	g.opened.add(v.Name, 1)
	return &storage.Image{File: f, Format: storage.Raw, Release: func() error { return g.release(ctx, v.Name) }}, nil
}

// Device activates a volume and opens its device for writing. It stays active when the file is closed. The caller has the
// volume's lock.
func (g *Group) Device(ctx context.Context, v *lvmcmd.Volume) (*os.File, error) {
	node, err := g.activate(ctx, v)
	if err != nil {
		return nil, err
	}
	return openNode(node, true)
}

// OpenHere is how many images of a volume this process has open.
func (g *Group) OpenHere(name string) int { return g.opened.add(name, 0) }

func (g *Group) release(ctx context.Context, name string) error {
	last := g.opened.add(name, -1) == 0
	if !last || Temporary(name) { // who makes a volume does the rest himself
		return nil
	}
	ctx, cancel := CleanUp(ctx)
	defer cancel()
	l, err := g.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer l.Unlock()
	if _, attached := g.marked(name); attached || g.OpenHere(name) > 0 {
		return nil
	}
	d, err := g.ask(name)
	if err != nil || !d.there {
		return err
	}
	if err = g.Idle(ctx, name); err == nil {
		err = g.Deactivate(ctx, name)
	}
	if errors.Is(err, storage.ErrInUse) || errors.Is(err, storage.ErrNotFound) { // another process's, who takes it down
		return nil
	}
	return err
}
