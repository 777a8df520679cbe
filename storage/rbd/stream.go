package rbd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/rawstream"
)

// StreamFormats implements storage.Streamer: the bytes of the current state or of a snapshot.
func (d *Driver) StreamFormats(ctx context.Context, id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	if _, _, err := d.find(ctx, id); err != nil {
		return nil, d.fail("export", id, err)
	}
	return rawstream.Formats(o), nil
}

// Export implements storage.Streamer.
func (d *Driver) Export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	return d.fail("export", id, d.export(ctx, w, id, format, o))
}

func (d *Driver) export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	if err := rawstream.Check(format, o); err != nil {
		return err
	}
	v, i, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if o.Snapshot != "" {
		if i, err = d.tool.info(ctx, v.Name, o.Snapshot); err != nil {
			return err
		}
	} else if err := d.tool.notOpen(ctx, v.Name); err != nil {
		return err
	}
	if err := rawstream.WriteSize(w, i.Size); err != nil {
		return err
	}
	args := append([]string{"export", "--no-progress", "--export-format", "1"}, d.tool.image(v.Name, o.Snapshot)...)
	_, err = d.tool.rbd(ctx, call{args: append(args, "--path", "-"), out: w})
	return err
}

// ImportFormats implements storage.Streamer.
func (d *Driver) ImportFormats(id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	if _, err := d.parse(id); err != nil {
		return nil, d.fail("import", id, err)
	}
	return rawstream.Formats(storage.StreamOptions{Base: o.Base, Snapshots: o.Snapshots}), nil
}

// Import implements storage.Streamer.
func (d *Driver) Import(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	v, err := d.importStream(ctx, r, id, format, o)
	return v, d.fail("import", id, err)
}

func (d *Driver) importStream(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	if err := rawstream.Check(format, storage.StreamOptions{Base: o.Base, Snapshots: o.Snapshots}); err != nil {
		return storage.Volume{}, err
	}
	v, err := d.newVolume(storage.VolumeSpec{ID: id})
	if err != nil {
		return storage.Volume{}, err
	}
	size, err := rawstream.ReadSize(r, 1, maxBytes)
	if err != nil {
		return storage.Volume{}, err
	}
	if size%granule != 0 {
		return storage.Volume{}, fmt.Errorf("stream of %d bytes, no multiple of 1 MiB: %w", size, storage.ErrUnsafe)
	}
	if err := d.vacant(ctx, v.Name); err != nil {
		return storage.Volume{}, err
	}
	return d.publish(ctx, v, func(temp string) error {
		body := &exactly{r: r, left: size}
		args := []string{"import", "--no-progress", "--export-format", "1", "--path", "-"}
		args = append(append(args, d.tool.dest(temp)...), d.dataPool()...)
		if _, err := d.tool.rbd(ctx, call{args: args, in: body}); err != nil {
			return errors.Join(err, body.err)
		}
		return body.end()
	})
}

// exactly reads left bytes: fewer is an error that the reader's user must ask for.
type exactly struct {
	r    io.Reader
	left int64
	err  error
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err != nil && err != io.EOF {
		e.err = err
	}
	return n, err
}

// end reports whether all came, and nothing more.
func (e *exactly) end() error {
	if e.err != nil {
		return e.err
	}
	if e.left > 0 {
		return fmt.Errorf("stream ends %d bytes early: %w", e.left, io.ErrUnexpectedEOF)
	}
	return rawstream.End(e.r)
}
