package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
)

// StreamFormats implements storage.Streamer: ZFS's own streams, and raw bytes for one state of a zvol.
func (d *Driver) StreamFormats(ctx context.Context, id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	v, _, err := d.find(ctx, id)
	if err != nil {
		return nil, d.fail("export", id, err)
	}
	return formats(v, o), nil
}

// ImportFormats implements storage.Streamer.
func (d *Driver) ImportFormats(id storage.VolumeID, o storage.StreamOptions) ([]storage.StreamFormat, error) {
	v, err := d.parse(id)
	if err != nil {
		return nil, d.fail("import", id, err)
	}
	return formats(v, o), nil
}

func formats(v volume, o storage.StreamOptions) []storage.StreamFormat {
	if v.subvol() || o.Base != "" || o.Snapshots {
		return []storage.StreamFormat{storage.StreamZFS}
	}
	return []storage.StreamFormat{storage.StreamZFS, storage.StreamRaw}
}

// checkStream looks at the names of snapshots in options.
func checkStream(o storage.StreamOptions) error {
	for _, name := range []string{o.Snapshot, o.Base} {
		if name != "" && !snapshotName.MatchString(name) && !streamName.MatchString(name) {
			return fmt.Errorf("snapshot name %.100q: %w", name, storage.ErrBadID)
		}
	}
	return nil
}

// Export implements storage.Streamer. The current state is sent as a snapshot that the stream's receiver must remove, as Import
// does; where another program receives, name a snapshot.
func (d *Driver) Export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	return d.fail("export", id, d.export(ctx, w, id, format, o))
}

func (d *Driver) export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	v, s, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if err := checkStream(o); err != nil {
		return err
	}
	if !slices.Contains(formats(v, o), format) {
		return fmt.Errorf("a stream of form %q: %w", format, errors.ErrUnsupported)
	}
	all, err := d.snapshots(ctx, s.name)
	if err != nil {
		return err
	}
	for _, name := range []string{o.Snapshot, o.Base} {
		if name == "" {
			continue
		}
		if _, err := newer(all, name); err != nil {
			return err
		}
	}
	return d.withSnapshot(ctx, s.name, o.Snapshot, func(snap string) error {
		if format == storage.StreamRaw {
			return d.exportRaw(ctx, w, v, s.name+"@"+snap)
		}
		out := &checkedWriter{w: w}
		_, err := d.tool.do(ctx, command{program: d.tool.zfs, args: sendArgs(v, s.name+"@"+snap, o), stdout: out})
		if out.err != nil {
			return out.err
		}
		return err
	})
}

// sendArgs is what Proxmox VE's receivers understand: a whole volume with its older snapshots is a replication stream, and the
// quota of a subvol is a property in the stream.
func sendArgs(v volume, snap string, o storage.StreamOptions) []string {
	args := []string{"send"}
	switch {
	case o.Base != "" && o.Snapshots:
		args = append(args, "-I", "@"+o.Base)
	case o.Base != "":
		args = append(args, "-i", "@"+o.Base)
	case o.Snapshots:
		args = append(args, "-R")
	}
	if v.subvol() && !o.Snapshots {
		args = append(args, "-p")
	}
	return append(args, snap)
}

// checkedWriter keeps the error of its writer, which would otherwise only be a broken pipe.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// checkedReader keeps the error of its reader, which a command only sees as an early end.
type checkedReader struct {
	r   io.Reader
	err error
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && c.err == nil {
		c.err = err
	}
	return n, err
}

// Import implements storage.Streamer. What a stream of ZFS says about properties is not believed, but for the quota of a subvol.
func (d *Driver) Import(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	v, err := d.importStream(ctx, r, id, format, o)
	return v, d.fail("import", id, err)
}

func (d *Driver) importStream(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	v, err := d.parse(id)
	if err != nil {
		return storage.Volume{}, err
	}
	if err := checkStream(o); err != nil {
		return storage.Volume{}, err
	}
	switch {
	case !slices.Contains(formats(v, o), format):
		return storage.Volume{}, fmt.Errorf("a stream of form %q: %w", format, errors.ErrUnsupported)
	case o.Base != "":
		return d.importChanges(ctx, r, id, o)
	case v.Linked():
		return storage.Volume{}, fmt.Errorf("id of a linked clone: %w", storage.ErrBadID)
	case format == storage.StreamRaw:
		return d.importRaw(ctx, r, v)
	}
	return d.publish(ctx, v, func(temp string) error {
		if err := d.receive(ctx, r, temp, v.subvol()); err != nil {
			return err
		}
		if err := d.inspect(ctx, temp, v.subvol(), o); err != nil {
			return err
		}
		s, err := d.get(ctx, temp)
		if err != nil {
			return err
		}
		if _, err := roundUp(s.size, v.subvol()); err != nil {
			return fmt.Errorf("%w: %w", storage.ErrUnsafe, err)
		}
		return d.finish(ctx, temp, v.subvol(), s.size)
	})
}

// unwelcome are properties that a stream may carry and that reach beyond its data: what it takes from others, what shows of it;
// for file systems also where they are mounted and how, and whom they are shared with. See zfsprops(7). The lists differ, because
// zfs refuses to leave out what the kind of dataset cannot have.
var (
	unwelcome       = []string{"readonly", "reservation", "refreservation", "volmode", "snapdev", "copies", "dedup", "encryption"}
	unwelcomeSubvol = []string{"mountpoint", "canmount", "overlay", "sharenfs", "sharesmb", "quota", "setuid", "devices", "exec"}
)

// receive receives a stream into a dataset: a new one, or one that has what the stream is based on.
func (d *Driver) receive(ctx context.Context, r io.Reader, name string, subvol bool) error {
	args := []string{"recv", "-u"}
	for _, p := range unwelcome {
		args = append(args, "-x", p)
	}
	if subvol {
		for _, p := range unwelcomeSubvol {
			args = append(args, "-x", p)
		}
		args = append(args, subvolProperties...)
	}
	in := &checkedReader{r: r}
	_, err := d.tool.do(ctx, command{program: d.tool.zfs, args: append(args, name), stdin: in})
	if in.err != nil {
		return errors.Join(in.err, err)
	}
	return err
}

// inspect looks at what a stream made: one dataset of the kind that was asked for, with the snapshots that it should have.
// Others are removed.
func (d *Driver) inspect(ctx context.Context, name string, subvol bool, o storage.StreamOptions) error {
	out, err := d.tool.run(ctx, "list", "-H", "-r", "-t", "filesystem,volume,snapshot", "-o", "name,type", name)
	if err != nil {
		return err
	}
	var surplus []string
	found := o.Snapshot == ""
	err = rows(out, func(line string) error {
		whole, kind, _ := strings.Cut(line, "\t")
		of, snap, isSnapshot := strings.Cut(whole, "@")
		switch {
		case of != name:
			return fmt.Errorf("the stream holds more than one dataset: %w", storage.ErrUnsafe)
		case !isSnapshot && (kind == "filesystem") != subvol:
			return fmt.Errorf("the stream holds a %s: %w", kind, storage.ErrUnsafe)
		case !isSnapshot:
			return nil
		case snap == o.Snapshot:
			found = true
		case maker.Is(snap) || !o.Snapshots:
			surplus = append(surplus, whole)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the stream holds no snapshot %s: %w", o.Snapshot, storage.ErrUnsafe)
	}
	for _, snap := range surplus {
		if _, err := d.tool.run(ctx, "destroy", snap); err != nil {
			return err
		}
	}
	return nil
}

// importChanges adds what changed since a snapshot, which must be the newest. What was written since is dropped. If the stream
// is not whole, the volume is what it was at that snapshot.
func (d *Driver) importChanges(ctx context.Context, r io.Reader, id storage.VolumeID, o storage.StreamOptions) (storage.Volume, error) {
	v, s, err := d.find(ctx, id)
	if err != nil {
		return storage.Volume{}, err
	}
	if v.Base {
		return storage.Volume{}, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	}
	all, err := d.snapshots(ctx, s.name)
	if err != nil {
		return storage.Volume{}, err
	}
	later, err := newer(all, o.Base)
	if err != nil {
		return storage.Volume{}, err
	}
	if err := errors.Join(inTheWay(later), d.idle(v, s)); err != nil {
		return storage.Volume{}, err
	}
	base := s.name + "@" + o.Base
	if err := d.back(ctx, v, base); err != nil {
		return storage.Volume{}, err
	}
	err = d.receive(ctx, r, s.name, v.subvol())
	if err == nil {
		err = d.complete(ctx, s.name, o)
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
		defer cancel()
		_, e := d.tool.run(undo, "rollback", "-r", base) // -r: snapshots that a part of the stream made
		return storage.Volume{}, errors.Join(err, e)
	}
	return d.stat(ctx, id)
}

// complete makes sure that changes brought the snapshot that they lead to, and removes a temporary one.
func (d *Driver) complete(ctx context.Context, name string, o storage.StreamOptions) error {
	all, err := d.snapshots(ctx, name)
	if err != nil {
		return err
	}
	if o.Snapshot != "" {
		if _, err := newer(all, o.Snapshot); err != nil {
			return fmt.Errorf("the stream holds no snapshot %s: %w", o.Snapshot, storage.ErrUnsafe)
		}
	}
	for _, s := range all {
		if maker.Is(s.name) {
			if _, err := d.tool.run(ctx, "destroy", name+"@"+s.name); err != nil {
				return err
			}
		}
	}
	return nil
}
