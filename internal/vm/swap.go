package vm

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// plugOption adds the device of a pending option to the machine, then moves the option into the main section.
func (s *Service) plugOption(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	result, err := s.translate(ctx, v.with(e.Change))
	if err != nil {
		return err
	}
	if err := s.plugUnit(ctx, op, v, g, result, e.Key); err != nil {
		return call.Errorf("error on hotplug device '%s' - %s", e.Key, s.shownError(v.ID, err))
	}
	return s.applyOne(ctx, op, v, e.Change)
}

// replaceOption unplugs the device of an option and plugs the new one. In between the machine has none, and so has the
// configuration, which is stored: the new one is still pending then, and stays so if it cannot be plugged.
func (s *Service) replaceOption(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	if err := s.unplugFor(ctx, op, v, g, e.Change); err != nil {
		return err
	}
	v.Config.RecordCloudInit(e.Key, &e.New)
	delete(v.Config.Main, e.Key)
	if err := s.orphaned(ctx, op, v, e.ReplacedVolume()); err != nil {
		return err
	}
	s.o.FailPoint("unplugged")
	if err := s.commit(ctx, op, v); err != nil {
		return err
	}
	e.Old = ""
	return s.plugOption(ctx, op, v, g, e)
}

// unplugFor takes the device of a drive or NIC out of the machine, and lets go what was held for it. A controller that the
// machine also has after the change stays.
func (s *Service) unplugFor(ctx context.Context, op *task.Op, v *VM, g *guest, ch vmconfig.Change) error {
	now, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	then, err := s.translate(ctx, v.with(ch))
	if err != nil {
		return err
	}
	return s.unplugUnit(ctx, op, g, now, then, ch.Key)
}

// switchOption plugs, unplugs or replaces the unit that an option turns on and off.
func (s *Service) switchOption(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	now, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	then, err := s.translate(ctx, v.with(e.Change))
	if err != nil {
		return err
	}
	old, had := now.Machine.Find(e.Key)
	next, has := then.Machine.Find(e.Key)
	if has && len(next.Chardevs) > 0 || had && len(old.Chardevs) > 0 { // a port of a display's client
		return nil
	}
	if had && len(old.Devices) > 0 {
		if err := s.unplugUnit(ctx, op, g, now, then, e.Key); err != nil {
			return err
		}
	}
	if has && len(next.Devices) > 0 {
		if err := s.plugUnit(ctx, op, v, g, then, e.Key); err != nil {
			return call.Errorf("error on hotplug device '%s' - %s", e.Key, s.shownError(v.ID, err))
		}
	}
	return s.applyOne(ctx, op, v, e.Change)
}

// plugUnit takes what a unit of a machine needs of the node, and plugs it, with its controller if that is missing. An
// operation that goes on after a restart may find it plugged.
func (s *Service) plugUnit(ctx context.Context, op *task.Op, v *VM, g *guest, r *machineconf.Result, key string) (err error) {
	found, ok := r.Machine.Find(key)
	if !ok {
		return call.Errorf("it cannot be plugged")
	}
	present, err := g.present(ctx)
	if err != nil {
		return err
	}
	if n := len(found.Devices); v.resumed && n > 0 && present[found.Devices[n-1].ID] {
		return nil
	}
	unit := withControllers(r.Machine, found, func(id string) bool { return !present[id] })
	unit.Objects = slices.DeleteFunc(unit.Objects, func(o machine.Object) bool { return present[o.ID] })
	ports, volumes := needs(r, key)
	if err := s.noteNeeds(ctx, op, g, ports, volumes); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.unhold(context.WithoutCancel(ctx), op, g, portNames(ports), volumes))
		}
	}()
	at, err := s.attach(ctx, r.Volumes, volumes, g.holds().UID)
	if err != nil {
		return err
	}
	if len(at) > 0 {
		if err := reached(r, at); err != nil {
			return err
		}
		again, _ := r.Machine.Find(key)
		unit.Nodes = again.Nodes
	}
	var taps []*os.File
	defer func() { err = errors.Join(err, closeAll(taps)) }()
	for _, p := range ports {
		if err := s.o.Network.CreatePort(ctx, port(p, g.holds().UID)); err != nil {
			return err
		}
		if taps, err = s.o.Network.OpenPort(ctx, port(p, g.holds().UID)); err != nil {
			return err
		}
		unit.Netdevs = []machine.Netdev{byName(unit, len(taps))}
	}
	if v.resumed { // what is left of the first attempt would be in the way
		if err := g.forgetParts(ctx, unit); err != nil {
			return err
		}
	}
	if err := g.plug(ctx, unit, taps); err != nil {
		return err
	}
	s.o.FailPoint("plugged")
	if slices.Contains(r.LinkDown, key) {
		if err := g.command(ctx, "set_link", map[string]any{"name": key, "up": false}); err != nil { // the card is there
			op.Warnf("%v", err)
		}
	}
	return nil
}

// unplugUnit unplugs a unit, and its controllers that the machine has no more use for then.
func (s *Service) unplugUnit(ctx context.Context, op *task.Op, g *guest, now, then *machineconf.Result, key string) error {
	found, ok := now.Machine.Find(key)
	if !ok {
		return nil
	}
	if err := g.unplug(ctx, found); err != nil {
		return err
	}
	spare := withControllers(now.Machine, found, func(id string) bool {
		old, _ := now.Machine.Find(id)
		still, ok := then.Machine.Find(id)
		return !ok || !reflect.DeepEqual(old, still)
	})
	for _, d := range slices.Backward(spare.Devices) {
		if d.ID == found.Devices[0].ID {
			continue
		}
		if err := g.deleteDevice(ctx, d.ID, unplugPatience); err != nil { // unused, but it does no harm
			op.Logf("WARN: %v", err)
		}
	}
	if err := g.forgetParts(ctx, spare); err != nil {
		return err
	}
	ports, volumes := needs(now, key)
	return s.unhold(ctx, op, g, portNames(ports), volumes)
}

// withControllers returns a unit with the devices, in front of its own, and the objects of the controllers that it sits on,
// as far as wanted says so.
func withControllers(m *machine.Machine, u *machine.Unit, wanted func(id string) bool) *machine.Unit {
	out := *u
	for _, d := range u.Devices {
		bus, _, _ := strings.Cut(d.Bus, ".")
		if c, ok := m.Find(bus); ok && wanted(bus) {
			out.Objects = append(slices.Clone(c.Objects), out.Objects...)
			out.Devices = append(slices.Clone(c.Devices), out.Devices...)
		}
	}
	return &out
}

// needs are the ports and volumes of one unit of a machine.
func needs(r *machineconf.Result, key string) (ports []machineconf.Port, volumes []string) {
	for _, p := range r.Ports {
		if p.Key == key {
			ports = append(ports, p)
		}
	}
	for _, u := range r.Volumes {
		if u.Key == key && isVolume(u.ID) {
			volumes = append(volumes, u.ID)
		}
	}
	return ports, volumes
}

func portNames(ports []machineconf.Port) []string {
	names := make([]string, 0, len(ports))
	for _, p := range ports {
		names = append(names, p.Name)
	}
	return names
}

// noteNeeds notes ports and volumes among what is held for a guest, before they are taken.
func (s *Service) noteNeeds(ctx context.Context, op *task.Op, g *guest, ports []machineconf.Port, volumes []string) error {
	h := *g.holds()
	h.Ports, h.Volumes = slices.Clone(h.Ports), slices.Clone(h.Volumes)
	for _, name := range portNames(ports) {
		if !slices.Contains(h.Ports, name) {
			h.Ports = append(h.Ports, name)
		}
	}
	for _, id := range volumes {
		if !slices.Contains(h.Volumes, id) {
			h.Volumes = append(h.Volumes, id)
		}
	}
	return s.changeHold(ctx, op, g, &h)
}

// unhold lets ports and volumes of a guest go, then takes them off the note: somebody else may have them next.
func (s *Service) unhold(ctx context.Context, op *task.Op, g *guest, ports, volumes []string) error {
	for _, name := range ports {
		if err := s.o.Network.DeletePort(ctx, name); err != nil {
			return err
		}
	}
	for _, id := range volumes {
		if err := s.o.Volumes.Detach(ctx, id); err != nil {
			op.Warnf("%s: %v", id, err)
		}
	}
	h := *g.holds()
	h.Ports = slices.DeleteFunc(slices.Clone(h.Ports), func(p string) bool { return slices.Contains(ports, p) })
	h.Volumes = slices.DeleteFunc(slices.Clone(h.Volumes), func(id string) bool { return slices.Contains(volumes, id) })
	return s.changeHold(ctx, op, g, &h)
}

func (s *Service) changeHold(ctx context.Context, op *task.Op, g *guest, h *Hold) error {
	if err := op.Commit(ctx, h.part(&s.Repository)); err != nil {
		return err
	}
	g.setHold(h)
	return nil
}

// byName is the netdev of a NIC whose taps QEMU was given by name. A plugged card does without the kernel's back end.
func byName(u *machine.Unit, taps int) machine.Netdev {
	names := make([]string, taps)
	for i := range names {
		names[i] = tapName(u.Name, i)
	}
	return byDescriptor(u.Netdevs[0], taps, strings.Join(names, ":"), "")
}
