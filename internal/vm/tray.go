package vm

import (
	"context"
	"errors"
	"slices"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// replaceMedium puts another medium into a CD-ROM drive, then moves the option into the main section. One of cloud-init is
// made on the way.
func (s *Service) replaceMedium(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	next := v.with(e.Change)
	generated := next.Config.Main.CloudInitDrive() == e.Key
	err := s.changeMedium(ctx, op, v, next, g, e.Key, func() error {
		if generated {
			return s.writeMedium(ctx, next)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.applyOne(ctx, op, v, e.Change); err != nil {
		return err
	}
	if generated {
		v.Config.CloudInitRegenerated()
	}
	return nil
}

// changeMedium takes the medium out of a CD-ROM drive, lets change alter it, and puts in the one of next. If that fails, the
// old one is put in again.
func (s *Service) changeMedium(ctx context.Context, op *task.Op, v, next *VM, g *guest, key string, change func() error) error {
	if err := s.eject(ctx, v, g, key); err != nil {
		return err
	}
	err := change()
	if err == nil {
		err = s.insert(ctx, op, next, g, key)
	}
	if err != nil {
		return errors.Join(err, s.insert(context.WithoutCancel(ctx), op, v, g, key))
	}
	old, ok, err := v.Config.Main.Drive(key)
	if now, _, _ := next.Config.Main.Drive(key); ok && err == nil && isVolume(old.File) && now.File != old.File {
		return s.unhold(ctx, op, g, nil, []string{old.File})
	}
	return nil
}

// eject opens the tray and takes the medium out.
func (s *Service) eject(ctx context.Context, v *VM, g *guest, key string) error {
	result, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	if err := g.withOpenTray(ctx, key, "blockdev-remove-medium", map[string]any{"id": key}); err != nil {
		return err
	}
	unit, ok := result.Machine.Find(key)
	if !ok {
		return nil
	}
	return g.forgetParts(ctx, &machine.Unit{Nodes: unit.Nodes})
}

// insert puts the medium of the configuration in, if there is one, and closes the tray.
func (s *Service) insert(ctx context.Context, op *task.Op, v *VM, g *guest, key string) error {
	result, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	unit, ok := result.Machine.Find(key)
	if ok && len(unit.Nodes) > 0 {
		_, volumes := needs(result, key)
		if err := s.noteNeeds(ctx, op, g, nil, volumes); err != nil {
			return err
		}
		at, err := s.attach(ctx, result.Volumes, volumes, g.holds().UID)
		if err != nil {
			return err
		}
		if err := reached(result, at); err != nil {
			return err
		}
		unit, _ = result.Machine.Find(key)
		present, err := g.present(ctx)
		if err != nil {
			return err
		}
		if err := g.forgetParts(ctx, &machine.Unit{Nodes: unit.Nodes}); err != nil { // of an attempt that broke off
			return err
		}
		part := *unit // the object is there already, unless the drive was empty at the start
		part.Devices = nil
		part.Objects = slices.DeleteFunc(slices.Clone(unit.Objects), func(o machine.Object) bool { return present[o.ID] })
		if err := g.plug(ctx, &part, nil); err != nil {
			return err
		}
		args := map[string]any{"id": key, "node-name": unit.Nodes[len(unit.Nodes)-1].NodeName}
		if err := g.withOpenTray(ctx, key, "blockdev-insert-medium", args); err != nil {
			return err
		}
	}
	return g.command(ctx, "blockdev-close-tray", map[string]any{"id": key})
}

// withOpenTray gives a command that needs the tray open. The tray is opened whether or not the guest has locked it; a guest
// that is just looking for media closes it again and again.
func (g *guest) withOpenTray(ctx context.Context, key, cmd string, args map[string]any) error {
	for attempt := 0; ; attempt++ {
		err := ignoreMissing(g.do(ctx, "blockdev-open-tray", map[string]any{"id": key, "force": true}, nil))
		if err != nil {
			return err
		}
		if err = g.command(ctx, cmd, args); err == nil || attempt == 10 || ctx.Err() != nil {
			return err
		}
	}
}
