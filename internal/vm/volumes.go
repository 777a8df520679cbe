package vm

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// volumes is the storage service with the questions that only VMs ask.
type volumes struct {
	*volume.Service
}

// parse takes a volume id apart by the grammar of its storage's type. ok is false for what is no volume of a known storage.
func (v volumes) parse(ctx context.Context, volumeID string) (vol volid.Volume, cfg volume.Config, ok bool) {
	id, err := volid.Split(volumeID)
	if err != nil {
		return vol, cfg, false
	}
	if cfg, err = v.Storage(ctx, id.Storage); err != nil {
		return vol, cfg, false
	}
	vol, err = cfg.Volid().Parse(id.Name)
	return vol, cfg, err == nil
}

// owner returns the guest that a volume belongs to by its name, 0 for none.
func (v volumes) owner(ctx context.Context, volumeID string) int {
	vol, _, ok := v.parse(ctx, volumeID)
	if !ok {
		return 0
	}
	return vol.VMID
}

// locations are all storages, for translating a configuration.
func (v volumes) locations(ctx context.Context) (map[string]volid.Storage, error) {
	configs, _, err := v.Storages(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[string]volid.Storage, len(configs))
	for _, c := range configs {
		out[c.ID] = c.Volid()
	}
	return out, nil
}

// at returns the id of the volume that a path of this node names, empty for none.
func (v volumes) at(ctx context.Context, file string) (string, error) {
	configs, _, err := v.Storages(ctx)
	if err != nil {
		return "", err
	}
	var storages []volid.Storage
	for _, c := range configs {
		storages = append(storages, c.Volid())
	}
	id, _, ok := volid.FromPath(storages, file, nil)
	if !ok {
		return "", nil
	}
	return id.Storage + ":" + id.Name, nil
}

// clonable tells whether a disk can be copied, or linked to. snapshot is the state to clone, empty for the current one; a
// running guest's QEMU copies the current one itself.
func (v volumes) clonable(ctx context.Context, volumeID, snapshot string, linked, running bool) (bool, error) {
	if !isVolume(volumeID) {
		return false, nil
	}
	vol, err := v.Stat(ctx, volumeID)
	if err != nil {
		return false, err
	}
	switch {
	case linked:
		return vol.Base && snapshot == "" && vol.Features.Has(storage.FeatureClone), nil
	case snapshot != "":
		return v.copiesSnapshots(ctx, volumeID), nil
	case running:
		return true, nil
	}
	return vol.Features.Has(storage.FeatureCopy), nil
}

// copiesSnapshots reports whether what a volume was at a snapshot can be copied, by the table of Proxmox VE's storage types.
func (v volumes) copiesSnapshots(ctx context.Context, volumeID string) bool {
	vol, cfg, ok := v.parse(ctx, volumeID)
	if !ok {
		return false
	}
	k, _ := volid.KindOf(cfg.Type)
	switch {
	case cfg.Type == "lvmthin", cfg.Type == "rbd":
		return true
	case k.Path, cfg.Type == "lvm":
		return vol.Format == string(storage.QCOW2)
	}
	return false
}

// isDevice reports whether a running QEMU has a volume as a block device of the kernel, which it cannot grow itself.
func (v volumes) isDevice(ctx context.Context, volumeID string) bool {
	_, cfg, ok := v.parse(ctx, volumeID)
	if !ok {
		return false
	}
	switch cfg.Type {
	case "lvm", "lvmthin", "zfspool", "iscsi":
		return true
	case "rbd":
		return cfg.Options["krbd"] == "1"
	}
	return false
}

// hasClones reports whether linked clones of a base volume exist on its storage.
func (v volumes) hasClones(ctx context.Context, volumeID string) (bool, error) {
	vol, _, ok := v.parse(ctx, volumeID)
	if !ok || !vol.Base {
		return false, nil
	}
	return v.HasClones(ctx, volumeID)
}

// freezable reports whether a disk can become a base volume.
func (v volumes) freezable(ctx context.Context, volumeID string) (bool, error) {
	vol, err := v.Stat(ctx, volumeID)
	if errors.Is(err, storage.ErrNotFound) { // a repetition after it was renamed
		return true, nil
	}
	return vol.Base || vol.Features.Has(storage.FeatureTemplate), err
}

// isVolume reports whether a drive's value names a volume of a storage.
func isVolume(value string) bool {
	_, _, ok := vmconfig.SplitVolumeID(value)
	return ok
}
