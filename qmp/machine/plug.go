package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/qmp"
)

// ErrGuestRefused says that the guest did not let go of a device.
var ErrGuestRefused = errors.New("the guest keeps the device")

// Command is a QMP command.
type Command struct {
	Name      string
	Arguments map[string]any
}

// PlugCommands returns the QMP commands that add the unit to a running machine, in the order in which the command line has
// its pieces. They are made of the same values as the arguments of Machine.Args. A piece that QEMU takes only at its start
// (Drives, Serials, TPMs, Audiodevs, ReadConfig, WatchdogAction, a property that is given twice, a chardev backend without a
// form here) is errors.ErrUnsupported. See chardev-add, object-add, netdev_add, blockdev-add, device_add.
func (u Unit) PlugCommands() ([]Command, error) {
	if err := u.pluggable(); err != nil {
		return nil, err
	}
	var list []Command
	objects := func(early bool) {
		for _, o := range u.Objects {
			if o.early() == early {
				list = append(list, Command{"object-add", o.Arguments()})
			}
		}
	}
	objects(true)
	for _, c := range u.Chardevs {
		args, err := c.Arguments()
		if err != nil {
			return nil, err
		}
		list = append(list, Command{"chardev-add", args})
	}
	objects(false)
	for _, n := range u.Netdevs {
		list = append(list, Command{"netdev_add", n.Arguments()})
	}
	for _, n := range u.Nodes {
		list = append(list, Command{"blockdev-add", n.Arguments()})
	}
	for _, d := range u.Devices {
		list = append(list, Command{"device_add", d.Properties()})
	}
	return list, nil
}

// UnplugCommands returns the commands that take a plugged unit away again, in the opposite order. Pieces without a name cannot
// be taken away: that is errors.ErrUnsupported. A device is gone, and what it uses free, only after the event
// DEVICE_DELETED: see Unplug.
func (u Unit) UnplugCommands() ([]Command, error) {
	if err := u.pluggable(); err != nil {
		return nil, err
	}
	var list []Command
	var nameless error
	add := func(command, member, id string) {
		if id == "" {
			nameless = fmt.Errorf("machine: unplug %s: a piece without a name: %w", u.Name, errors.ErrUnsupported)
		}
		list = append(list, Command{command, map[string]any{member: id}})
	}
	for _, d := range slices.Backward(u.Devices) {
		add("device_del", "id", d.ID)
	}
	for _, n := range slices.Backward(u.Nodes) {
		add("blockdev-del", "node-name", n.NodeName)
	}
	for _, n := range slices.Backward(u.Netdevs) {
		add("netdev_del", "id", n.ID)
	}
	for _, early := range []bool{false, true} {
		if early {
			for _, c := range slices.Backward(u.Chardevs) {
				add("chardev-remove", "id", c.ID)
			}
		}
		for _, o := range slices.Backward(u.Objects) {
			if o.early() == early {
				add("object-del", "id", o.ID)
			}
		}
	}
	return list, nameless
}

func (u Unit) pluggable() error {
	for what, n := range map[string]int{"drive": len(u.Drives), "serial port": len(u.Serials), "TPM": len(u.TPMs), "audio backend": len(u.Audiodevs),
		"file of devices": len(u.ReadConfig), "watchdog action": len(u.WatchdogAction)} {
		if n > 0 {
			return fmt.Errorf("machine: plug %s: %s: %w", u.Name, what, errors.ErrUnsupported)
		}
	}
	var lists [][]Property
	for _, o := range u.Objects {
		lists = append(lists, o.Props)
	}
	for _, n := range u.Netdevs {
		lists = append(lists, n.Props)
	}
	for _, d := range u.Devices {
		lists = append(lists, d.Props)
	}
	for _, props := range lists {
		seen := map[string]bool{}
		for _, p := range props {
			if p.Name == "" || seen[p.Name] {
				return fmt.Errorf("machine: plug %s: property %q is no single value: %w", u.Name, p.Name, errors.ErrUnsupported)
			}
			seen[p.Name] = true
		}
	}
	return nil
}

// Plug adds the unit to a running machine. What a failure has left is taken away again. ctx bounds the whole.
func Plug(ctx context.Context, c *qmp.Client, u Unit) error {
	list, err := u.PlugCommands()
	if err != nil {
		return err
	}
	for i, cmd := range list {
		if err := c.Do(ctx, cmd.Name, cmd.Arguments, nil); err != nil {
			return errors.Join(err, u.firstPieces(list[:i]).takeBack(context.WithoutCancel(ctx), c))
		}
	}
	return nil
}

// firstPieces returns the unit without what the commands have not added.
func (u Unit) firstPieces(done []Command) Unit {
	count := map[string]int{}
	for _, cmd := range done {
		count[cmd.Name]++
	}
	part := Unit{Name: u.Name, Chardevs: u.Chardevs[:count["chardev-add"]], Netdevs: u.Netdevs[:count["netdev_add"]],
		Nodes: u.Nodes[:count["blockdev-add"]], Devices: u.Devices[:count["device_add"]]}
	for _, early := range []bool{true, false} {
		for _, o := range u.Objects {
			if o.early() == early && len(part.Objects) < count["object-add"] {
				part.Objects = append(part.Objects, o)
			}
		}
	}
	return part
}

// unplugPatience is what a guest has to let go of devices whose unit could not be plugged as a whole.
const unplugPatience = 30 * time.Second

// takeBack removes what was just added.
func (u Unit) takeBack(ctx context.Context, c *qmp.Client) error {
	ctx, cancel := context.WithTimeout(ctx, unplugPatience)
	defer cancel()
	return Unplug(ctx, c, u)
}

// askAgain is how long a guest has before it is asked once more to let go of a device: one that boots loses the first
// request, and QEMU itself takes no second one for five seconds (pending_deleted_expires_ms in hw/acpi/pcihp.c, hw/pci/pcie.c).
const askAgain = 6 * time.Second

// Unplug takes the unit out of a running machine. Devices go when the guest lets go of them, which may take any time: it waits
// within ctx, asking the guest again now and then, and what the devices use is taken away after that. A guest that says no is
// ErrGuestRefused, where QEMU tells; one that says nothing is the error of ctx. What is gone already is not missed, and what the
// guest was asked for before is waited for, so Unplug can be called again.
func Unplug(ctx context.Context, c *qmp.Client, u Unit) error {
	list, err := u.UnplugCommands()
	if err != nil {
		return err
	}
	for _, cmd := range list {
		if cmd.Name == "device_del" {
			err = UnplugDevice(ctx, c, cmd.Arguments["id"].(string))
		} else if err = c.Do(ctx, cmd.Name, cmd.Arguments, nil); err != nil && cmd.absent(ctx, c, err) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// UnplugDevice is Unplug for a single device, whose back ends stay.
func UnplugDevice(ctx context.Context, c *qmp.Client, id string) error {
	sub := c.Subscribe("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR")
	defer sub.Close()
	for {
		asked := c.Do(ctx, "device_del", map[string]any{"id": id}, nil)
		switch {
		case errors.Is(asked, qmp.ErrDeviceNotFound):
			return nil
		case asked != nil && !beingAsked(ctx, c, id):
			return asked
		}
		wait, cancel := context.WithTimeout(ctx, askAgain)
		err := left(wait, sub, id)
		cancel()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
			return errors.Join(err, asked)
		}
	}
}

// beingAsked tells whether a device that device_del failed for can go all the same: as a rule because the guest has been asked
// and has not answered yet, which QEMU has no class of error for.
func beingAsked(ctx context.Context, c *qmp.Client, id string) bool {
	var can bool
	err := c.Do(ctx, "qom-get", map[string]any{"path": "/machine/peripheral/" + id, "property": "hotpluggable"}, &can)
	return err == nil && can
}

// absent tells whether a command that takes something away failed because it is not there. QEMU has a class of error for
// that in two cases only.
func (cmd Command) absent(ctx context.Context, c *qmp.Client, why error) bool {
	ask := map[string]struct {
		command string
		args    any
		member  string // of the list that the command returns
		id      string // argument of cmd
	}{
		"blockdev-del":   {"query-named-block-nodes", map[string]any{"flat": true}, "node-name", "node-name"},
		"object-del":     {"qom-list", map[string]any{"path": "/objects"}, "name", "id"},
		"chardev-remove": {"query-chardev", nil, "label", "id"},
	}
	q, ok := ask[cmd.Name]
	if !ok {
		return errors.Is(why, qmp.ErrDeviceNotFound)
	}
	var list []map[string]any
	if c.Do(ctx, q.command, q.args, &list) != nil {
		return false
	}
	return !slices.ContainsFunc(list, func(entry map[string]any) bool { return entry[q.member] == cmd.Arguments[q.id] })
}

// left waits until a device has gone.
func left(ctx context.Context, sub *qmp.Subscription, id string) error {
	e, err := sub.Next(ctx, func(e qmp.Event) bool { return e.Str("device") == id })
	if err == nil && e.Name == "DEVICE_UNPLUG_GUEST_ERROR" {
		err = fmt.Errorf("machine: unplug %s: %w", id, ErrGuestRefused)
	}
	return err
}
