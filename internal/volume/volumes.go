package volume

import (
	"context"
	"errors"
	"slices"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Volume is a volume with its volume id. Errors about volumes are public (call.Error) and keep the error of package storage
// as their cause, for errors.Is.
type Volume struct {
	VolID string
	storage.Volume
}

func (m *mounted) volume(v storage.Volume) Volume {
	return Volume{VolID: m.ID + ":" + string(v.ID), Volume: v}
}

// Create makes exactly this volume, filled with zeros; its format is what the name says. storage.ErrExists.
func (s *Service) Create(ctx context.Context, volumeID string, sizeBytes int64) error {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return err
	}
	_, err = t.driver.Create(ctx, storage.VolumeSpec{ID: t.id, SizeBytes: sizeBytes})
	s.created(t, err)
	return t.explain(err, "unsupported format '"+t.name.Format+"'")
}

// created ends the reservation of a name, but keeps it where something of that name stands in the way unseen by lists.
func (s *Service) created(t *target, err error) {
	if err == nil {
		s.release(t.text)
	}
}

// Free removes a volume. storage.ErrNotFound if it is gone, ErrInUse, ErrProtected.
func (s *Service) Free(ctx context.Context, volumeID string) error {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return err
	}
	err = t.driver.Delete(ctx, t.id)
	if err == nil {
		s.release(t.text)
	}
	return t.explain(err, "can't free space in "+t.Type+" storage")
}

// Stat describes a volume.
func (s *Service) Stat(ctx context.Context, volumeID string) (Volume, error) {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return Volume{}, err
	}
	v, err := within(ctx, s, func() (storage.Volume, error) { return t.driver.Stat(ctx, t.id) })
	return t.volume(v), t.explain(err, "volume '"+t.text+"' cannot be used here")
}

// Resize grows a volume that nobody has open: storage.ErrInUse if a QEMU must do it (block_resize). Shrinking is errors.ErrUnsupported.
func (s *Service) Resize(ctx context.Context, volumeID string, sizeBytes int64) error {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return err
	}
	r, ok := storage.As[storage.Resizer](t.driver)
	if !ok {
		return public(errors.ErrUnsupported, "can't resize this image format")
	}
	_, err = r.Resize(ctx, t.id, sizeBytes)
	return t.explain(err, "can't resize this image format")
}

// Images returns the volume ids of all images of a guest on the enabled storages, sorted. Storages that do not answer, or
// that this version cannot use, are passed over.
func (s *Service) Images(ctx context.Context, vmid int) ([]string, error) {
	configs, _, err := s.Storages(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, cfg := range configs {
		if !cfg.EnabledOn(s.opts.Node) || !cfg.Holds("images") && !cfg.Holds("rootdir") {
			continue
		}
		m, err := s.enter(ctx, cfg.ID)
		if err != nil {
			s.log.Warn("images of a guest", "storage", cfg.ID, "vmid", vmid, "err", err)
			continue
		}
		volumes, err := s.list(ctx, m, storage.Filter{Content: storage.Images, Owner: vmid})
		if err != nil {
			return nil, err
		}
		for _, v := range volumes {
			ids = append(ids, m.ID+":"+string(v.ID))
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// list collects what a driver lists.
func (s *Service) list(ctx context.Context, m *mounted, f storage.Filter) ([]storage.Volume, error) {
	volumes, err := within(ctx, s, func() ([]storage.Volume, error) {
		var all []storage.Volume
		for v, err := range m.driver.List(ctx, f) {
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	})
	t := &target{mounted: m, text: m.ID}
	return volumes, t.explain(err, "storage '"+m.ID+"' cannot be listed")
}

// Attach makes a volume reachable on this node for a uid, until Detach.
func (s *Service) Attach(ctx context.Context, volumeID string, uid int, readonly bool) (storage.Attachment, error) {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return nil, err
	}
	at, err := t.driver.Attach(ctx, t.id, storage.AttachOptions{UID: uid, ReadOnly: readonly})
	return at, t.explain(err, "volume '"+t.text+"' cannot be attached")
}

// Detach ends an attachment. Idempotent; a volume that is gone, or whose storage is no longer configured, is detached.
func (s *Service) Detach(ctx context.Context, volumeID string) error {
	t, err := s.open(ctx, volumeID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.explain(t.driver.Detach(ctx, t.id), "volume '"+t.text+"' cannot be detached")
}

// Snapshot takes a snapshot of a volume that nobody has open. A running guest's qcow2 image is storage.ErrInUse: its QEMU must do it.
func (s *Service) Snapshot(ctx context.Context, volumeID, name string) error {
	return s.snapshot(ctx, volumeID, "can't snapshot this image format", func(sn storage.Snapshotter, id storage.VolumeID) error {
		return sn.Snapshot(ctx, id, name)
	})
}

// Rollback makes a snapshot the volume's state.
func (s *Service) Rollback(ctx context.Context, volumeID, name string) error {
	return s.snapshot(ctx, volumeID, "can't rollback snapshot this image format", func(sn storage.Snapshotter, id storage.VolumeID) error {
		return sn.Rollback(ctx, id, name)
	})
}

// DeleteSnapshot removes a snapshot.
func (s *Service) DeleteSnapshot(ctx context.Context, volumeID, name string) error {
	return s.snapshot(ctx, volumeID, "can't delete snapshot for this image format", func(sn storage.Snapshotter, id storage.VolumeID) error {
		return sn.DeleteSnapshot(ctx, id, name)
	})
}

func (s *Service) snapshot(ctx context.Context, volumeID, unsupported string, fn func(storage.Snapshotter, storage.VolumeID) error) error {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return err
	}
	sn, ok := storage.As[storage.Snapshotter](t.driver)
	if !ok {
		return public(errors.ErrUnsupported, "%s", unsupported)
	}
	return t.explain(fn(sn, t.id), unsupported)
}

// BaseName returns the volume id that MakeBase gives. Nothing is touched.
func (s *Service) BaseName(ctx context.Context, volumeID string) (string, error) {
	id, err := split(volumeID)
	if err != nil {
		return "", err
	}
	c, err := s.Storage(ctx, id.Storage)
	if err != nil {
		return "", err
	}
	name, err := c.storage().BaseName(id.Name)
	if err != nil {
		return "", public(err, "%v", err)
	}
	return id.Storage + ":" + name, nil
}

// MakeBase freezes a volume and returns its new volume id; repeated, it returns the same.
func (s *Service) MakeBase(ctx context.Context, volumeID string) (string, error) {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return "", err
	}
	c, ok := storage.As[storage.Cloner](t.driver)
	if !ok {
		return "", public(errors.ErrUnsupported, "can't create base images in %s storage", t.Type)
	}
	v, err := c.MakeBase(ctx, t.id)
	if err != nil {
		return "", t.explain(err, "can't create base images in "+t.Type+" storage")
	}
	return t.ID + ":" + string(v.ID), nil
}

// LinkedClone makes newVolid, a name of NextCloneName, a linked clone of baseVolid.
func (s *Service) LinkedClone(ctx context.Context, baseVolid, newVolid string) error {
	base, err := s.open(ctx, baseVolid)
	if err != nil {
		return err
	}
	t, err := s.open(ctx, newVolid)
	switch {
	case err != nil:
		return err
	case t.ID != base.ID:
		return call.Errorf("linked clone '%s' is not on the storage of '%s'", newVolid, baseVolid)
	}
	c, ok := storage.As[storage.Cloner](t.driver)
	if !ok {
		return t.noClones()
	}
	_, err = c.Clone(ctx, base.id, t.id)
	s.created(t, err)
	return t.explain(err, "clone_image only works on base images")
}

// Rename gives a volume another id on the same storage, such as another guest's. storage.ErrExists, ErrInUse.
func (s *Service) Rename(ctx context.Context, volumeID, newVolid string) error {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return err
	}
	to, err := s.open(ctx, newVolid)
	switch {
	case err != nil:
		return err
	case t.ID != to.ID:
		return call.Errorf("volume '%s' cannot be renamed to another storage", volumeID)
	}
	r, ok := storage.As[storage.Renamer](t.driver)
	if !ok {
		return public(errors.ErrUnsupported, "renaming is not supported in %s storage", t.Type)
	}
	_, err = r.Rename(ctx, t.id, to.id)
	s.created(to, err)
	if errors.Is(err, storage.ErrExists) {
		return public(err, "target volume '%s' already exists", newVolid)
	}
	return t.explain(err, "volume '"+t.text+"' cannot be renamed")
}

// Path returns where a volume lies, as Proxmox VE prints it: an absolute path, a device, rbd:…. Nothing is touched.
func (s *Service) Path(ctx context.Context, volumeID string) (string, error) {
	id, err := split(volumeID)
	if err != nil {
		return "", err
	}
	c, err := s.Storage(ctx, id.Storage)
	if err != nil {
		return "", err
	}
	loc, err := c.storage().Locate(id.Name, "", &volid.Facts{})
	if err != nil {
		return "", public(err, "%v", err)
	}
	return loc.Text(), nil
}
