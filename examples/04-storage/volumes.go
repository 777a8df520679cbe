package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// format of new images: one that can have snapshots.
func (t *tour) format() storage.Format {
	if t.typ == "dir" {
		return storage.QCOW2
	}
	return storage.Raw
}

// freeName is the name that Proxmox VE gives to the next disk of a guest.
func (t *tour) freeName(ctx context.Context, guest int, format storage.Format) (string, error) {
	var taken []string
	for v, err := range t.store.List(ctx, storage.Filter{Owner: guest}) {
		if err != nil {
			return "", err
		}
		taken = append(taken, string(v.ID))
	}
	return volid.Storage{Type: t.typ}.NextName(guest, string(format), taken)
}

// spec is that of a new volume.
func (t *tour) spec(ctx context.Context, guest int, bytes int64) (storage.VolumeSpec, error) {
	name, err := t.freeName(ctx, guest, t.format())
	return storage.VolumeSpec{ID: storage.VolumeID(name), Format: t.format(), SizeBytes: bytes}, err
}

func (t *tour) create(ctx context.Context, guest int, bytes int64) (storage.Volume, error) {
	spec, err := t.spec(ctx, guest, bytes)
	if err != nil {
		return storage.Volume{}, err
	}
	v, err := t.store.Create(ctx, spec)
	if err != nil {
		return v, err
	}
	t.say("create", "%s of %d MiB", v.ID, v.SizeBytes/mib)
	return t.note(v), nil
}

// importImage makes a volume of an image from anywhere: its header is checked first, and its format is never guessed.
func (t *tour) importImage(ctx context.Context, guest int, path string) (storage.Volume, error) {
	f, err := os.Open(path)
	if err != nil {
		return storage.Volume{}, err
	}
	defer f.Close()
	header, err := t.tool.Inspect(ctx, f, storage.QCOW2)
	if err != nil {
		return storage.Volume{}, err
	}
	return t.filled(ctx, "import", guest, header.VirtualBytes, &storage.Image{File: f, Format: storage.QCOW2}, true)
}

// copy makes a full copy: in the storage's own way where it has one (a reflink, zfs send), else by its bytes.
func (t *tour) copy(ctx context.Context, guest int, from storage.Volume) (storage.Volume, error) {
	if c, ok := storage.As[storage.Copier](t.store); ok {
		spec, err := t.spec(ctx, guest, from.SizeBytes)
		if err != nil {
			return storage.Volume{}, err
		}
		v, err := c.CopyFrom(ctx, spec, t.store, from.ID, storage.CopyOptions{Progress: t.progress("full clone")})
		if !errors.Is(err, errors.ErrUnsupported) {
			if err == nil {
				t.say("full clone", "%s", t.note(v).ID)
			}
			return v, err
		}
	}
	o, ok := storage.As[storage.Opener](t.store)
	if !ok {
		return storage.Volume{}, fmt.Errorf("no way to read volumes of %s", t.typ)
	}
	img, err := o.Open(ctx, from.ID, false)
	if err != nil {
		return storage.Volume{}, err
	}
	defer img.Close()
	return t.filled(ctx, "full clone", guest, from.SizeBytes, img, false)
}

// filled makes a volume that shows when its content is complete; if the copy fails there is none.
func (t *tour) filled(ctx context.Context, what string, guest int, bytes int64, img *storage.Image, untrusted bool) (storage.Volume, error) {
	filler, ok := storage.As[storage.Filler](t.store)
	if !ok {
		return storage.Volume{}, fmt.Errorf("no way to fill volumes of %s", t.typ)
	}
	spec, err := t.spec(ctx, guest, bytes)
	if err != nil {
		return storage.Volume{}, err
	}
	v, err := filler.CreateFilled(ctx, spec, func(ctx context.Context, dst *storage.Image) error {
		return t.tool.Copy(ctx, dst, img, qimg.CopyOptions{Untrusted: untrusted, TargetIsZero: true, Progress: t.progress(what)})
	})
	if err != nil {
		return v, err
	}
	t.say(what, "%s of %d MiB", v.ID, v.SizeBytes/mib)
	return t.note(v), nil
}
