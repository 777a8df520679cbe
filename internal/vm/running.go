package vm

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// applyRunning lets pending changes take effect on a running machine as far as they can; the others wait for the next start.
func (s *Service) applyRunning(ctx context.Context, op *task.Op, v *VM, g *guest, named func(string) bool, problems call.ParamErrors) {
	major, minor := machineVersion(g.holds().Machine, g)
	facts := vmconfig.Running{Arch: v.Config.Main.Text("arch", s.o.Host.Arch()), MachineMajor: major, MachineMinor: minor}
	for _, e := range v.Config.PlanRunning(facts, named) {
		err := e.Err
		if err == nil && e.Action != vmconfig.ActionWait {
			err = s.applyEffect(ctx, op, v, g, e)
		}
		if err != nil {
			problems[e.Key] = fmt.Sprintf("hotplug problem - %v", err)
		}
	}
}

// machineVersion reads the version at the end of a machine type, such as pc-i440fx-9.2; a type without one has QEMU's own.
func machineVersion(typ string, g *guest) (major, minor int) {
	text := typ[strings.LastIndexByte(typ, '-')+1:]
	if a, b, ok := strings.Cut(text, "."); ok {
		b, _, _ = strings.Cut(b, "+")
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX == nil && errY == nil {
			return x, y
		}
	}
	q := g.proc.QMP().Greeting().Version
	return q.Major, q.Minor
}

// applyEffect makes one change of the machine and moves it into the main section.
func (s *Service) applyEffect(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	switch e.Action {
	case vmconfig.ActionRecord:
	case vmconfig.ActionCgroup:
		return nil // waits for the next start, which reads both
	case vmconfig.ActionBalloon:
		if err := s.setBalloon(ctx, v, g, e); err != nil {
			return err
		}
	case vmconfig.ActionNetUpdate:
		if err := s.updateNet(ctx, v, g, e); err != nil {
			return err
		}
	case vmconfig.ActionNetPlug, vmconfig.ActionDiskPlug:
		return s.plugOption(ctx, op, v, g, e)
	case vmconfig.ActionNetUnplug, vmconfig.ActionDiskUnplug:
		if err := s.unplugOption(ctx, op, v, g, e.Key); err != nil {
			return err
		}
	case vmconfig.ActionNetReplace, vmconfig.ActionDiskReplace:
		if err := s.unplugOption(ctx, op, v, g, e.Key); err != nil {
			return err
		}
		return s.plugOption(ctx, op, v, g, e)
	case vmconfig.ActionDiskUpdate:
		if err := s.updateThrottle(ctx, v, g, e); err != nil {
			return err
		}
	case vmconfig.ActionMedium:
		return s.changeMedium(ctx, op, v, g, e.Key, func() error {
			if err := s.applyOne(ctx, op, v, e.Change); err != nil {
				return err
			}
			if v.Config.Main.CloudInitDrive() == e.Key {
				return s.makeMedium(ctx, op, v)
			}
			return nil
		})
	default:
		return nil // processors, memory, USB and tablet wait for the next start
	}
	return s.applyOne(ctx, op, v, e.Change)
}

func (s *Service) setBalloon(ctx context.Context, v *VM, g *guest, e vmconfig.Effect) error {
	target := vmconfig.DefaultMemoryMiB
	if m, err := vmconfig.ParseMemory(v.Config.Main["memory"]); err == nil && v.Config.Main.Has("memory") {
		target = m.CurrentMiB
	}
	if n, err := strconv.Atoi(e.New); err == nil && !e.Delete && n > 0 {
		target = n
	}
	return g.do(ctx, "balloon", map[string]any{"value": int64(target) << 20}, nil)
}

// updateNet changes the bridge or the link of a card that stays.
func (s *Service) updateNet(ctx context.Context, v *VM, g *guest, e vmconfig.Effect) error {
	before, errA := vmconfig.ParseNet(e.Old)
	after, errB := vmconfig.ParseNet(e.New)
	if errA != nil || errB != nil {
		return call.Errorf("unable to parse network options")
	}
	_, index := vmconfig.SplitKey(e.Key)
	if after.Bridge != "" && before.Bridge != after.Bridge {
		p := hostPort(v.ID, index, after, g.holds().UID)
		if err := s.o.Network.CreatePort(ctx, p); err != nil {
			return err
		}
	}
	if before.LinkDown != after.LinkDown {
		return g.do(ctx, "set_link", map[string]any{"name": e.Key, "up": !after.LinkDown.Or(false)}, nil)
	}
	return nil
}

// updateThrottle changes the limits of a disk's throttle group. Other keys of a drive live in the configuration alone.
func (s *Service) updateThrottle(ctx context.Context, v *VM, g *guest, e vmconfig.Effect) error {
	next := v.Config.Clone()
	next.Main[e.Key] = e.New
	result, err := s.translate(ctx, &VM{ID: v.ID, Node: v.Node, Config: next})
	if err != nil {
		return err
	}
	unit, ok := result.Machine.Find(e.Key)
	if !ok {
		return nil
	}
	for _, o := range unit.Objects {
		if o.Type != "throttle-group" {
			continue
		}
		limits := map[string]any{}
		for _, name := range throttleLimits { // what is not given is lifted
			limits[name] = 0
		}
		if given, ok := o.Arguments()["limits"].(map[string]any); ok {
			for name, value := range given {
				limits[name] = value
			}
		}
		args := map[string]any{"path": "/objects/" + o.ID, "property": "limits", "value": limits}
		if err := g.do(ctx, "qom-set", args, nil); err != nil {
			return err
		}
	}
	return nil
}

// throttleLimits are the rates of a throttle group; bursts follow them. See qapi/block-core.json: ThrottleLimits.
var throttleLimits = []string{
	"bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write",
	"bps-total-max", "bps-read-max", "bps-write-max", "iops-total-max", "iops-read-max", "iops-write-max",
}

// unplugPatience is how long a guest may take to let a device go.
const unplugPatience = 5 * time.Second

// plugOption adds the device of a pending drive or NIC to the machine, then moves the option into the main section.
func (s *Service) plugOption(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	next := v.Config.Clone()
	next.Main[e.Key] = e.New
	result, err := s.translate(ctx, &VM{ID: v.ID, Node: v.Node, Config: next})
	if err != nil {
		return err
	}
	unit, ok := result.Machine.Find(e.Key)
	if !ok {
		return call.Errorf("error on hotplug device '%s'", e.Key)
	}
	h := *g.holds()
	for _, p := range result.Ports {
		if p.Key == e.Key && !slices.Contains(h.Ports, p.Name) {
			h.Ports = append(slices.Clone(h.Ports), p.Name)
		}
	}
	for _, u := range result.Volumes {
		if u.Key == e.Key && isVolume(u.ID) && !slices.Contains(h.Volumes, u.ID) {
			h.Volumes = append(slices.Clone(h.Volumes), u.ID)
		}
	}
	if err := op.Commit(ctx, h.part(&s.Repository)); err != nil { // noted before it is taken
		return err
	}
	g.setHold(&h)
	for _, u := range result.Volumes {
		if u.Key == e.Key && slices.Contains(h.Volumes, u.ID) {
			if _, err := s.o.Volumes.Attach(ctx, u.ID, h.UID, u.ReadOnly || u.CDROM); err != nil {
				return err
			}
		}
	}
	var taps []*os.File
	defer func() { closeAll(taps) }()
	for _, p := range result.Ports {
		if p.Key != e.Key {
			continue
		}
		if err := s.o.Network.CreatePort(ctx, port(p, h.UID)); err != nil {
			return err
		}
		if taps, err = s.o.Network.OpenPort(ctx, port(p, h.UID)); err != nil {
			return err
		}
		unit.Netdevs[0] = byName(unit, len(taps))
	}
	if err := g.plug(ctx, unit, taps); err != nil {
		return fmt.Errorf("error on hotplug device '%s': %w", e.Key, err)
	}
	return s.applyOne(ctx, op, v, e.Change)
}

// byName is the netdev of a NIC whose taps QEMU was given by name. A plugged card does without the kernel's back end.
func byName(u *machine.Unit, taps int) machine.Netdev {
	names := make([]string, taps)
	for i := range names {
		names[i] = tapName(u.Name, i)
	}
	return byDescriptor(u.Netdevs[0], taps, strings.Join(names, ":"), "")
}

// unplugOption takes the device of a drive or NIC out of the machine.
func (s *Service) unplugOption(ctx context.Context, op *task.Op, v *VM, g *guest, key string) error {
	result, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	unit, ok := result.Machine.Find(key)
	if !ok {
		return nil
	}
	if err := g.unplug(ctx, unit); err != nil {
		return err
	}
	for _, p := range result.Ports {
		if p.Key == key {
			if err := s.o.Network.DeletePort(ctx, p.Name); err != nil {
				return err
			}
		}
	}
	for _, u := range result.Volumes {
		if u.Key == key {
			if err := s.o.Volumes.Detach(ctx, u.ID); err != nil {
				op.Warnf("%s: %v", key, err)
			}
		}
	}
	return nil
}
