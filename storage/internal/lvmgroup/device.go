package lvmgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
)

// Path is where the device of a volume is while that is active.
func (g *Group) Path(name string) string { return "/dev/" + g.Name + "/" + name }

// activate makes the device of a volume and returns its node. The caller has the volume's lock.
func (g *Group) activate(ctx context.Context, v *lvmcmd.Volume) (string, error) {
	if !v.Active() {
		args := append(append([]string(nil), g.opt.Activation...), "--", g.LV(v.Name))
		if err := g.Tool.Change(ctx, "lvchange", args...); err != nil {
			return "", err
		}
	}
	return g.node(ctx, v)
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
func (g *Group) takeBack(v *lvmcmd.Volume) error {
	node, err := mapped(g.Path(v.Name), v.UUID)
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
	if v.Active() && refresh { // another machine may have made it grow
		if err := g.Tool.Change(ctx, "lvchange", "--refresh", "--", g.LV(v.Name)); err != nil {
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

// Detach takes back what Attach gave; v is nil for a volume that is gone. A device that somebody has open stays, and is
// storage.ErrInUse. The caller has the volume's lock.
func (g *Group) Detach(ctx context.Context, name string, v *lvmcmd.Volume) error {
	if v != nil && v.Active() {
		if err := g.Idle(ctx, v); err != nil { // its user keeps what he has open, and the device as his
			return err
		}
		if err := g.takeBack(v); err != nil {
			return err
		}
		if err := g.Deactivate(ctx, name); err != nil {
			return err
		}
		v.Attr = v.Attr[:4] + "--" + v.Attr[6:]
	}
	return g.unmark(name)
}

const idleTries, idlePoll = 5, 100 * time.Millisecond

// Idle returns storage.ErrInUse if somebody has the device of v open. It gives udev, which looks at each device that was
// written, a moment to close it.
func (g *Group) Idle(ctx context.Context, v *lvmcmd.Volume) error {
	if !v.Open() {
		return nil
	}
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	for range idleTries {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now, err := g.Volume(ctx, v.Name)
		if err != nil {
			return err
		}
		if v.Attr = now.Attr; !v.Open() {
			return nil
		}
	}
	return fmt.Errorf("%s is open: %w", g.Path(v.Name), storage.ErrInUse)
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
	v, err := g.Volume(ctx, name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil || !v.Active():
		return err
	}
	if err := g.Idle(ctx, &v); errors.Is(err, storage.ErrInUse) { // another process's; she takes it down
		return nil
	} else if err != nil {
		return err
	}
	return g.Deactivate(ctx, name)
}
