package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// plug adds a unit: its back ends first, then its devices. taps are what the netdev of a NIC refers to by tapName. What was added is taken away again if a later part fails.
func (g *guest) plug(ctx context.Context, u *machine.Unit, taps []*os.File) (err error) {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	var undo []func(context.Context) error
	defer func() {
		if err != nil {
			for _, fn := range slices.Backward(undo) {
				err = errors.Join(err, fn(context.WithoutCancel(ctx)))
			}
		}
	}()
	do := func(cmd string, args any, back string, backArgs map[string]any) error {
		if err := c.Do(ctx, cmd, args, nil); err != nil {
			return err
		}
		undo = append(undo, func(ctx context.Context) error { return c.Do(ctx, back, backArgs, nil) })
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
	for i, f := range taps { // each under a name by which the netdev finds it
		if err := c.DoFD(ctx, "getfd", map[string]any{"fdname": tapName(u.Name, i)}, f, nil); err != nil {
			return err
		}
	}
	for _, n := range u.Netdevs {
		if err := do("netdev_add", n.Arguments(), "netdev_del", map[string]any{"id": n.ID}); err != nil {
			return err
		}
	}
	for _, d := range u.Devices {
		if err := do("device_add", d.Properties(), "device_del", map[string]any{"id": d.ID}); err != nil {
			return err
		}
	}
	return nil
}

// tapName is the name that QEMU knows an open tap of a unit by until its netdev takes it.
func tapName(unit string, i int) string { return fmt.Sprintf("%s-tap%d", unit, i) }

// unplug asks the guest to let the unit's devices go, then takes its back ends away.
func (g *guest) unplug(ctx context.Context, u *machine.Unit) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(u.Devices) {
		if err := g.deleteDevice(ctx, d.ID); err != nil {
			return err
		}
	}
	for _, n := range u.Netdevs {
		if err := ignoreMissing(c.Do(ctx, "netdev_del", map[string]any{"id": n.ID}, nil)); err != nil {
			return err
		}
	}
	for _, n := range u.Nodes {
		if err := ignoreMissing(c.Do(ctx, "blockdev-del", map[string]any{"node-name": n.NodeName}, nil)); err != nil {
			return err
		}
	}
	for _, o := range slices.Backward(u.Objects) {
		if err := ignoreMissing(c.Do(ctx, "object-del", map[string]any{"id": o.ID}, nil)); err != nil {
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

func (g *guest) deleteDevice(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, unplugPatience)
	defer cancel()
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	sub := c.Subscribe("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR")
	defer sub.Close()
	err = c.Do(ctx, "device_del", map[string]any{"id": id}, nil)
	if errors.Is(err, qmp.ErrDeviceNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ev, err := sub.Next(ctx, func(e qmp.Event) bool { return e.Str("device") == id })
	if err != nil || ev.Name == "DEVICE_UNPLUG_GUEST_ERROR" {
		return call.Errorf("error on hot-unplugging device '%s' - still busy in guest?", id)
	}
	return nil
}

// changeMedium takes the medium out of a CD-ROM drive, lets change alter the configuration, and puts the new medium in.
func (s *Service) changeMedium(ctx context.Context, op *task.Op, v *VM, g *guest, key string, change func() error) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	old, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	if err := ignoreMissing(c.Do(ctx, "blockdev-open-tray", map[string]any{"id": key, "force": true}, nil)); err != nil {
		return err
	}
	if err := ignoreMissing(c.Do(ctx, "blockdev-remove-medium", map[string]any{"id": key}, nil)); err != nil {
		return err
	}
	if unit, ok := old.Machine.Find(key); ok {
		for _, n := range unit.Nodes {
			if err := ignoreMissing(c.Do(ctx, "blockdev-del", map[string]any{"node-name": n.NodeName}, nil)); err != nil {
				return err
			}
		}
	}
	if err := change(); err != nil {
		return err
	}
	now, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	unit, ok := now.Machine.Find(key)
	if ok && len(unit.Nodes) > 0 {
		if err := s.insert(ctx, op, v, g, key, unit); err != nil {
			return err
		}
	}
	return c.Do(ctx, "blockdev-close-tray", map[string]any{"id": key}, nil)
}

func (s *Service) insert(ctx context.Context, op *task.Op, v *VM, g *guest, key string, unit *machine.Unit) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	d, ok, err := v.Config.Main.Drive(key)
	if err != nil || !ok {
		return err
	}
	if isVolume(d.File) {
		h := *g.holds()
		if !slices.Contains(h.Volumes, d.File) {
			h.Volumes = append(slices.Clone(h.Volumes), d.File)
		}
		if err := op.Commit(ctx, h.part(&s.Repository)); err != nil {
			return err
		}
		g.setHold(&h)
		if _, err := s.o.Volumes.Attach(ctx, d.File, h.UID, true); err != nil {
			return err
		}
	}
	for _, o := range unit.Objects { // there already, unless the drive was empty
		if err := ignoreMissing(c.Do(ctx, "object-add", o.Arguments(), nil)); err != nil {
			return err
		}
	}
	root := unit.Nodes[len(unit.Nodes)-1]
	for _, n := range unit.Nodes {
		if err := c.Do(ctx, "blockdev-add", n.Arguments(), nil); err != nil {
			return err
		}
	}
	return c.Do(ctx, "blockdev-insert-medium", map[string]any{"id": key, "node-name": root.NodeName}, nil)
}

// resize lets the running QEMU grow a disk that it has open.
func (g *guest) resize(ctx context.Context, d vmconfig.Drive, size int64) error {
	args := map[string]any{"node-name": "drive-" + d.Key, "size": size}
	if err := g.do(ctx, "block_resize", args, nil); err != nil {
		return call.Errorf("VM %d qmp command 'block_resize' failed - %w", g.id, err)
	}
	return nil
}
