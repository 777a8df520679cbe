package volume

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Kinds of new volumes, for NextName. A snapshot's memory is KindState followed by the snapshot's name.
const (
	KindDisk      = "disk"
	KindCloudInit = "cloudinit"
	KindState     = "state-"
)

// reservation is how long a name given out by NextName is not given out again.
const reservation = 10 * time.Minute

// NextName returns the volume id of a volume that vmid may create: for a disk the lowest free number, for the other kinds
// the one name that there is. format empty is the storage's default. Nothing is made, but the name of a disk is not handed
// out again for ten minutes, so two operations never journal the same.
func (s *Service) NextName(ctx context.Context, storageID string, vmid int, format, kind string) (string, error) {
	m, err := s.enter(ctx, storageID)
	if err != nil {
		return "", err
	}
	format, err = m.pickFormat(format)
	if err != nil {
		return "", err
	}
	st := m.storage()
	if kind == KindCloudInit {
		return storageID + ":" + st.CloudInitName(vmid, format), nil
	}
	if snap, ok := strings.CutPrefix(kind, KindState); ok {
		return storageID + ":" + st.StateName(vmid, snap), nil
	}
	names, err := s.namesOf(ctx, m, vmid)
	if err != nil {
		return "", err
	}
	return s.reserve(m, func(taken []string) (string, error) { return st.NextName(vmid, format, taken) }, names)
}

// NextCloneName is NextName for a linked clone of a base volume.
func (s *Service) NextCloneName(ctx context.Context, baseVolid string, vmid int) (string, error) {
	t, err := s.open(ctx, baseVolid)
	if err != nil {
		return "", err
	}
	c, ok := storage.As[storage.Cloner](t.driver)
	if !ok {
		return "", t.noClones()
	}
	names, err := s.namesOf(ctx, t.mounted, vmid)
	if err != nil {
		return "", err
	}
	st, format := t.storage(), "raw"
	if k, _ := volid.KindOf(t.Type); k.Path {
		format = "qcow2"
	}
	return s.reserve(t.mounted, func(taken []string) (string, error) {
		name, err := st.NextName(vmid, format, taken)
		if err != nil {
			return "", err
		}
		id, err := c.CloneID(t.id, vmid, path.Base(name))
		return string(id), t.explain(err, "clone_image only works on base images")
	}, names)
}

// namesOf returns the names that may take numbers from a new volume of a guest.
func (s *Service) namesOf(ctx context.Context, m *mounted, vmid int) ([]string, error) {
	f := storage.Filter{Content: storage.Images}
	if k, _ := volid.KindOf(m.Type); k.Path {
		f.Owner = vmid
	}
	volumes, err := s.list(ctx, m, f)
	names := make([]string, 0, len(volumes))
	for _, v := range volumes {
		names = append(names, string(v.ID))
	}
	return names, err
}

// reserve picks a name beside the existing and the reserved ones, and reserves it.
func (s *Service) reserve(m *mounted, pick func(taken []string) (string, error), names []string) (string, error) {
	now := s.opts.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, until := range s.reserved {
		if name, here := strings.CutPrefix(id, m.ID+":"); now.After(until) {
			delete(s.reserved, id)
		} else if here {
			names = append(names, name)
		}
	}
	name, err := pick(names)
	if err != nil {
		if isPublic(err) {
			return "", err
		}
		return "", public(err, "%v", err)
	}
	s.reserved[m.ID+":"+name] = now.Add(reservation)
	return m.ID + ":" + name, nil
}

// release forgets a reservation: the volume exists now, or never will.
func (s *Service) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reserved, id)
}

// pickFormat returns a format that the storage has: the wanted one, or the default if none is wanted.
func (c *Config) pickFormat(want string) (string, error) {
	formats := c.Formats()
	if len(formats) == 0 {
		return "", call.Errorf("storage '%s' does not support vm images", c.ID)
	}
	if want == "" {
		return formats[0], nil
	}
	for _, f := range formats {
		if f == want {
			return f, nil
		}
	}
	return "", call.Errorf("unsupported format '%s' for storage '%s'", want, c.ID)
}

// DefaultFormat returns the format of new guest images.
func (s *Service) DefaultFormat(ctx context.Context, storageID string) (string, error) {
	c, err := s.Storage(ctx, storageID)
	if err != nil {
		return "", err
	}
	return c.pickFormat("")
}

// Supports reports whether a storage of this node may hold a kind of content; its error is that of the lookup.
func (s *Service) Supports(ctx context.Context, storageID, content string) (bool, error) {
	c, err := s.Available(ctx, storageID)
	return err == nil && c.Holds(content), err
}

// noClones is the error of a storage without linked clones.
func (t *target) noClones() error {
	return public(errors.ErrUnsupported, "can't clone images in %s storage", t.Type)
}
