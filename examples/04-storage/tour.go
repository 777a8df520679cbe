package main

import (
	"context"
	"fmt"
	"io"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// tour is one walk through a storage.
type tour struct {
	out   io.Writer
	typ   string
	store storage.Driver
	tool  *qimg.Tool
	made  map[storage.VolumeID]bool // and not yet deleted
}

const (
	mib                    = 1 << 20
	source, copied, linked = 100, 101, 102 // numbers of the guests that own the disks
)

// walk does one thing after the other. What a storage may lack is a capability, found with storage.As.
func (t *tour) walk(ctx context.Context, image string) error {
	empty, err := t.create(ctx, source, 64*mib)
	if err != nil {
		return err
	}
	disk, err := t.importImage(ctx, source, image)
	if err != nil {
		return err
	}
	if s, ok := storage.As[storage.Snapshotter](t.store); ok {
		if err := s.Snapshot(ctx, disk.ID, "before"); err != nil {
			return err
		}
		if err := s.Rollback(ctx, disk.ID, "before"); err != nil {
			return err
		}
		t.say("snapshot", "taken of %s, and gone back to", disk.ID)
		if err := s.DeleteSnapshot(ctx, disk.ID, "before"); err != nil {
			return err
		}
	}
	if r, ok := storage.As[storage.Resizer](t.store); ok {
		if disk, err = r.Resize(ctx, disk.ID, disk.SizeBytes+64*mib); err != nil {
			return err
		}
		t.say("resize", "%s to %d MiB", disk.ID, disk.SizeBytes/mib)
	}
	full, err := t.copy(ctx, copied, disk)
	if err != nil {
		return err
	}
	base, clone, err := t.link(ctx, full)
	if err != nil {
		return err
	}
	if err := t.list(ctx); err != nil {
		return err
	}
	for _, v := range []storage.VolumeID{clone, base, disk.ID, empty.ID} { // a base goes after its clones
		if err := t.remove(ctx, v); err != nil {
			return err
		}
	}
	t.say("done", "%d volumes left", len(t.made))
	return nil
}

// link turns a volume into a base, and makes a linked clone of it that takes no space of its own.
func (t *tour) link(ctx context.Context, v storage.Volume) (base, clone storage.VolumeID, err error) {
	c, ok := storage.As[storage.Cloner](t.store)
	if !ok {
		return "", "", fmt.Errorf("no linked clones on %s", t.typ)
	}
	frozen, err := c.MakeBase(ctx, v.ID)
	if err != nil {
		return "", "", err
	}
	delete(t.made, v.ID)
	t.say("make base", "%s", t.note(frozen).ID)
	name, err := t.freeName(ctx, linked, frozen.Format)
	if err != nil {
		return "", "", err
	}
	parsed, err := volid.Parse(t.typ, name) // the bare name, without a folder
	if err != nil {
		return "", "", err
	}
	id, err := c.CloneID(frozen.ID, linked, parsed.Name)
	if err != nil {
		return "", "", err
	}
	made, err := c.Clone(ctx, frozen.ID, id)
	if err != nil {
		return "", "", err
	}
	t.say("linked clone", "%s", t.note(made).ID)
	return frozen.ID, made.ID, nil
}

func (t *tour) list(ctx context.Context) error {
	for v, err := range t.store.List(ctx, storage.Filter{}) {
		if err != nil {
			return err
		}
		t.say("list", "%-40s guest %d, %4d MiB, %s", v.ID, v.Owner, v.SizeBytes/mib, v.Format)
	}
	u, err := t.store.Usage(ctx)
	if err == nil {
		t.say("usage", "%d of %d MiB taken", u.UsedBytes/mib, u.TotalBytes/mib)
	}
	return err
}
