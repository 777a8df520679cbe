package dir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// Modes of what the driver makes.
const (
	imageMode  = 0o640
	baseMode   = 0o444
	uploadMode = 0o644
	guestMode  = 0o711 // folders of images: the uids that guests run as pass through and see nothing
	folderMode = 0o755
)

// granule is what sizes are rounded up to.
const granule = 1024

// Create implements storage.Driver. The id must be that of a guest image that is no linked clone.
func (d *Driver) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	return d.CreateFilled(ctx, spec, nil)
}

// CreateFilled implements storage.Filler.
func (d *Driver) CreateFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.create(ctx, spec, fill)
	return v, d.fail("create", spec.ID, err)
}

func (d *Driver) create(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	p, r, err := d.enter(ctx, spec.ID)
	if err != nil {
		return storage.Volume{}, err
	}
	defer r.close()
	size, err := roundUp(spec.SizeBytes)
	switch {
	case err != nil:
		return storage.Volume{}, err
	case !p.image() || p.Linked():
		return storage.Volume{}, fmt.Errorf("not a plain guest image: %w", storage.ErrBadID)
	case spec.Format != "" && spec.Format != storage.Format(p.Format):
		return storage.Volume{}, fmt.Errorf("format %s for this name: %w", spec.Format, storage.ErrBadID)
	case p.subvol() && fill != nil:
		return storage.Volume{}, fmt.Errorf("fill a container volume: %w", errors.ErrUnsupported)
	case p.subvol():
		return d.createSubvol(r, p, spec.SizeBytes)
	}
	return d.publish(ctx, r, p, func(f *os.File) error {
		if err := d.format(ctx, f, storage.Format(p.Format), size); err != nil || fill == nil {
			return err
		}
		d.step("formatted")
		return fullDisk(fill(ctx, &storage.Image{File: f, Format: storage.Format(p.Format)}))
	})
}

// publish makes a file under a temporary name, lets write fill it, and gives it its name when it is complete and on disk.
func (d *Driver) publish(ctx context.Context, r *root, p place, write func(*os.File) error) (storage.Volume, error) {
	if err := d.free(r, p); err != nil {
		return storage.Volume{}, err
	}
	mode := uint32(imageMode)
	if !p.image() {
		mode = uploadMode
	}
	s, err := d.newStage(r, p, mode)
	if err != nil {
		return storage.Volume{}, err
	}
	defer s.Discard()
	d.step("staged")
	if err := write(s.file); err != nil {
		return storage.Volume{}, err
	}
	d.step("written")
	o := &opened{place: p, file: s.file, valid: true}
	if o.stat, err = fstat(s.file); err != nil {
		return storage.Volume{}, err
	}
	if o.image() {
		if err := o.readHeader(); err != nil {
			return storage.Volume{}, err
		}
	}
	return d.describe(o), s.commit(ctx, r, false)
}

// fullDisk gives the error of somebody who wrote into a file of this storage its class.
func fullDisk(err error) error {
	if (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, storage.ErrNoSpace) {
		return fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	}
	return err
}

// free returns ErrExists if there is a file of that name already.
func (d *Driver) free(r *root, p place) error {
	taken, err := r.exists(p.rel())
	if err == nil && taken {
		err = storage.ErrExists
	}
	return err
}

// format makes f an empty image.
func (d *Driver) format(ctx context.Context, f *os.File, format storage.Format, size int64) error {
	mode := d.preallocation(format)
	if format == storage.Raw && mode == qimg.PreallocOff {
		if err := f.Truncate(size); err != nil {
			return classify("truncate", f.Name(), err)
		}
		return nil
	}
	return d.tool.Create(ctx, f, qimg.CreateOptions{Format: format, SizeBytes: size, Preallocation: mode})
}

// preallocation is the mode for a format: metadata means nothing to raw and VMDK.
func (d *Driver) preallocation(format storage.Format) qimg.Preallocation {
	mode := d.opt.Preallocation
	switch {
	case format == storage.QCOW2 && mode == "":
		return qimg.PreallocMetadata
	case format == storage.VMDK, mode == "", format == storage.Raw && mode == qimg.PreallocMetadata:
		return qimg.PreallocOff
	}
	return mode
}

func roundUp(size int64) (int64, error) {
	if size < 0 || size > qimg.MaxVirtualBytes {
		return 0, fmt.Errorf("size of %d bytes: %w", size, storage.ErrBadID)
	}
	return max(granule, (size+granule-1)/granule*granule), nil
}

// Names of temporary files. No list shows them, Proxmox VE's neither.
const tempPrefix, tempSuffix = ".gpve-", ".tmp"

func tempName() string { return tempPrefix + rand.Text() + tempSuffix }

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// newTemp makes an empty file of its own in the folder of p, making the folder if need be, and locks it.
func (d *Driver) newTemp(r *root, p place, perm uint32) (*os.File, string, error) {
	mode := uint32(folderMode)
	if p.image() {
		mode = guestMode
	}
	for range 100 { // the folder may be removed as empty, or the file swept, before it is ours
		if p.image() {
			if err := r.makeFolder(path.Dir(p.folder), guestMode); err != nil {
				return nil, "", err
			}
		}
		err := r.makeFolder(p.folder, mode)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		rel := path.Join(p.folder, tempName())
		f, err := r.create(rel, perm)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		locked, err := lockStage(f)
		var st *fileInfo
		if err == nil {
			st, err = fstat(f)
		}
		if err == nil && locked && st.links == 1 {
			if err = f.Chmod(os.FileMode(perm)); err == nil { // whatever the umask is
				return f, rel, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, "", errors.Join(err, r.remove(rel))
		}
	}
	return nil, "", fmt.Errorf("temporary file in %s: %w", p.folder, storage.ErrUnavailable)
}
