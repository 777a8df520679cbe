package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// loopDisks is a storage of block devices: each volume is a file that is a loop device while it is attached. Nothing lies
// where the names of its type, lvmthin, say, so that only what Attach answers leads to a volume.
type loopDisks struct{ folder string }

func loopBackend(folder string) storage.Backend {
	return storage.Backend{Type: "lvmthin", Open: func(storage.Config) (storage.Driver, error) {
		return loopDisks{folder}, os.MkdirAll(folder, 0o700)
	}}
}

func (l loopDisks) file(id storage.VolumeID) string { return filepath.Join(l.folder, string(id)) }

// device is the loop device of a volume, empty if it is not attached.
func (l loopDisks) device(id storage.VolumeID) string {
	out, _ := exec.Command("losetup", "--associated", l.file(id), "--output", "NAME", "--noheadings").Output()
	return strings.TrimSpace(string(out))
}

func classOf(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return storage.ErrNotFound
	case errors.Is(err, fs.ErrExist):
		return storage.ErrExists
	}
	return err
}

func (l loopDisks) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	if _, err := volid.Parse("lvmthin", string(spec.ID)); err != nil {
		return storage.Volume{}, storage.ErrBadID
	}
	f, err := os.OpenFile(l.file(spec.ID), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return storage.Volume{}, classOf(err)
	}
	const extent = 4 << 20
	if err := errors.Join(f.Truncate((spec.SizeBytes+extent-1)/extent*extent), f.Close()); err != nil {
		return storage.Volume{}, err
	}
	return l.Stat(ctx, spec.ID)
}

func (l loopDisks) Stat(_ context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := volid.Parse("lvmthin", string(id))
	if err != nil {
		return storage.Volume{}, storage.ErrBadID
	}
	fi, err := os.Stat(l.file(id))
	if err != nil {
		return storage.Volume{}, classOf(err)
	}
	features := storage.FeatureCopy | storage.FeatureResize | storage.FeatureRename | storage.FeatureSparseInit
	return storage.Volume{ID: id, Content: storage.Images, Format: storage.Raw, Owner: v.VMID, SizeBytes: fi.Size(), Created: fi.ModTime(), Features: features}, nil
}

func (l loopDisks) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		entries, err := os.ReadDir(l.folder)
		if err != nil {
			yield(storage.Volume{}, err)
			return
		}
		for _, e := range entries {
			v, err := l.Stat(ctx, storage.VolumeID(e.Name()))
			if err == nil && f.Match(&v) && !yield(v, nil) {
				return
			}
		}
	}
}

func (l loopDisks) Attach(_ context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	if _, err := os.Stat(l.file(id)); err != nil {
		return nil, classOf(err)
	}
	dev := l.device(id)
	if dev == "" {
		out, err := exec.Command("losetup", "--find", "--show", l.file(id)).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("losetup: %w: %s", err, out)
		}
		dev = strings.TrimSpace(string(out))
	}
	return storage.Block{Path: dev, Format: storage.Raw, ReadOnly: o.ReadOnly}, os.Chown(dev, o.UID, -1)
}

func (l loopDisks) Detach(_ context.Context, id storage.VolumeID) error {
	dev := l.device(id)
	if dev == "" {
		return nil
	}
	return errors.Join(os.Chown(dev, 0, -1), exec.Command("losetup", "--detach", dev).Run())
}

func (l loopDisks) Delete(_ context.Context, id storage.VolumeID) error {
	if l.device(id) != "" {
		return storage.ErrInUse
	}
	return classOf(os.Remove(l.file(id)))
}

func (l loopDisks) Usage(context.Context) (storage.Usage, error) {
	return storage.Usage{TotalBytes: 1 << 30, AvailBytes: 1 << 30}, nil
}

func (l loopDisks) Open(_ context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(l.file(id), flags, 0)
	if err != nil {
		return nil, classOf(err)
	}
	return &storage.Image{File: f, Format: storage.Raw}, nil
}

func (l loopDisks) Resize(ctx context.Context, id storage.VolumeID, size int64) (storage.Volume, error) {
	if err := os.Truncate(l.file(id), size); err != nil {
		return storage.Volume{}, classOf(err)
	}
	if dev := l.device(id); dev != "" {
		if err := exec.Command("losetup", "--set-capacity", dev).Run(); err != nil {
			return storage.Volume{}, err
		}
	}
	return l.Stat(ctx, id)
}

func (l loopDisks) Rename(ctx context.Context, id, to storage.VolumeID) (storage.Volume, error) {
	if l.device(id) != "" {
		return storage.Volume{}, storage.ErrInUse
	}
	if _, err := os.Stat(l.file(to)); err == nil {
		return storage.Volume{}, storage.ErrExists
	}
	if err := os.Rename(l.file(id), l.file(to)); err != nil {
		return storage.Volume{}, classOf(err)
	}
	return l.Stat(ctx, to)
}
