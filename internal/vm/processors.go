package vm

import (
	"context"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// plugProcessors plugs or unplugs processors, one by one, until their number is the wanted one. Where the guest stops in
// between, the option says how many there are.
func (s *Service) plugProcessors(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	if n, err := strconv.Atoi(e.New); err == nil && !e.Delete && n > v.Config.Main.Int("sockets", 1)*v.Config.Main.Int("cores", 1) {
		return call.Errorf("you can't add more vcpus than maxcpus")
	}
	result, err := s.translate(ctx, v.with(e.Change))
	if err != nil {
		return err
	}
	present, err := g.present(ctx)
	if err != nil {
		return err
	}
	wanted := result.Machine.SMP.Plugged
	reached := func(n int) { v.Config.Main["vcpus"] = strconv.Itoa(n) }
	for i, d := range wanted {
		if present[d.ID] {
			continue
		}
		if err := g.command(ctx, "device_add", d.Properties()); err != nil {
			return call.Errorf("error hotplugging %s - %w", d.ID, err)
		}
		reached(i + 2)
	}
	for i := len(present); i > len(wanted)+1; i-- {
		id := "cpu" + strconv.Itoa(i)
		if !present[id] {
			continue
		}
		if err := g.deleteDevice(ctx, id, unplugPatience); err != nil {
			return call.Errorf("error unplugging %s", id)
		}
		reached(i - 1)
	}
	return s.applyOne(ctx, op, v, e.Change)
}

// plugMemory plugs or unplugs memory modules, one by one, until the wanted size is reached. Where the guest stops in
// between, the option says how much there is.
func (s *Service) plugMemory(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	now, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	then, err := s.translate(ctx, v.with(e.Change))
	if err != nil {
		return err
	}
	present, err := g.present(ctx)
	if err != nil {
		return err
	}
	size := now.Machine.Memory.SizeMiB
	for _, u := range now.Machine.Memory.DIMMs {
		size += moduleMiB(u)
	}
	reached := func() { v.Config.Main["memory"] = strconv.FormatInt(size, 10) }
	has := func(list []machine.Unit, name string) bool {
		return slices.ContainsFunc(list, func(u machine.Unit) bool { return u.Name == name })
	}
	for _, u := range then.Machine.Memory.DIMMs {
		if has(now.Machine.Memory.DIMMs, u.Name) {
			continue
		}
		if !present[u.Name] {
			if err := g.plug(ctx, &u, nil); err != nil {
				return call.Errorf("error on hotplug device '%s' - %s", u.Name, s.shownError(v.ID, err))
			}
		}
		size += moduleMiB(u)
		reached()
	}
	for _, u := range slices.Backward(now.Machine.Memory.DIMMs) {
		if has(then.Machine.Memory.DIMMs, u.Name) {
			continue
		}
		if err := g.unplug(ctx, &u); err != nil {
			return call.Errorf("%s: error unplug memory module", u.Name)
		}
		size -= moduleMiB(u)
		reached()
	}
	return s.applyOne(ctx, op, v, e.Change)
}

// moduleMiB is the size of a memory module.
func moduleMiB(u machine.Unit) int64 {
	for _, o := range u.Objects {
		switch n := o.Arguments()["size"].(type) {
		case machine.Bytes:
			return int64(n) >> 20
		case int64:
			return n >> 20
		}
	}
	return 0
}
