package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
)

// madeVolume is the data of a stepVolume.
type madeVolume struct {
	ID     int // of the VM that it is made for
	Volume string
}

// undoVolume frees a volume that an operation made, unless the VM's stored configuration refers to it: then it was handed
// over. One that is still being made (locked so) has nothing to hand over.
func (s *Service) undoVolume(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var m madeVolume
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	v, err := s.Load(ctx, m.ID)
	if err == nil && len(v.Config.References(m.Volume)) > 0 {
		if lock := v.Config.Main["lock"]; lock != lockCreate && lock != lockClone {
			return nil
		}
	}
	if err := s.o.Volumes.Free(ctx, m.Volume); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("free '%s': %w", m.Volume, err)
	}
	return nil
}

// makeDrive makes the volume that a drive of a request asks for, and returns the drive as it is stored. The volume is
// freed again if the operation fails before a configuration refers to it.
func (s *Service) makeDrive(ctx context.Context, op *task.Op, v *VM, d vmconfig.Drive, defaultStorage string) (vmconfig.Drive, error) {
	r, err := vmconfig.ParseVolumeRequest(d, defaultStorage)
	if err != nil {
		return d, err
	}
	switch r.Kind {
	case vmconfig.VolumeNone, vmconfig.VolumeHostCDROM:
		d.Media, d.Size = "cdrom", vmconfig.Opt[vmconfig.Size]{}
		return d, nil
	case vmconfig.VolumePath:
		return s.pathDrive(ctx, d)
	case vmconfig.VolumeExisting:
		return s.existingDrive(ctx, d)
	case vmconfig.VolumeCloudInit:
		return s.cloudInitDrive(ctx, op, v, d, r)
	}
	d, err = s.newDrive(ctx, op, v, d, r)
	if err == nil && v.Config.Main.Bool("template", false) {
		return s.freezeNew(ctx, op, v.ID, d)
	}
	return d, err
}

// newDrive makes a disk: empty, with the content of an image, or with the firmware's variables.
func (s *Service) newDrive(ctx context.Context, op *task.Op, v *VM, d vmconfig.Drive, r vmconfig.VolumeRequest) (vmconfig.Drive, error) {
	fill := func(volid string) error { return s.o.Volumes.Create(ctx, volid, r.SizeBytes) }
	switch {
	case r.Kind == vmconfig.VolumeImport:
		fill = func(volid string) error { return s.o.Volumes.Import(ctx, r.Source, volid, copyProgress(op)) }
	case d.Bus() == "efidisk":
		template, err := s.o.Host.FirmwareVars(v.Config.Main, d)
		if err != nil {
			return d, publicError(err)
		}
		fill = func(volid string) error {
			return s.o.Volumes.Import(ctx, template, volid, volume.CopyOptions{SourceFormat: "raw"})
		}
	}
	volid, err := s.withVolume(ctx, op, v.ID, r.Storage, r.Format, fill)
	if err != nil {
		return d, err
	}
	return s.madeDrive(ctx, op, d, volid)
}

// freezeNew makes the new disk of a template a base volume, where its storage has such.
func (s *Service) freezeNew(ctx context.Context, op *task.Op, id int, d vmconfig.Drive) (vmconfig.Drive, error) {
	if ok, err := s.vols.freezable(ctx, d.File); err != nil || !ok {
		return d, err
	}
	base, err := s.o.Volumes.BaseName(ctx, d.File)
	if err != nil {
		return d, err
	}
	if err := op.Step(ctx, stepVolume, madeVolume{id, base}); err != nil {
		return d, err
	}
	d.File, err = s.o.Volumes.MakeBase(ctx, d.File)
	return d, err
}

// pathDrive takes a device of the host as it is. A file must be a volume of a storage, and becomes that.
func (s *Service) pathDrive(ctx context.Context, d vmconfig.Drive) (vmconfig.Drive, error) {
	if strings.HasPrefix(d.File, "/dev/") {
		return d, nil
	}
	volid, err := s.vols.at(ctx, d.File)
	if err != nil {
		return d, err
	}
	if volid == "" {
		return d, call.Param(d.Key, "unable to associate path '%s' to any storage", d.File)
	}
	d.File = volid
	return s.existingDrive(ctx, d)
}

// withVolume lets fill make a volume under the next free name, journaled. A name that somebody else takes first is tried
// once more with the next.
func (s *Service) withVolume(ctx context.Context, op *task.Op, id int, storageID, format string, fill func(volid string) error) (string, error) {
	for attempt := 0; ; attempt++ {
		volid, err := s.o.Volumes.NextName(ctx, storageID, id, format, volume.KindDisk)
		if err != nil {
			return "", err
		}
		if err := op.Step(ctx, stepVolume, madeVolume{id, volid}); err != nil {
			return "", err
		}
		err = fill(volid)
		if errors.Is(err, storage.ErrExists) && attempt < 10 {
			if err := op.Retract(ctx); err != nil { // it is not ours to free
				return "", err
			}
			continue
		}
		return volid, err
	}
}

// madeDrive completes a drive whose volume was just made.
func (s *Service) madeDrive(ctx context.Context, op *task.Op, d vmconfig.Drive, volid string) (vmconfig.Drive, error) {
	vol, err := s.o.Volumes.Stat(ctx, volid)
	if err != nil {
		return d, err
	}
	d.File, d.Format, d.ImportFrom = volid, "", ""
	d.Size = vmconfig.Some(vmconfig.Size(vol.SizeBytes))
	op.Logf("%s: successfully created disk '%s'", d.Key, d)
	return d, nil
}

// existingDrive checks a volume that is there already and notes its size.
func (s *Service) existingDrive(ctx context.Context, d vmconfig.Drive) (vmconfig.Drive, error) {
	vol, err := s.o.Volumes.Stat(ctx, d.File)
	if errors.Is(err, storage.ErrNotFound) {
		return d, call.Errorf("volume %s does not exist", d.File)
	}
	if err != nil {
		return d, err
	}
	d.File = vol.VolID
	if vol.Content != storage.Images && vol.Content != storage.ISO {
		return d, call.Param(d.Key, "content type needs to be 'images' or 'iso'")
	}
	if d.Format != "" && storage.Format(d.Format) != vol.Format {
		return d, call.Errorf("drive '%s' - volume '%s' - 'format=%s' option different from storage format '%s'", d.Key, d.File, d.Format, vol.Format)
	}
	d.Size = vmconfig.Some(vmconfig.Size(vol.SizeBytes))
	return d, nil
}

// cloudInitDrive makes the small volume whose content is generated at each start.
func (s *Service) cloudInitDrive(ctx context.Context, op *task.Op, v *VM, d vmconfig.Drive, r vmconfig.VolumeRequest) (vmconfig.Drive, error) {
	for _, sec := range []vmconfig.Section{v.Config.Main, v.Config.Pending} {
		if other := sec.CloudInitDrive(); other != "" && other != d.Key {
			return d, call.Errorf("%s - cloud-init drive is already attached at '%s'", d.Key, other)
		}
	}
	cfg, err := s.o.Volumes.Storage(ctx, r.Storage)
	if err != nil {
		return d, err
	}
	if r.Format == "" && slices.Contains(cfg.Formats(), string(storage.QCOW2)) { // whatever the storage's default is
		r.Format = string(storage.QCOW2)
	}
	volid, err := s.o.Volumes.NextName(ctx, r.Storage, v.ID, r.Format, volume.KindCloudInit)
	if err != nil {
		return d, err
	}
	if err := op.Step(ctx, stepVolume, madeVolume{v.ID, volid}); err != nil {
		return d, err
	}
	err = s.o.Volumes.Create(ctx, volid, vmconfig.CloudInitBytes)
	if errors.Is(err, storage.ErrExists) { // left over, and made anew at the next start anyway
		if err := op.Retract(ctx); err != nil {
			return d, err
		}
	} else if err != nil {
		return d, err
	}
	d.File, d.Format, d.Media, d.Size = volid, "", "cdrom", vmconfig.Opt[vmconfig.Size]{}
	op.Logf("%s: successfully created disk '%s'", d.Key, d)
	return d, nil
}
