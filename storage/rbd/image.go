package rbd

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// baseSnapshot is the protected snapshot of a base volume that linked clones are made of.
const baseSnapshot = "__base__"

// image is what rbd says of an image, or of a snapshot in a list.
type image struct {
	Name      string   `json:"image"` // in lists
	ID        string   `json:"id"`    // stays when the name changes
	Snapshot  string   `json:"snapshot"`
	Size      int64    `json:"size"`
	Protected flag     `json:"protected"`
	Parent    *parent  `json:"parent"`
	Features  []string `json:"features"`
}

type parent struct {
	Pool      string `json:"pool"`
	Namespace string `json:"pool_namespace"`
	Image     string `json:"image"`
	Snapshot  string `json:"snapshot"`
}

// flag is a boolean that rbd writes as a string.
type flag bool

func (f *flag) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case `"true"`, "true":
		*f = true
	case `"false"`, "false":
		*f = false
	default:
		return fmt.Errorf("%s is no boolean", text)
	}
	return nil
}

// names are the images of the pool.
func (t *tool) names(ctx context.Context) ([]string, error) {
	var names []string
	err := t.decode(ctx, &names, append([]string{"ls"}, t.pool()...)...)
	return names, err
}

// images are the images of the pool, without snapshots.
func (t *tool) images(ctx context.Context) ([]image, error) {
	var rows []image
	if err := t.decode(ctx, &rows, append([]string{"ls", "--long"}, t.pool()...)...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(i image) bool { return i.Snapshot != "" }), nil
}

func (t *tool) info(ctx context.Context, name, snapshot string) (image, error) {
	var i image
	err := t.decode(ctx, &i, append([]string{"info"}, t.image(name, snapshot)...)...)
	i.Name = name
	return i, err
}

// used is the space that an image takes in the pool, without its snapshots.
func (t *tool) used(ctx context.Context, name string) (int64, error) {
	var du struct {
		Images []struct {
			Name     string `json:"name"`
			Snapshot string `json:"snapshot"`
			Used     int64  `json:"used_size"`
		} `json:"images"`
	}
	if err := t.decode(ctx, &du, append([]string{"du"}, t.image(name, "")...)...); err != nil {
		return 0, err
	}
	var sum int64
	for _, i := range du.Images {
		sum += i.Used
	}
	return sum, nil
}

// open reports whether somebody has the image open for writing.
func (t *tool) open(ctx context.Context, name string) (bool, error) {
	var status struct {
		Watchers []struct {
			Address string `json:"address"`
		} `json:"watchers"`
	}
	err := t.decode(ctx, &status, append([]string{"status"}, t.image(name, "")...)...)
	return len(status.Watchers) > 0, err
}

// notOpen is ErrInUse if somebody has the image open.
func (t *tool) notOpen(ctx context.Context, name string) error {
	open, err := t.open(ctx, name)
	if err == nil && open {
		err = storage.ErrInUse
	}
	return err
}

// Stat implements storage.Driver. UsedBytes is only known where the image keeps account of it (fast-diff).
func (d *Driver) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.stat(ctx, id)
	if err != nil {
		return v, d.fail("stat", id, err)
	}
	return v, nil
}

func (d *Driver) stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	_, i, err := d.find(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	v, _ := d.describe(i)
	if slices.Contains(i.Features, "fast-diff") {
		if v.UsedBytes, err = d.tool.used(ctx, i.Name); err != nil {
			return storage.Volume{}, err
		}
	}
	return v, nil
}

// find looks at the image of a volume. A linked clone's id must name the base that it has.
func (d *Driver) find(ctx context.Context, id storage.VolumeID) (volid.Volume, image, error) {
	v, err := d.parse(id)
	if err != nil {
		return v, image{}, err
	}
	i, err := d.tool.info(ctx, v.Name, "")
	if err != nil {
		return v, i, err
	}
	if v.Linked() && v.BaseName != d.baseOf(i) {
		return v, i, fmt.Errorf("%s is no clone of %s: %w", v.Name, v.BaseName, storage.ErrNotFound)
	}
	return v, i, nil
}

// baseOf is the base volume of this pool that an image is a linked clone of, empty if there is none.
func (d *Driver) baseOf(i image) string {
	if p := i.Parent; p != nil && p.Snapshot == baseSnapshot && p.Pool == d.opt.Pool && p.Namespace == d.opt.Namespace {
		return p.Image
	}
	return ""
}

// describe makes a volume of an image; false if the image's name is not one of a guest's volume.
func (d *Driver) describe(i image) (storage.Volume, bool) {
	name := storage.VolumeID(i.Name)
	n, err := d.parse(name)
	if err != nil {
		return storage.Volume{}, false
	}
	v := storage.Volume{
		ID: name, Content: storage.Images, Format: storage.Raw, Owner: n.VMID, SizeBytes: i.Size, Base: n.Base,
		Features: storage.FeatureCopy | storage.FeatureSparseInit | storage.FeatureSnapshot,
	}
	if base := d.baseOf(i); base != "" {
		linked := storage.VolumeID(base + "/" + i.Name)
		if _, err := d.parse(linked); err == nil {
			v.ID, v.Parent = linked, storage.VolumeID(base)
		}
	}
	if i.Parent != nil {
		v.Backing = i.Parent.Image + "@" + i.Parent.Snapshot
	}
	if v.Base {
		v.Features = storage.FeatureCopy | storage.FeatureSparseInit | storage.FeatureClone
	} else {
		v.Features |= storage.FeatureTemplate | storage.FeatureResize | storage.FeatureRename
	}
	return v, true
}

// List implements storage.Driver: one command however many volumes there are.
func (d *Driver) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		images, err := d.tool.images(ctx)
		if err != nil {
			yield(storage.Volume{}, d.fail("list", "", err))
			return
		}
		for _, i := range images {
			if v, ok := d.describe(i); ok && f.Match(&v) && !yield(v, nil) {
				return
			}
		}
	}
}
