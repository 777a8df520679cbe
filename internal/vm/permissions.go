package vm

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

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
		if vmconfig.IsNet(ch.Key) && !ch.Delete {
			if err := s.checkBridge(ctx, ch.New); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkBridge checks the caller's right to connect a guest to the bridge of a netN.
func (s *Service) checkBridge(ctx context.Context, net string) error {
	n, err := vmconfig.ParseNet(net)
	if err != nil || n.Bridge == "" {
		return nil
	}
	return s.o.Access.CheckBridge(ctx, access.LocalZone, n.Bridge, "SDN.Use")
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

// checkDrives checks the caller's right to the volumes and storages that drives of a request name.
func (s *Service) checkDrives(ctx context.Context, id int, options map[string]string, defaultStorage string) error {
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if !vmconfig.IsDrive(key) && !vmconfig.IsUnused(key) {
			continue
		}
		d, err := vmconfig.ParseDrive(key, options[key])
		if err != nil {
			return call.Param(key, "unable to parse drive options")
		}
		if err := s.checkDrive(ctx, id, d, defaultStorage); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) checkDrive(ctx context.Context, id int, d vmconfig.Drive, defaultStorage string) error {
	r, err := vmconfig.ParseVolumeRequest(d, defaultStorage)
	if err != nil {
		return err
	}
	switch r.Kind {
	case vmconfig.VolumeNew, vmconfig.VolumeCloudInit:
		return s.checkAllocate(ctx, r.Storage, "storage")
	case vmconfig.VolumeImport:
		if err := s.checkAllocate(ctx, r.Storage, d.Key); err != nil {
			return err
		}
		return s.checkImport(ctx, id, d.Key, r.Source)
	case vmconfig.VolumeExisting:
		return s.o.Volumes.CheckAccess(ctx, r.Volume, id, "")
	case vmconfig.VolumePath:
		if !call.From(ctx).IsRoot() {
			return call.Errorf("Only root can pass arbitrary filesystem paths.")
		}
	}
	return nil
}

func (s *Service) checkAllocate(ctx context.Context, storageID, param string) error {
	ok, err := s.o.Volumes.Supports(ctx, storageID, "images")
	if err != nil {
		return err
	}
	if err := s.o.Access.Check(ctx, path.Join("/storage", storageID), "Datastore.AllocateSpace"); err != nil {
		return err
	}
	if !ok {
		return call.Param(param, "storage '%s' does not support vm images", storageID)
	}
	return nil
}

// checkImport checks the source of an import: a volume that the caller may read, or, for root, a file of the host.
func (s *Service) checkImport(ctx context.Context, id int, key, source string) error {
	if strings.HasPrefix(source, "/") {
		if !call.From(ctx).IsRoot() {
			return call.Errorf("Only root can pass arbitrary filesystem paths.")
		}
		return nil
	}
	if owner := s.vols.owner(ctx, source); owner != 0 {
		return s.o.Access.CheckVM(ctx, owner, "", "VM.Clone")
	}
	return s.o.Volumes.CheckAccess(ctx, source, id, "")
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
