package dir

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// errStop ends a walk because the caller of List has seen enough.
var errStop = errors.New("stop")

// List implements storage.Driver. Links, devices, folders and names that are no volume are passed over. The headers of
// qcow2 and VMDK images are read directly, without a process for each.
func (d *Driver) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		r, err := openRoot(d.path)
		if err == nil {
			defer r.close()
			err = d.walk(ctx, r, f, func(v storage.Volume) error {
				if f.Match(&v) && !yield(v, nil) {
					return errStop
				}
				return nil
			})
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(storage.Volume{}, d.fail("list", "", err))
		}
	}
}

func (d *Driver) walk(ctx context.Context, r *root, f storage.Filter, emit func(storage.Volume) error) error {
	for _, c := range contents {
		if f.Content != "" && f.Content != c {
			continue
		}
		if c == storage.Images {
			owners, err := d.ownerFolders(ctx, r, f.Owner)
			if err != nil {
				return err
			}
			if err := d.walkOwners(ctx, r, owners, emit); err != nil {
				return err
			}
		} else if err := d.walkFolder(ctx, r, d.folder(c), string(c)+"/", emit); err != nil {
			return err
		}
	}
	return nil
}

// ownerFolders returns the names of the folders of guests, all or that of one owner.
func (d *Driver) ownerFolders(ctx context.Context, r *root, owner int) ([]string, error) {
	if owner != 0 {
		return []string{strconv.Itoa(owner)}, nil
	}
	var names []string
	err := d.eachEntry(ctx, r, d.folder(storage.Images), func(_ *os.File, e os.DirEntry) (bool, error) {
		if n := e.Name(); e.IsDir() && len(n) >= 2 && strings.Trim(n, "0123456789") == "" {
			names = append(names, n)
		}
		return true, nil
	})
	return names, err
}

// eachEntry calls fn for the entries of a folder while it returns true. A folder that is not there is empty.
func (d *Driver) eachEntry(ctx context.Context, r *root, folder string, fn func(at *os.File, e os.DirEntry) (bool, error)) error {
	at, err := r.folder(folder)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer at.Close()
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		entries, err := at.ReadDir(1024)
		for _, e := range entries {
			if more, err := fn(at, e); !more || err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, os.ErrNotExist) { // the end, or the folder was removed as empty
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// walkFolder emits the volumes of one folder; prefix makes a file name a volume id.
func (d *Driver) walkFolder(ctx context.Context, r *root, folder, prefix string, emit func(storage.Volume) error) error {
	return d.eachEntry(ctx, r, folder, func(at *os.File, e os.DirEntry) (bool, error) {
		if isTemp(e.Name()) {
			return true, nil
		}
		p, err := d.locate(storage.VolumeID(prefix + e.Name()))
		if err != nil || p.folder != folder {
			return true, nil
		}
		v, ok := d.look(r, at, p)
		if !ok {
			return true, nil
		}
		err = emit(v)
		return err == nil, err
	})
}

// look describes one entry of an open folder; false for what is no volume or has just gone.
func (d *Driver) look(r *root, at *os.File, p place) (storage.Volume, bool) {
	st, err := statIn(at, p.file)
	if err != nil {
		return storage.Volume{}, false
	}
	o := &opened{place: p, stat: st, valid: true}
	switch {
	case p.Format == string(storage.Subvol):
		if st.kind != kindFolder {
			return storage.Volume{}, false
		}
		return d.describeSubvol(o), true
	case st.kind != kindFile:
		return storage.Volume{}, false
	case !p.image():
		v := d.describe(o)
		if p.Content == volid.Backup {
			d.annotations(r, p, &v, false)
		}
		return v, true
	case p.Format == string(storage.Raw) && st.links == 1:
		o.header = qimg.Header{Format: storage.Raw, VirtualBytes: st.size}
		return d.describe(o), true
	}
	if o.file, o.stat, err = openIn(at, p.file); err != nil {
		return storage.Volume{}, false
	}
	defer o.close()
	if o.readHeader() != nil {
		return storage.Volume{}, false
	}
	return d.describe(o), true
}
