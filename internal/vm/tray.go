package vm

import (
	"context"
	"errors"
	"slices"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// replaceMedium puts another medium into a CD-ROM drive. One of cloud-init is made on the way.
func (s *Service) replaceMedium(ctx context.Context, op *task.Op, v *VM, g *guest, e vmconfig.Effect) error {
	return s.changeMedium(ctx, op, v, g, e.Key, func() error {
		if err := s.applyOne(ctx, op, v, e.Change); err != nil {
			return err
		}
		if v.Config.Main.CloudInitDrive() == e.Key {
			return s.refreshMedium(ctx, v)
		}
		return nil
	})
}

// changeMedium takes the medium out of a CD-ROM drive, lets change alter it or the configuration, and puts in what the
// configuration says then. That also happens after an error of change.
func (s *Service) changeMedium(ctx context.Context, op *task.Op, v *VM, g *guest, key string, change func() error) error {
	before := v.Config.Main[key]
	if err := s.eject(ctx, v, g, key); err != nil {
		return err
	}
	err := change()
	err = errors.Join(err, s.insert(ctx, op, v, g, key))
	if old, parseErr := vmconfig.ParseDrive(key, before); parseErr == nil && isVolume(old.File) {
		if now, ok, nowErr := v.Config.Main.Drive(key); !ok || nowErr != nil || now.File != old.File {
			err = errors.Join(err, s.unhold(ctx, op, g, nil, []string{old.File}))
		}
	}
	return err
}

// eject opens the tray and takes the medium out, whether or not the guest has locked it.
func (s *Service) eject(ctx context.Context, v *VM, g *guest, key string) error {
	result, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	if err := ignoreMissing(c.Do(ctx, "blockdev-open-tray", map[string]any{"id": key, "force": true}, nil)); err != nil {
		return err
	}
	if err := ignoreMissing(c.Do(ctx, "blockdev-remove-medium", map[string]any{"id": key}, nil)); err != nil {
		return err
	}
	unit, ok := result.Machine.Find(key)
	if !ok {
		return nil
	}
	for _, n := range unit.Nodes {
		if err := ignoreMissing(c.Do(ctx, "blockdev-del", map[string]any{"node-name": n.NodeName}, nil)); err != nil {
			return err
		}
	}
	return nil
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
		for _, id := range volumes {
			if _, err := s.o.Volumes.Attach(ctx, id, g.holds().UID, true); err != nil {
				return err
			}
		}
		present, err := g.present(ctx)
		if err != nil {
			return err
		}
		part := *unit // the object is there already, unless the drive was empty at the start
		part.Devices = nil
		part.Objects = slices.DeleteFunc(slices.Clone(unit.Objects), func(o machine.Object) bool { return present[o.ID] })
		if err := g.plug(ctx, &part, nil); err != nil {
			return err
		}
		root := unit.Nodes[len(unit.Nodes)-1]
		if err := g.command(ctx, "blockdev-insert-medium", map[string]any{"id": key, "node-name": root.NodeName}); err != nil {
			return err
		}
	}
	return g.command(ctx, "blockdev-close-tray", map[string]any{"id": key})
}
