package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// templateParams are the parameters of the operation qmtemplate.
type templateParams struct {
	ID   int
	Disk string `json:",omitempty"` // only this one
}

// checkTemplate is done before the task and again in it. A restart finds a half-made template: Resume skips it there.
func (s *Service) checkTemplate(v *VM, disk string) error {
	if err := v.checkLock(); err != nil {
		return err
	}
	if len(v.Config.Snapshots) > 0 {
		return call.Errorf("unable to create template, because VM contains snapshots")
	}
	if s.guest(v.ID) != nil {
		return call.Errorf("you can't convert a VM to template if VM is running")
	}
	if v.Config.Main.Bool("template", false) && disk == "" {
		return call.Errorf("you can't convert a template to a template")
	}
	return nil
}

// runTemplate makes a VM a template: its disks become base volumes, of which linked clones can be made.
func (s *Service) runTemplate(ctx context.Context, op *task.Op) error {
	var p templateParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	resumed, err := op.Load(new(bool))
	if err != nil {
		return err
	}
	if !resumed {
		if err := s.o.Access.CheckVM(ctx, p.ID, "", "VM.Allocate"); err != nil { // it may have been taken away meanwhile
			return err
		}
		if err := s.checkTemplate(v, p.Disk); err != nil {
			return err
		}
		v.Config.Main["template"] = "1"
		if err := op.Save(ctx, true, v.Parts()...); err != nil {
			return err
		}
	}
	return s.freezeDrives(ctx, op, p.ID, p.Disk)
}

// freezeDrives makes the VM's own disks base volumes one by one, or only the one given, storing the configuration after each.
// A repetition goes on: MakeBase of a volume that has become one returns it.
func (s *Service) freezeDrives(ctx context.Context, op *task.Op, id int, only string) error {
	v, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	for _, d := range v.Config.Main.Drives() {
		if d.IsCDROM() || s.vols.owner(ctx, d.File) != id || only != "" && d.Key != only {
			continue
		}
		if vol, _, ok := s.vols.parse(ctx, d.File); !ok || vol.Base {
			continue
		}
		if ok, err := s.vols.freezable(ctx, d.File); err != nil {
			return err
		} else if !ok {
			continue // a storage or format without base volumes
		}
		base, err := s.o.Volumes.MakeBase(ctx, d.File)
		if err != nil {
			return err
		}
		if base == d.File {
			continue
		}
		d.File = base
		v.Config.Main[d.Key] = d.String()
		if err := s.commit(ctx, op, v); err != nil {
			return err
		}
	}
	return nil
}
