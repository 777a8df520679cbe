package vm

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage/volid"
)

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
		return onlyRootPaths(ctx)
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
		return onlyRootPaths(ctx)
	}
	vol, _, ok := s.vols.parse(ctx, source)
	isImage := ok && vol.Content == volid.Images
	if isImage && vol.VMID != 0 {
		if err := s.o.Access.CheckVM(ctx, vol.VMID, "", "VM.Clone"); err != nil {
			return err
		}
	} else if err := s.o.Volumes.CheckAccess(ctx, source, id, ""); err != nil {
		return err
	}
	switch {
	case !ok:
		return call.Errorf("unable to parse volume ID '%s'", source)
	case !isImage && vol.Content != volid.Import:
		return call.Param(key, "%s has wrong type '%s' - needs to be 'images' or 'import'", source, vol.Content)
	case isImage && (vmconfig.Drive{File: source}).IsCloudInit():
		return call.Errorf("cannot import from cloudinit disk")
	}
	return nil
}

// onlyRootPaths refuses a path of the host from anybody but root@pam.
func onlyRootPaths(ctx context.Context) error {
	if call.From(ctx).IsRoot() {
		return nil
	}
	return call.Status(403, "Only root can pass arbitrary filesystem paths.")
}
