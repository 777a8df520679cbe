package vm

import (
	"context"
	"slices"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// checkCloneRights checks what the caller needs for a clone: the source, the new VM, space, and everything of the host that
// the clone gets, too.
func (s *Service) checkCloneRights(ctx context.Context, v *VM, p cloneParams) error {
	if err := s.o.Access.CheckVM(ctx, p.ID, "", "VM.Clone"); err != nil {
		return err
	}
	if err := s.o.Access.CheckVM(ctx, p.NewID, p.Pool, "VM.Allocate"); err != nil {
		return err
	}
	source := p.source(v)
	for _, key := range source.Keys() {
		if err := s.checkClonedOption(ctx, p.NewID, key, source[key]); err != nil {
			return err
		}
	}
	for _, d := range source.Drives() {
		storageID, _, ok := d.Volume()
		if !ok || d.IsCDROM() && !d.IsCloudInit() {
			continue
		}
		if p.Storage != "" {
			storageID = p.Storage
		}
		if err := s.o.Access.Check(ctx, "/storage/"+storageID, "Datastore.AllocateSpace"); err != nil {
			return err
		}
	}
	return nil
}

// checkClonedOption checks the rights to the host's devices, mappings and bridges that an option names; the rights to set it
// are not asked for.
func (s *Service) checkClonedOption(ctx context.Context, id int, key, value string) error {
	if vmconfig.IsNet(key) {
		return s.checkBridge(ctx, value)
	}
	name, index := vmconfig.SplitKey(key)
	switch {
	case index >= 0 && slices.Contains([]string{"usb", "hostpci", "virtiofs"}, name), key == "cpu", key == "rng0":
	default:
		return nil
	}
	if call.From(ctx).IsRoot() {
		return nil
	}
	for _, n := range vmconfig.RequiredPrivileges(vmconfig.Change{Key: key, New: value}) {
		if n.Root == "" && n.Path == "" {
			continue
		}
		if err := s.checkNeed(ctx, id, "", n); err != nil {
			return err
		}
	}
	return nil
}
