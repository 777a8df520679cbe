package vm

import (
	"context"
	"maps"
	"path"
	"slices"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func caller(ctx context.Context) string { return call.From(ctx).AuthID }

// rootOnly refuses parameters that only root@pam may give, if any of them is given.
func rootOnly(ctx context.Context, given map[string]bool) error {
	if call.From(ctx).IsRoot() {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] {
			return call.Param(name, "Only root may use this option.")
		}
	}
	return nil
}

// checkChanges checks the caller's privileges for changes of a VM's options. pool is the pool that the VM is being
// created into, where privileges on the pool will do.
func (s *Service) checkChanges(ctx context.Context, id int, pool string, changes []vmconfig.Change) error {
	if call.From(ctx).IsRoot() {
		return nil
	}
	for _, ch := range changes {
		for _, need := range vmconfig.RequiredPrivileges(ch) {
			if err := s.checkNeed(ctx, id, pool, need); err != nil {
				return err
			}
		}
		if err := s.checkOutside(ctx, id, ch); err != nil {
			return err
		}
	}
	return nil
}

// checkOutside checks what a change of an option touches outside the VM: bridges, tags, snippets, and volumes that it frees.
func (s *Service) checkOutside(ctx context.Context, id int, ch vmconfig.Change) error {
	switch {
	case ch.Key == "tags":
		return s.checkTags(ctx, ch)
	case ch.Delete:
		return s.checkFree(ctx, id, ch)
	case vmconfig.IsNet(ch.Key):
		return s.checkBridge(ctx, ch.New)
	case ch.Key == "cicustom":
		return s.checkSnippets(ctx, ch)
	}
	return nil
}

// checkBridge checks the caller's right to connect a guest to the bridge of a netN, and to each VLAN that it names.
func (s *Service) checkBridge(ctx context.Context, net string) error {
	for _, n := range vmconfig.BridgeNeeds(net, access.LocalZone) {
		if err := s.o.Access.Check(ctx, n.Path, n.Privs...); err != nil {
			return err
		}
	}
	return nil
}

// checkTags checks the caller's right to each tag that comes or goes.
func (s *Service) checkTags(ctx context.Context, ch vmconfig.Change) error {
	style := s.o.Settings.TagStyle(ctx)
	before := vmconfig.SplitList(vmconfig.NormalizeTags(ch.Old, style))
	var after []string
	if !ch.Delete {
		after = vmconfig.SplitList(vmconfig.NormalizeTags(ch.New, style))
	}
	for _, tag := range append(slices.Clone(before), after...) {
		if slices.Contains(before, tag) && slices.Contains(after, tag) {
			continue
		}
		if ok, err := s.o.Settings.AllowsTag(ctx, tag); err != nil {
			return err
		} else if !ok {
			return call.Forbidden("/, Sys.Modify")
		}
	}
	return nil
}

// checkFree checks the caller's right to free the volume of a deleted unusedN, or of a drive that is deleted with force.
func (s *Service) checkFree(ctx context.Context, id int, ch vmconfig.Change) error {
	if !vmconfig.IsUnused(ch.Key) && !(vmconfig.IsDrive(ch.Key) && ch.Force) {
		return nil
	}
	d, err := vmconfig.ParseDrive(ch.Key, ch.Old)
	if err != nil || s.vols.owner(ctx, d.File) != id {
		return nil
	}
	storageID, _, _ := d.Volume()
	return s.o.Access.Check(ctx, path.Join("/storage", storageID), "Datastore.AllocateSpace")
}

// checkSnippets checks that the caller may at least see the storages of the snippets that a cloud-init medium is to contain:
// the guest can read them then. Snippets that were there already stay.
func (s *Service) checkSnippets(ctx context.Context, ch vmconfig.Change) error {
	now, err := vmconfig.ParseCICustom(ch.New)
	if err != nil {
		return call.Param(ch.Key, "unable to parse cicustom options")
	}
	old, err := vmconfig.ParseCICustom(ch.Old)
	if err != nil {
		old = vmconfig.CICustom{}
	}
	known := []string{"", old.User, old.Network, old.Meta, old.Vendor}
	for _, volume := range []string{now.User, now.Network, now.Meta, now.Vendor} {
		if slices.Contains(known, volume) {
			continue
		}
		storageID, _, ok := vmconfig.SplitVolumeID(volume)
		if !ok {
			return call.Param(ch.Key, "%s is not in the snippets directory", volume)
		}
		if err := s.o.Access.CheckAny(ctx, path.Join("/storage", storageID), "Datastore.Audit", "Datastore.AllocateSpace", "Datastore.Allocate"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) checkNeed(ctx context.Context, id int, pool string, n vmconfig.Need) error {
	switch {
	case n.Root != "":
		return call.Errorf("%s", n.Root)
	case n.Path != "" && n.Any:
		return s.o.Access.CheckAny(ctx, n.Path, n.Privs...)
	case n.Path != "":
		return s.o.Access.Check(ctx, n.Path, n.Privs...)
	case n.Any:
		return s.o.Access.CheckVMAny(ctx, id, pool, n.Privs...)
	}
	return s.o.Access.CheckVM(ctx, id, pool, n.Privs...)
}

// poolExists refuses a pool that is not there, as a missing privilege.
func (s *Service) poolExists(ctx context.Context, pool string) error {
	cfg, err := s.o.Access.UserConfig(ctx)
	if err != nil {
		return err
	}
	if cfg.Pools[pool] == nil {
		return call.Status(403, "pool '%s' does not exist", pool)
	}
	return nil
}
