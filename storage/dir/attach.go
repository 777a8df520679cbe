package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Attach implements storage.Driver: a storage.File. A guest's image is given to the uid (mode 0640); base images, ISO images
// and the like stay whose they are and become readable for all. An image whose header reaches outside is ErrUnsafe.
func (d *Driver) Attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	at, err := d.attach(ctx, id, o)
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	return *at, nil
}

func (d *Driver) attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (*storage.File, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if p.subvol() {
		return d.attachSubvol(r, p, o)
	}
	chain, err := d.openChain(r, p, false)
	if err != nil {
		return nil, err
	}
	defer closeAll(chain)
	var at *storage.File
	for i := len(chain) - 1; i >= 0; i-- {
		c := chain[i]
		shared := !c.image() || c.Base || i > 0
		if shared {
			err = readable(c)
		} else {
			err = own(c, o.UID)
		}
		if err == nil && c.image() {
			err = d.passable(r, c.folder)
		}
		if err != nil {
			return nil, err
		}
		at = &storage.File{Path: path.Join(d.path, c.rel()), Format: storage.Format(c.Format), ReadOnly: shared || o.ReadOnly, Backing: at}
		if !c.image() {
			at.Format = storage.Raw
		}
	}
	return at, nil
}

// Detach implements storage.Driver: the image belongs to the caller again.
func (d *Driver) Detach(ctx context.Context, id storage.VolumeID) error {
	err := d.detach(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return d.fail("detach", id, err)
}

func (d *Driver) detach(ctx context.Context, id storage.VolumeID) error {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return err
	}
	defer r.close()
	if p.Content != volid.Images || p.Base || p.subvol() {
		return nil
	}
	o, err := d.openVolume(r, p, false)
	if err != nil {
		return err
	}
	defer o.close()
	return own(o, os.Geteuid())
}

// own gives an image to a uid and takes every right from all others but the caller's group.
func own(o *opened, uid int) error {
	if uid == 0 {
		uid = os.Geteuid()
	}
	if o.stat.uid != uid {
		if err := o.file.Chown(uid, -1); err != nil {
			return err
		}
	}
	return setMode(o, imageMode)
}

// readable lets every uid read what is shared. Base images lose their last right to be written.
func readable(o *opened) error {
	if o.image() && o.Base {
		return setMode(o, baseMode)
	}
	return setMode(o, o.stat.perm|0o444)
}

func setMode(o *opened, mode uint32) error {
	if o.stat.perm == mode {
		return nil
	}
	err := o.file.Chmod(os.FileMode(mode))
	if errors.Is(err, os.ErrPermission) && o.stat.perm&mode == mode { // immutable, or somebody else's, but as readable as asked
		return nil
	}
	return err
}

// passable lets other uids pass through the folder of a guest and that of all images, without seeing what is in them.
func (d *Driver) passable(r *root, folder string) error {
	for _, rel := range []string{folder, path.Dir(folder)} {
		f, err := r.folder(rel)
		if err != nil {
			return err
		}
		st, err := fstat(f)
		if err == nil && st.perm&0o111 != 0o111 {
			err = f.Chmod(os.FileMode(st.perm | 0o111))
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("folder of images: %w", err)
		}
	}
	return nil
}
