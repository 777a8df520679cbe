package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/rawstream"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// streamFormat is the form in which a volume leaves or comes, empty if there is none. Images travel as raw bytes, with their
// internal snapshots in their own format; backups do not travel.
func (d *Driver) streamFormat(p place, o storage.StreamOptions) storage.StreamFormat {
	switch {
	case p.Content == volid.Backup, o.Base != "", p.Format == string(storage.Subvol):
	case !o.Snapshots:
		return storage.StreamRaw
	case p.image() && p.Format == string(storage.QCOW2) && !d.opt.VolumeChain:
		return storage.StreamQCOW2
	case p.image() && p.Format == string(storage.VMDK):
		return storage.StreamVMDK
	}
	return ""
}

// StreamFormats implements storage.Streamer. The state at one snapshot is no form of its own: open it by OpenSnapshot.
func (d *Driver) StreamFormats(ctx context.Context, id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return nil, d.fail("export", id, err)
	}
	defer r.close()
	format := d.exportFormat(p, o)
	if format == "" {
		return nil, nil
	}
	v, err := d.openVolume(r, p, false)
	if err != nil {
		return nil, d.fail("export", id, err)
	}
	defer v.close()
	if format != storage.StreamRaw && v.header.BackingFile != "" { // it would arrive without what backs it
		return nil, nil
	}
	return []storage.StreamFormat{format}, nil
}

func (d *Driver) exportFormat(p place, o storage.StreamOptions) storage.StreamFormat {
	if o.Snapshot != "" {
		return ""
	}
	return d.streamFormat(p, o)
}

// ImportFormats implements storage.Streamer.
func (d *Driver) ImportFormats(id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	p, err := d.locate(id)
	if err != nil {
		return nil, d.fail("import", id, err)
	}
	if format := d.streamFormat(p, o); format != "" && !p.Linked() {
		return []storage.StreamFormat{format}, nil
	}
	return nil, nil
}

// Export implements storage.Streamer. An image that is not raw becomes raw in a hidden file first, which takes its space as
// long as the call lasts. An image that a guest may write to is ErrInUse.
func (d *Driver) Export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	return d.fail("export", id, d.export(ctx, w, id, format, o))
}

func (d *Driver) export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return err
	}
	defer r.close()
	if format == "" || format != d.exportFormat(p, o) {
		return fmt.Errorf("export as %q: %w", format, errors.ErrUnsupported)
	}
	chain, err := d.openChain(r, p, false)
	if err != nil {
		return err
	}
	defer closeAll(chain)
	v := chain[0]
	if !p.image() {
		return sendSized(ctx, w, v.file, v.stat.size, v.stat.size)
	}
	if err := unwritten(v); err != nil {
		return err
	}
	switch {
	case format == storage.StreamRaw && v.Format == string(storage.Raw):
		return sendSized(ctx, w, v.file, v.stat.size, v.stat.size)
	case format == storage.StreamRaw:
		return d.exportConverted(ctx, r, w, p, image(chain), v.header.VirtualBytes)
	case len(chain) > 1:
		return fmt.Errorf("export a linked clone as %q: %w", format, errors.ErrUnsupported)
	}
	return sendSized(ctx, w, v.file, v.header.VirtualBytes, v.stat.size)
}

func (d *Driver) exportConverted(ctx context.Context, r *root, w io.Writer, p place, img *storage.Image, size int64) (err error) {
	f, rel, err := d.newTemp(r, p, imageMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), r.remove(rel)) }()
	if err := f.Truncate(size); err != nil {
		return classify("truncate", rel, err)
	}
	if err := d.tool.Convert(ctx, &storage.Image{File: f, Format: storage.Raw}, img, qimg.CopyOptions{TargetIsZero: true}); err != nil {
		return err
	}
	return sendSized(ctx, w, f, size, size)
}

// sendSized writes a size, then the first n bytes of f.
func sendSized(ctx context.Context, w io.Writer, f *os.File, size, n int64) error {
	if err := rawstream.WriteSize(w, size); err != nil {
		return err
	}
	return rawstream.Send(ctx, w, f, n) // of a file that became shorter meanwhile: an error
}

// streamChunk is how much passes between two looks at ctx.
const streamChunk = 1 << 20

// onlyWriter hides ReadFrom, which would not look at ctx.
type onlyWriter struct{ io.Writer }

// contextReader ends with its ctx.
type contextReader struct {
	ctx context.Context // of the one call that reads
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// Import implements storage.Streamer. Images that come in their own format are checked like every image from outside.
func (d *Driver) Import(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	v, err := d.importStream(ctx, r, id, format, o)
	return v, d.fail("import", id, fullDisk(err))
}

func (d *Driver) importStream(ctx context.Context, in io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	p, r, err := d.enter(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	defer r.close()
	if format == "" || format != d.streamFormat(p, o) || p.Linked() {
		return storage.Volume{}, fmt.Errorf("import from %q: %w", format, errors.ErrUnsupported)
	}
	if err := d.free(r, p); err != nil {
		return storage.Volume{}, err
	}
	in = &contextReader{ctx, in}
	least := int64(0)
	if p.image() {
		least = 1
	}
	size, err := rawstream.ReadSize(in, least, qimg.MaxVirtualBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	return d.publish(ctx, r, p, func(f *os.File) error {
		switch {
		case format != storage.StreamRaw:
			return d.receiveImage(ctx, f, in, storage.Format(p.Format), size)
		case p.image() && p.Format != string(storage.Raw):
			return d.receiveConverted(ctx, r, p, f, in, size)
		}
		return receiveRaw(ctx, f, in, size, p.image())
	})
}

// receiveRaw writes exactly n bytes into an empty file and leaves zeros out. Images are rounded up as in Create.
func receiveRaw(ctx context.Context, f *os.File, in io.Reader, n int64, image bool) error {
	if err := rawstream.Receive(ctx, f, in, n); err != nil {
		return err
	}
	length := n
	if image {
		var err error
		if length, err = roundUp(n); err != nil {
			return err
		}
	}
	return f.Truncate(length)
}

// receiveConverted takes raw bytes for an image of another format.
func (d *Driver) receiveConverted(ctx context.Context, r *root, p place, dst *os.File, in io.Reader, n int64) (err error) {
	f, rel, err := d.newTemp(r, p, imageMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), r.remove(rel)) }()
	if err := receiveRaw(ctx, f, in, n, true); err != nil {
		return err
	}
	size, err := roundUp(n)
	if err != nil {
		return err
	}
	format := storage.Format(p.Format)
	if err := d.format(ctx, dst, format, size); err != nil {
		return err
	}
	return d.tool.Convert(ctx, &storage.Image{File: dst, Format: format}, &storage.Image{File: f, Format: storage.Raw}, qimg.CopyOptions{})
}

// receiveImage takes an image file as it is.
func (d *Driver) receiveImage(ctx context.Context, f *os.File, in io.Reader, format storage.Format, size int64) error {
	if _, err := io.CopyBuffer(onlyWriter{f}, in, make([]byte, streamChunk)); err != nil {
		return err
	}
	h, err := d.tool.Inspect(ctx, f, format)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrUnsafe, err)
	}
	if h.VirtualBytes != size {
		return fmt.Errorf("image of %d bytes announced as %d: %w", h.VirtualBytes, size, storage.ErrUnsafe)
	}
	return d.tool.Check(ctx, &storage.Image{File: f, Format: format})
}
