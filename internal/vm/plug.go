package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// unplugPatience is how long a guest may take to let a device go.
const unplugPatience = 5 * time.Second

// plug adds a unit: its back ends first, then its devices, a controller before what sits on it. taps are what the netdev of
// a NIC refers to by tapName. If a later part fails, the back ends are taken away again; a controller stays with what it
// uses, since taking it away is the guest's decision: the next plug finds it.
func (g *guest) plug(ctx context.Context, u *machine.Unit, taps []*os.File) (err error) {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	var undo []func(context.Context) error
	defer func() {
		if err != nil {
			err = g.explain(err)
			for _, fn := range slices.Backward(undo) {
				err = errors.Join(err, ignoreMissing(fn(context.WithoutCancel(ctx))))
			}
		}
	}()
	later := func(cmd string, args map[string]any) {
		undo = append(undo, func(ctx context.Context) error { return c.Do(ctx, cmd, args, nil) })
	}
	do := func(cmd string, args any, back string, backArgs map[string]any) error {
		if err := c.Do(ctx, cmd, args, nil); err != nil {
			return err
		}
		later(back, backArgs)
		return nil
	}
	for _, o := range u.Objects {
		if err := do("object-add", o.Arguments(), "object-del", map[string]any{"id": o.ID}); err != nil {
			return err
		}
	}
	for _, n := range u.Nodes {
		if err := do("blockdev-add", n.Arguments(), "blockdev-del", map[string]any{"node-name": n.NodeName}); err != nil {
			return err
		}
	}
	if err := g.plugNet(ctx, c, u, taps, later); err != nil {
		return err
	}
	for _, d := range u.Devices {
		if err := c.Do(ctx, "device_add", d.Properties(), nil); err != nil {
			return err
		}
	}
	return nil
}

// plugNet adds the netdev of a NIC, which takes the taps that QEMU is given before.
func (g *guest) plugNet(ctx context.Context, c *qmp.Client, u *machine.Unit, taps []*os.File, later func(string, map[string]any)) error {
	for i, f := range taps {
		name := map[string]any{"fdname": tapName(u.Name, i)}
		if err := c.DoFD(ctx, "getfd", name, f, nil); err != nil {
			return err
		}
		if len(u.Netdevs) == 0 {
			later("closefd", name)
		}
	}
	for _, n := range u.Netdevs {
		if err := c.Do(ctx, "netdev_add", n.Arguments(), nil); err != nil {
			for i := range taps {
				err = errors.Join(err, ignoreMissing(c.Do(ctx, "closefd", map[string]any{"fdname": tapName(u.Name, i)}, nil)))
			}
			return err
		}
		later("netdev_del", map[string]any{"id": n.ID})
	}
	return nil
}

// explain gives a refusal of QEMU's to users; anything else is none of theirs.
func (g *guest) explain(err error) error {
	if e, ok := errors.AsType[*qmp.Error](err); ok {
		return &call.Error{Status: 500, Text: fmt.Sprintf("VM %d qmp command failed - %v", g.id, e), Err: err}
	}
	return err
}

// tapName is the name that QEMU knows an open tap of a unit by until its netdev takes it.
func tapName(unit string, i int) string { return fmt.Sprintf("%s-tap%d", unit, i) }

// unplug asks the guest to let the unit's devices go, then takes its back ends away.
func (g *guest) unplug(ctx context.Context, u *machine.Unit) error {
	for _, d := range slices.Backward(u.Devices) {
		if err := g.deleteDevice(ctx, d.ID, unplugPatience); err != nil {
			return err
		}
	}
	return g.forgetParts(ctx, u)
}

// forgetParts takes the back ends of a unit away, as far as they are there and nothing uses them.
func (g *guest) forgetParts(ctx context.Context, u *machine.Unit) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	do := func(cmd, name, id string) error { return ignoreMissing(c.Do(ctx, cmd, map[string]any{name: id}, nil)) }
	for _, n := range u.Netdevs {
		if err := do("netdev_del", "id", n.ID); err != nil {
			return err
		}
	}
	for _, n := range u.Nodes { // from above: of a disk that has been moved, what the filter stands on does not go with it
		var err error
		n.Walk(func(n *machine.Node) {
			if n.NodeName != "" && err == nil {
				err = do("blockdev-del", "node-name", n.NodeName)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, o := range slices.Backward(u.Objects) {
		if err := do("object-del", "id", o.ID); err != nil {
			return err
		}
	}
	return nil
}

// ignoreMissing passes over the refusal of a command for something that is not there.
func ignoreMissing(err error) error {
	if _, ok := errors.AsType[*qmp.Error](err); ok {
		return nil
	}
	return err
}

// present returns the ids of the devices and objects that the machine has. See qapi/qom.json: qom-list.
func (g *guest) present(ctx context.Context) (map[string]bool, error) {
	ids := map[string]bool{}
	for _, path := range []string{"/machine/peripheral", "/objects"} {
		var list []struct{ Name string }
		if err := g.do(ctx, "qom-list", map[string]any{"path": path}, &list); err != nil {
			return nil, err
		}
		for _, item := range list {
			ids[item.Name] = true
		}
	}
	return ids, nil
}

// deleteDevice asks the guest to let a device go and waits for that. One that is not there is gone.
func (g *guest) deleteDevice(ctx context.Context, id string, patience time.Duration) error {
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	err = machine.UnplugDevice(ctx, c, id)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, machine.ErrGuestRefused):
		return call.Errorf("error on hot-unplugging device '%s' - still busy in guest?", id)
	}
	return g.explain(err)
}

// resizeUnit is what QEMU rounds the size of a disk in use up to, in bytes.
const resizeUnit = 1024

// resize lets the running QEMU grow a disk that it has open.
func (g *guest) resize(ctx context.Context, d vmconfig.Drive, size int64) error {
	size = (size + resizeUnit - 1) / resizeUnit * resizeUnit
	return g.command(ctx, "block_resize", map[string]any{"node-name": "drive-" + d.Key, "size": size})
}
