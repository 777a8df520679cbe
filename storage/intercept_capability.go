package storage

import (
	"context"
	"io"
)

// The capabilities of an Interceptor, each before that of the driver behind.
type (
	activator struct {
		i *Interceptor
		c Activator
	}
	deactivator struct {
		i *Interceptor
		c Deactivator
	}
	snapshotter struct {
		i *Interceptor
		c Snapshotter
	}
	resizer struct {
		i *Interceptor
		c Resizer
	}
	cloner struct {
		Cloner // BaseID and CloneID touch nothing
		i      *Interceptor
	}
	renamer struct {
		i *Interceptor
		c Renamer
	}
	opener struct {
		i *Interceptor
		c Opener
	}
	snapshotOpener struct {
		i *Interceptor
		c SnapshotOpener
	}
	filler struct {
		i *Interceptor
		c Filler
	}
	sweeper struct {
		i *Interceptor
		c Sweeper
	}
	stager struct {
		sweeper
		c Stager
	}
	annotator struct {
		i *Interceptor
		c Annotator
	}
	copier struct {
		i *Interceptor
		c Copier
	}
	streamer struct {
		Streamer // ImportFormats touches nothing
		i        *Interceptor
	}
)

func (a activator) Activate(ctx context.Context) error {
	return plain(ctx, a.i, Call{Op: "activate"}, a.c.Activate)
}

func (a deactivator) Deactivate(ctx context.Context) error {
	return plain(ctx, a.i, Call{Op: "deactivate"}, a.c.Deactivate)
}

func (s snapshotter) Snapshot(ctx context.Context, id VolumeID, name string) error {
	return plain(ctx, s.i, Call{Op: "snapshot", ID: id}, func(ctx context.Context) error { return s.c.Snapshot(ctx, id, name) })
}

func (s snapshotter) Rollback(ctx context.Context, id VolumeID, name string) error {
	return plain(ctx, s.i, Call{Op: "rollback", ID: id, Long: true}, func(ctx context.Context) error { return s.c.Rollback(ctx, id, name) })
}

func (s snapshotter) DeleteSnapshot(ctx context.Context, id VolumeID, name string) error {
	return plain(ctx, s.i, Call{Op: "delete snapshot of", ID: id, Long: true}, func(ctx context.Context) error { return s.c.DeleteSnapshot(ctx, id, name) })
}

func (s snapshotter) Snapshots(ctx context.Context, id VolumeID) ([]Snapshot, error) {
	return through(ctx, s.i, Call{Op: "list snapshots of", ID: id}, nil, func(ctx context.Context) ([]Snapshot, error) { return s.c.Snapshots(ctx, id) })
}

func (r resizer) Resize(ctx context.Context, id VolumeID, sizeBytes int64) (Volume, error) {
	return through(ctx, r.i, Call{Op: "resize", ID: id}, nil, func(ctx context.Context) (Volume, error) { return r.c.Resize(ctx, id, sizeBytes) })
}

func (c cloner) MakeBase(ctx context.Context, id VolumeID) (Volume, error) {
	return through(ctx, c.i, Call{Op: "make base of", ID: id}, nil, func(ctx context.Context) (Volume, error) { return c.Cloner.MakeBase(ctx, id) })
}

func (c cloner) Clone(ctx context.Context, base, id VolumeID) (Volume, error) {
	return through(ctx, c.i, Call{Op: "clone", ID: id}, nil, func(ctx context.Context) (Volume, error) { return c.Cloner.Clone(ctx, base, id) })
}

func (r renamer) Rename(ctx context.Context, id, to VolumeID) (Volume, error) {
	return through(ctx, r.i, Call{Op: "rename", ID: id}, nil, func(ctx context.Context) (Volume, error) { return r.c.Rename(ctx, id, to) })
}

func closeImage(img *Image) { img.Close() }

func (o opener) Open(ctx context.Context, id VolumeID, write bool) (*Image, error) {
	return through(ctx, o.i, Call{Op: "open", ID: id}, closeImage, func(ctx context.Context) (*Image, error) { return o.c.Open(ctx, id, write) })
}

func (o snapshotOpener) OpenSnapshot(ctx context.Context, id VolumeID, snapshot string) (*Image, error) {
	return through(ctx, o.i, Call{Op: "open snapshot of", ID: id}, closeImage, func(ctx context.Context) (*Image, error) {
		return o.c.OpenSnapshot(ctx, id, snapshot)
	})
}

func (f filler) CreateFilled(ctx context.Context, spec VolumeSpec, fill func(context.Context, *Image) error) (Volume, error) {
	return through(ctx, f.i, Call{Op: "create", ID: spec.ID, Long: true}, nil, func(ctx context.Context) (Volume, error) {
		if fill == nil {
			return f.c.CreateFilled(ctx, spec, nil)
		}
		return f.c.CreateFilled(ctx, spec, func(inner context.Context, img *Image) error {
			if err := still(ctx); err != nil {
				return err
			}
			return fill(inner, img)
		})
	})
}

func (s sweeper) Sweep(ctx context.Context) (int, error) {
	return through(ctx, s.i, Call{Op: "sweep"}, nil, s.c.Sweep)
}

func (s stager) Stage(ctx context.Context, id VolumeID) (Stage, error) {
	st, err := through(ctx, s.i, Call{Op: "stage", ID: id}, func(st Stage) { st.Discard() }, func(ctx context.Context) (Stage, error) { return s.c.Stage(ctx, id) })
	if err != nil {
		return nil, err
	}
	return stage{st, s.i, id}, nil
}

// stage is a Stage whose end goes through an Interceptor. Its bytes are written directly.
type stage struct {
	Stage
	i  *Interceptor
	id VolumeID
}

func (s stage) Commit(ctx context.Context, replace bool) error {
	return plain(ctx, s.i, Call{Op: "commit", ID: s.id, Long: true}, func(ctx context.Context) error { return s.Stage.Commit(ctx, replace) })
}

func (a annotator) SetNotes(ctx context.Context, id VolumeID, text string) error {
	return plain(ctx, a.i, Call{Op: "write notes of", ID: id}, func(ctx context.Context) error { return a.c.SetNotes(ctx, id, text) })
}

func (a annotator) Notes(ctx context.Context, id VolumeID) (string, error) {
	return through(ctx, a.i, Call{Op: "read notes of", ID: id}, nil, func(ctx context.Context) (string, error) { return a.c.Notes(ctx, id) })
}

func (a annotator) SetProtected(ctx context.Context, id VolumeID, on bool) error {
	return plain(ctx, a.i, Call{Op: "protect", ID: id}, func(ctx context.Context) error { return a.c.SetProtected(ctx, id, on) })
}

func (c copier) CopyFrom(ctx context.Context, spec VolumeSpec, src Driver, id VolumeID, o CopyOptions) (Volume, error) {
	return through(ctx, c.i, Call{Op: "copy", ID: spec.ID, Long: true}, nil, func(ctx context.Context) (Volume, error) {
		if report := o.Progress; report != nil {
			o.Progress = func(done, total int64) {
				if ctx.Err() == nil {
					report(done, total)
				}
			}
		}
		return c.c.CopyFrom(ctx, spec, src, id, o)
	})
}

func (s streamer) StreamFormats(ctx context.Context, id VolumeID, o StreamOptions) ([]StreamFormat, error) {
	return through(ctx, s.i, Call{Op: "export", ID: id}, nil, func(ctx context.Context) ([]StreamFormat, error) { return s.Streamer.StreamFormats(ctx, id, o) })
}

func (s streamer) Export(ctx context.Context, w io.Writer, id VolumeID, format StreamFormat, o StreamOptions) error {
	return plain(ctx, s.i, Call{Op: "export", ID: id, Long: true}, func(ctx context.Context) error {
		return s.Streamer.Export(ctx, guardedWriter{ctx, w}, id, format, o)
	})
}

func (s streamer) Import(ctx context.Context, r io.Reader, id VolumeID, format StreamFormat, o StreamOptions) (Volume, error) {
	return through(ctx, s.i, Call{Op: "import", ID: id, Long: true}, nil, func(ctx context.Context) (Volume, error) {
		return s.Streamer.Import(ctx, guardedReader{ctx, r}, id, format, o)
	})
}
