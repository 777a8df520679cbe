package volume

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// CopyOptions say how Copy and Import copy. The zero value copies the current state at full speed.
type CopyOptions struct {
	SourceSnapshot string // copy this snapshot instead of the current state
	BWLimit        int64  // bytes per second, 0 is no limit
	SizeBytes      int64  // of the new volume if that is more than the source's
	// SourceFormat is the format of a path given to Import: raw, qcow2 or vmdk; empty: by its ending, else raw or what the header says.
	SourceFormat string
	// Progress is called from one goroutine at a time.
	Progress func(done, total int64)
}

// Copy makes dst a full copy of src, on any two storages, by the best way that the pair has: one of the backend's own (a
// reflink, zfs send, rbd cp), else qemu-img on the open volumes, else a stream. dst appears when it is complete where its
// storage can do that; after an error it is not there. storage.ErrExists if it was.
func (s *Service) Copy(ctx context.Context, src, dst string, o CopyOptions) error {
	from, err := s.open(ctx, src)
	if err != nil {
		return err
	}
	if from.name.Content == volid.Import {
		return s.Import(ctx, src, dst, o)
	}
	to, err := s.open(ctx, dst)
	if err != nil {
		return err
	}
	v, err := from.driver.Stat(ctx, from.id)
	if err != nil {
		return from.explain(err, "volume '"+src+"' cannot be copied")
	}
	spec := storage.VolumeSpec{ID: to.id, SizeBytes: max(v.SizeBytes, o.SizeBytes)}
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = s.copyNatively(ctx, from, to, spec, o)
	if !errors.Is(err, errors.ErrUnsupported) {
		s.created(to, err)
		return to.explain(busySource(src, err), "copy to '"+dst+"' is not supported")
	}
	img, err := from.openAt(ctx, o.SourceSnapshot)
	if errors.Is(err, errors.ErrUnsupported) && o.SourceSnapshot == "" {
		return s.copyStream(ctx, from, to, o)
	}
	if err != nil {
		return err
	}
	defer img.Close()
	return s.fill(ctx, src, to, img, spec.SizeBytes, qimg.CopyOptions{}, o)
}

// turn waits until a copy may begin: more of them at once make each slower.
func (s *Service) turn(ctx context.Context) (done func(), err error) {
	select {
	case s.copies <- struct{}{}:
		return func() { <-s.copies }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// copyNatively lets the target's driver copy. errors.ErrUnsupported, with nothing made, if it has no way of its own.
func (s *Service) copyNatively(ctx context.Context, from, to *target, spec storage.VolumeSpec, o CopyOptions) error {
	c, ok := storage.As[storage.Copier](to.driver)
	if !ok {
		return errors.ErrUnsupported
	}
	_, err := c.CopyFrom(ctx, spec, from.driver, from.id, storage.CopyOptions{
		Snapshot: o.SourceSnapshot, BytesPerSecond: o.BWLimit, Progress: o.Progress,
	})
	return err
}

// busySource gives the user's words to a copy of what a guest has open.
func busySource(src string, err error) error {
	if errors.Is(err, storage.ErrInUse) {
		return public(err, "volume '%s' is in use: the disk of a running guest can only be copied by its QEMU", src)
	}
	return err
}

// openImage opens a volume to read its bytes.
func (t *target) openImage(ctx context.Context) (*storage.Image, error) {
	o, ok := storage.As[storage.Opener](t.driver)
	if !ok {
		return nil, t.noStream()
	}
	img, err := o.Open(ctx, t.id, false)
	return img, t.explain(err, "volume '"+t.text+"' cannot be read")
}

// openAt opens a volume to read what it was at a snapshot, or is now if none is named.
func (t *target) openAt(ctx context.Context, snapshot string) (*storage.Image, error) {
	if snapshot == "" {
		return t.openImage(ctx)
	}
	if o, ok := storage.As[storage.SnapshotOpener](t.driver); ok {
		img, err := o.OpenSnapshot(ctx, t.id, snapshot)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, public(err, "snapshot '%s' does not exist on '%s'", snapshot, t.text)
		}
		return img, t.explain(err, "snapshot '"+snapshot+"' of volume '"+t.text+"' cannot be read")
	}
	img, err := t.openImage(ctx)
	if err != nil {
		return nil, err
	}
	if img.Format != storage.QCOW2 {
		img.Close()
		return nil, public(errors.ErrUnsupported, "snapshot '%s' of volume '%s' cannot be read", snapshot, t.text)
	}
	img.Snapshot = snapshot
	return img, nil
}

// Import makes dst from an image that came from outside: an import volume, or an absolute path on this node, which only root
// may name (CheckAccess). The image must stand alone; a disk of another guest is copied as such.
func (s *Service) Import(ctx context.Context, src, dst string, o CopyOptions) error {
	img, name, err := s.openForeign(ctx, src, o.SourceFormat)
	if err != nil {
		return err
	}
	if img == nil {
		return s.Copy(ctx, src, dst, o)
	}
	defer img.Close()
	h, err := s.tool.Inspect(ctx, img.File, img.Format)
	if err != nil {
		if text := untrusted(err, name); text != "" {
			return public(err, "cannot import from '%s' - %s", src, text)
		}
		return public(err, "cannot import from '%s' - not a valid %s image", src, img.Format)
	}
	size := h.VirtualBytes
	if size == 0 { // a block device has no length of its own
		if size, err = img.File.Seek(0, 2); err != nil || size == 0 {
			return public(err, "could not get size of %s", src)
		}
	}
	to, err := s.open(ctx, dst)
	if err != nil {
		return err
	}
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.fill(ctx, src, to, img, size, qimg.CopyOptions{Untrusted: true}, o)
}

// openForeign opens what Import reads; nil for a guest's own image.
func (s *Service) openForeign(ctx context.Context, src, format string) (*storage.Image, string, error) {
	if path.IsAbs(src) {
		f, err := openPath(src)
		if err != nil {
			return nil, "", public(err, "cannot import from '%s' - not a readable file or block device", src)
		}
		img := &storage.Image{File: f, Format: sourceFormat(src, format, f)}
		return img, path.Base(src), nil
	}
	t, err := s.open(ctx, src)
	if err != nil {
		return nil, "", err
	}
	switch t.name.Content {
	case volid.Images:
		return nil, "", nil
	case volid.Import:
	default:
		return nil, "", call.Param("import-from", "%s has wrong type '%s' - needs to be 'images' or 'import'", src, t.name.Content)
	}
	switch t.name.Format {
	case "raw", "qcow2", "vmdk":
	case "ova+raw", "ova+qcow2", "ova+vmdk":
		img, err := s.extract(ctx, t)
		return img, path.Base(string(t.id)), err
	default:
		return nil, "", call.Errorf("cannot import from '%s' - format '%s' is not supported", src, t.name.Format)
	}
	img, err := t.openImage(ctx)
	if err != nil {
		return nil, "", err
	}
	img.Format = storage.Format(t.name.Format)
	return img, t.name.Name, nil
}

// openPath opens a file or block device that root named. Anything else does not open, and a FIFO does not block.
func openPath(name string) (*os.File, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	block := fi.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice
	if !fi.Mode().IsRegular() && !block {
		return nil, storage.ErrUnsafe
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(fi, now) {
		f.Close()
		return nil, errors.Join(storage.ErrUnsafe, err)
	}
	return f, nil
}

// sourceFormat is the format of a path: as given, by its ending, or what its header says. The header alone decides nothing
// else: an image that says more about itself is refused.
func sourceFormat(name, given string, f *os.File) storage.Format {
	if given != "" {
		return storage.Format(given)
	}
	switch ext := storage.Format(strings.TrimPrefix(path.Ext(name), ".")); ext {
	case storage.Raw, storage.QCOW2, storage.VMDK:
		return ext
	}
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
		if h, err := qimg.Probe(f, fi.Size()); err == nil {
			return h.Format
		}
	}
	return storage.Raw
}

// fill creates a volume with the content of img, which was opened as src.
func (s *Service) fill(ctx context.Context, src string, t *target, img *storage.Image, size int64, q qimg.CopyOptions, o CopyOptions) error {
	spec := storage.VolumeSpec{ID: t.id, SizeBytes: max(size, o.SizeBytes)}
	q.BytesPerSecond, q.Progress = o.BWLimit, o.Progress
	copyInto := func(ctx context.Context, to *storage.Image) error {
		return busySource(src, s.tool.Copy(ctx, to, img, q))
	}
	var err error
	if f, ok := storage.As[storage.Filler](t.driver); ok {
		q.TargetIsZero = t.startsZero()
		_, err = f.CreateFilled(ctx, spec, copyInto)
	} else {
		err = s.createThenFill(ctx, t, spec, copyInto)
	}
	s.created(t, err)
	return t.explain(err, "copy to '"+t.text+"' is not supported")
}

// startsZero reports whether a new volume reads as zeros, so that a copy may leave them out: a fresh file, a sparse volume.
// What an old volume left on the disk shows through a new one of plain LVM.
func (t *target) startsZero() bool { return t.Type != "lvm" || t.name.Format == "qcow2" }

// createThenFill is for backends whose volumes cannot be hidden while they are written. The caller's journal knows the name.
func (s *Service) createThenFill(ctx context.Context, t *target, spec storage.VolumeSpec, copyInto func(context.Context, *storage.Image) error) error {
	o, ok := storage.As[storage.Opener](t.driver)
	if !ok {
		return errors.ErrUnsupported
	}
	v, err := t.driver.Create(ctx, spec)
	if err != nil {
		return err
	}
	err = func() error {
		to, err := o.Open(ctx, v.ID, true)
		if err != nil {
			return err
		}
		defer to.Close()
		return copyInto(ctx, to)
	}()
	if err != nil {
		err = errors.Join(err, t.driver.Delete(context.WithoutCancel(ctx), v.ID))
	}
	return err
}
