package vm

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// applyRunning lets pending changes take effect on a running machine as far as they can; the others wait for the next start.
// The configuration is stored whenever the machine has changed. With the hotplug feature cloudinit the guest gets a new
// cloud-init medium at the end, if what is in it has changed. The error is that of the store.
func (s *Service) applyRunning(ctx context.Context, op *task.Op, v *VM, g *guest, named []string, problems call.ParamErrors) error {
	major, minor := machineVersion(g.holds().Machine, g)
	facts := vmconfig.Running{Arch: v.Config.Main.Text("arch", s.o.Host.Arch()), MachineMajor: major, MachineMinor: minor}
	for _, e := range v.Config.PlanRunning(facts, func(key string) bool { return slices.Contains(named, key) }) {
		err := e.Err
		if err != nil {
			err = publicError(err)
		} else if e.Action != vmconfig.ActionWait {
			err = s.applyEffect(ctx, op, v, g, e)
		}
		if err != nil {
			problems[e.Key] = "hotplug problem - " + s.shownError(v.ID, err)
		}
		if e.Action == vmconfig.ActionWait || e.Action == vmconfig.ActionRecord {
			continue
		}
		s.o.FailPoint("applied")
		if err := s.commit(ctx, op, v); err != nil {
			return err
		}
	}
	flags, err := vmconfig.ParseHotplug(v.Config.Main["hotplug"])
	key := v.Config.Main.CloudInitDrive()
	if err != nil || !flags.CloudInit || key == "" || !v.Config.CloudInitChanged() {
		return nil
	}
	if err := s.changeMedium(ctx, op, v, v, g, key, func() error { return s.refreshMedium(ctx, v) }); err != nil {
		op.Warnf("cloud-init medium: %s", s.shownError(v.ID, err))
	}
	return nil
}

// refreshMedium writes the cloud-init volume anew and notes that in the configuration, which the caller stores.
func (s *Service) refreshMedium(ctx context.Context, v *VM) error {
	if err := s.writeMedium(ctx, v); err != nil {
		return err
	}
	v.Config.CloudInitRegenerated()
	return nil
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
		if err := s.applyOne(ctx, op, v, e.Change); err != nil {
			return err
		}
		s.limitCPU(op, v, g)
		return nil
	case vmconfig.ActionBalloon:
		if err := s.setBalloon(ctx, v, g, e); err != nil {
			return err
		}
	case vmconfig.ActionVCPUs:
		return s.plugProcessors(ctx, op, v, g, e)
	case vmconfig.ActionMemory:
		return s.plugMemory(ctx, op, v, g, e)
	case vmconfig.ActionTablet, vmconfig.ActionUSB:
		return s.switchOption(ctx, op, v, g, e)
	case vmconfig.ActionNetUpdate:
		if err := s.updateNet(ctx, v, g, e); err != nil {
			return err
		}
	case vmconfig.ActionNetPlug, vmconfig.ActionDiskPlug:
		return s.plugOption(ctx, op, v, g, e)
	case vmconfig.ActionNetUnplug, vmconfig.ActionDiskUnplug:
		if err := s.unplugFor(ctx, op, v, g, e.Change); err != nil {
			return err
		}
	case vmconfig.ActionNetReplace, vmconfig.ActionDiskReplace:
		return s.replaceOption(ctx, op, v, g, e)
	case vmconfig.ActionDiskUpdate:
		if err := s.updateThrottle(ctx, v, g, e); err != nil {
			return err
		}
	case vmconfig.ActionMedium:
		return s.replaceMedium(ctx, op, v, g, e)
	}
	return s.applyOne(ctx, op, v, e.Change)
}

// with returns the VM as it is when a change has taken effect.
func (v *VM) with(ch vmconfig.Change) *VM {
	next := &VM{ID: v.ID, Node: v.Node, Rev: v.Rev, Config: v.Config.Clone()}
	if ch.Delete {
		delete(next.Config.Main, ch.Key)
	} else {
		next.Config.Main[ch.Key] = ch.New
	}
	return next
}

// setBalloon sets what the balloon leaves to the guest. Unless shares are 0, the balloon follows the host's need of memory,
// and the option is only its limit.
func (s *Service) setBalloon(ctx context.Context, v *VM, g *guest, e vmconfig.Effect) error {
	if v.Config.Main.Int("shares", 1000) != 0 {
		return nil
	}
	target := vmconfig.DefaultMemoryMiB
	if m, err := vmconfig.ParseMemory(v.Config.Main["memory"]); err == nil && v.Config.Main.Has("memory") {
		target = m.CurrentMiB
	}
	if n, err := strconv.Atoi(e.New); err == nil && !e.Delete && n > 0 {
		target = n
	}
	return g.command(ctx, "balloon", map[string]any{"value": int64(target) << 20})
}

// updateNet changes the network, the limits or the link of a card that stays.
func (s *Service) updateNet(ctx context.Context, v *VM, g *guest, e vmconfig.Effect) error {
	before, errA := vmconfig.ParseNet(e.Old)
	after, errB := vmconfig.ParseNet(e.New)
	if errA != nil || errB != nil {
		return call.Errorf("unable to parse network options")
	}
	_, index := vmconfig.SplitKey(e.Key)
	uid := g.holds().UID
	down, wasDown := after.LinkDown.Or(false), before.LinkDown.Or(false)
	link := func(up bool) error { return g.command(ctx, "set_link", map[string]any{"name": e.Key, "up": up}) }
	// The guest sees its cable pulled when it comes to another network, so that it asks for addresses again.
	moved := before.Bridge != after.Bridge || before.Tag != after.Tag
	if down && !wasDown || moved && !down {
		if err := link(false); err != nil {
			return err
		}
	}
	if err := s.o.Network.ChangePort(ctx, hostPort(v.ID, index, before, uid), hostPort(v.ID, index, after, uid)); err != nil {
		if !wasDown {
			err = errors.Join(err, link(true))
		}
		return err
	}
	if !down && (wasDown || moved) {
		return link(true)
	}
	return nil
}

// updateThrottle changes the limits of a disk's throttle group. Other keys of a drive live in the configuration alone.
func (s *Service) updateThrottle(ctx context.Context, v *VM, g *guest, e vmconfig.Effect) error {
	result, err := s.translate(ctx, v.with(e.Change))
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
		if err := g.command(ctx, "qom-set", map[string]any{"path": "/objects/" + o.ID, "property": "limits", "value": limits}); err != nil {
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

// command sends a QMP command of a change. Its error has Proxmox VE's words.
func (g *guest) command(ctx context.Context, cmd string, args any) error {
	if err := g.do(ctx, cmd, args, nil); err != nil {
		return call.Errorf("VM %d qmp command '%s' failed - %w", g.id, cmd, err)
	}
	return nil
}
