package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// opened is a volume with its file open and its header read.
type opened struct {
	place
	file   *os.File
	stat   *fileInfo
	header qimg.Header // of images only
	valid  bool        // the header is that of the format which the name promises
}

func (o *opened) close() { o.file.Close() }

// openVolume opens the file of a volume and reads its header. An image whose bytes are not what its name promises opens, with
// valid false.
func (d *Driver) openVolume(r *root, p place, write bool) (*opened, error) {
	if p.Format == string(storage.Subvol) {
		return nil, fmt.Errorf("container volume: %w", errors.ErrUnsupported)
	}
	f, st, err := r.regular(p.rel(), write)
	if err != nil {
		return nil, err
	}
	o := &opened{place: p, file: f, stat: st, valid: true}
	if p.image() {
		if err := o.readHeader(); err != nil {
			f.Close()
			return nil, err
		}
	}
	return o, nil
}

func (o *opened) readHeader() error {
	if o.stat.links != 1 {
		return fmt.Errorf("%s has %d hard links: %w", o.rel(), o.stat.links, storage.ErrUnsafe)
	}
	h, err := qimg.ProbeAs(o.file, o.stat.size, storage.Format(o.Format))
	switch {
	case errors.Is(err, qimg.ErrCorrupt):
		o.valid, o.header = false, qimg.Header{Format: storage.Invalid, VirtualBytes: o.stat.size}
		return nil
	case err != nil:
		return err
	}
	o.header = h
	parent, linked := splitBacking(h.BackingFile)
	if o.Linked() && (!linked || parent != [2]string{fmt.Sprint(o.BaseVMID), o.BaseName}) {
		return fmt.Errorf("%s is no linked clone of %d/%s: %w", o.rel(), o.BaseVMID, o.BaseName, storage.ErrNotFound)
	}
	return nil
}

// Backing files of linked clones, relative to the clone's folder.
var linkedBacking = regexp.MustCompile(`^\.\./([0-9]+)/([^/\s]+\.(?:raw|qcow2|vmdk))$`)

// splitBacking splits the backing file of a linked clone into owner and name.
func splitBacking(backing string) ([2]string, bool) {
	m := linkedBacking.FindStringSubmatch(backing)
	if m == nil {
		return [2]string{}, false
	}
	return [2]string{m[1], m[2]}, true
}

// parent returns the place of the image that backs o; ok is false if nothing does. What leads elsewhere is ErrUnsafe.
func (d *Driver) parent(o *opened) (p place, ok bool, err error) {
	if o.header.BackingFile == "" {
		return place{}, false, nil
	}
	m, linked := splitBacking(o.header.BackingFile)
	if linked {
		p, err = d.locate(storage.VolumeID(m[0] + "/" + m[1]))
	}
	if !linked || err != nil || !p.image() {
		return place{}, false, fmt.Errorf("backing file %q is no image of this storage: %w", o.header.BackingFile, storage.ErrUnsafe)
	}
	if f := o.header.BackingFormat; f != "" && f != p.Format {
		return place{}, false, fmt.Errorf("backing file %q with format %q: %w", o.header.BackingFile, f, storage.ErrUnsafe)
	}
	return p, true, nil
}

// maxChain bounds how many images may stand behind one another.
const maxChain = 16

// openChain opens an image and everything that backs it; only the image itself for writing. The caller closes all of them.
func (d *Driver) openChain(r *root, p place, write bool) (chain []*opened, err error) {
	defer func() {
		if err != nil {
			closeAll(chain)
			chain = nil
		}
	}()
	for ok := true; ok; write = false {
		if len(chain) == maxChain {
			return chain, fmt.Errorf("more than %d images behind one another: %w", maxChain, storage.ErrUnsafe)
		}
		o, err := d.openVolume(r, p, write)
		if err != nil {
			return chain, err
		}
		chain = append(chain, o)
		switch {
		case !o.valid:
			return chain, fmt.Errorf("%s is no %s image: %w", o.rel(), o.Format, storage.ErrUnsafe)
		case o.header.DataFile || o.header.Extents > 0:
			return chain, fmt.Errorf("%s has its data in another file: %w", o.rel(), storage.ErrUnsafe)
		}
		if p, ok, err = d.parent(o); err != nil {
			return chain, err
		}
	}
	return chain, nil
}

func closeAll(chain []*opened) {
	for _, o := range chain {
		o.close()
	}
}

// image makes the chain a storage.Image, which owns the files from then on.
func image(chain []*opened) *storage.Image {
	var img *storage.Image
	for i := len(chain) - 1; i >= 0; i-- {
		format := storage.Format(chain[i].Format)
		if !chain[i].image() {
			format = storage.Raw
		}
		img = &storage.Image{File: chain[i].file, Format: format, Backing: img}
	}
	return img
}

// Open implements storage.Opener. Content that is no guest image opens as raw.
func (d *Driver) Open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	img, err := d.openImage(ctx, id, write)
	return img, d.fail("open", id, err)
}

func (d *Driver) openImage(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.close()
	chain, err := d.openChain(r, p, write)
	if err != nil {
		return nil, err
	}
	return image(chain), nil
}

// enter parses an id and opens the root: what nearly every call begins with.
func (d *Driver) enter(ctx context.Context, id storage.VolumeID) (place, *root, error) {
	if err := ctx.Err(); err != nil {
		return place{}, nil, context.Cause(ctx)
	}
	p, err := d.locate(id)
	if err != nil {
		return place{}, nil, err
	}
	r, err := openRoot(d.path)
	return p, r, err
}

// Stat implements storage.Driver.
func (d *Driver) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.stat(ctx, id)
	return v, d.fail("stat", id, err)
}

func (d *Driver) stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer r.close()
	if p.subvol() {
		return d.statSubvol(r, p)
	}
	o, err := d.openVolume(r, p, false)
	if err != nil {
		return storage.Volume{}, err
	}
	defer o.close()
	v := d.describe(o)
	if p.Content == volid.Backup {
		d.annotations(r, p, &v, true)
	}
	return v, nil
}

// describe makes a volume of an opened file.
func (d *Driver) describe(o *opened) storage.Volume {
	v := storage.Volume{
		ID: o.id, Content: storage.Content(o.Content), Format: storage.Format(o.Format), Owner: o.VMID,
		SizeBytes: o.stat.size, UsedBytes: o.stat.allocated, Created: o.stat.changed,
	}
	if !o.image() {
		return v
	}
	v.Base, v.SizeBytes, v.Backing = o.Base, o.header.VirtualBytes, o.header.BackingFile
	if !o.valid {
		v.Format = storage.Invalid
		return v
	}
	if m, linked := splitBacking(o.header.BackingFile); linked {
		v.Parent = storage.VolumeID(path.Join(m[0], m[1]))
		v.ID = storage.VolumeID(path.Join(m[0], m[1], fmt.Sprint(o.VMID), o.Name))
	}
	v.Features = d.features(o)
	return v
}

// features is the table of Proxmox VE for storages with a folder.
func (d *Driver) features(o *opened) storage.Features {
	f := storage.FeatureCopy | storage.FeatureSparseInit
	if o.Base {
		return f | storage.FeatureClone
	}
	f |= storage.FeatureTemplate | storage.FeatureRename
	switch storage.Format(o.Format) {
	case storage.QCOW2:
		f |= storage.FeatureResize
		if !d.opt.VolumeChain {
			f |= storage.FeatureSnapshot
		}
	case storage.Raw:
		f |= storage.FeatureResize
	}
	return f
}
