package storage

import (
	"context"
	"io"
	"iter"
	"sync"
)

// Call describes one call on a driver to whoever stands before it.
type Call struct {
	Op   string   // as in OpError: "create", "list", "roll back", …
	ID   VolumeID // of the volume that the call is about; empty: the whole backend
	Long bool     // moves data, so it takes as long as it takes, and what it read or wrote cannot be had again
}

// Around stands before every call: it calls do, or does not, and returns what the caller shall get. It may return before do
// does; then it returns an error, and what do still brings is thrown away. ctx given to do may be a narrower one.
type Around func(ctx context.Context, c Call, do func(context.Context) error) error

// Interceptor is a driver with an [Around] before every call of it and of its capabilities, which [As] finds through it.
// What it wraps is found too: As[*dir.Driver].
type Interceptor struct {
	d      Driver
	around Around
}

// Intercept puts around before d. Lists are read to their end before the first volume is handed out.
func Intercept(d Driver, around Around) *Interceptor { return &Interceptor{d: d, around: around} }

// Unwrap returns the driver behind.
func (i *Interceptor) Unwrap() Driver { return i.d }

// through makes one call that returns a value. If around gave it up, a late value goes to dispose.
func through[T any](ctx context.Context, i *Interceptor, c Call, dispose func(T), f func(context.Context) (T, error)) (T, error) {
	var (
		mu    sync.Mutex // guards value and over
		value T
		over  bool // nobody waits any more
	)
	err := i.around(ctx, c, func(ctx context.Context) error {
		v, err := f(ctx)
		mu.Lock()
		late := over
		if !late {
			value = v
		}
		mu.Unlock()
		if late && err == nil && dispose != nil {
			dispose(v)
		}
		return err
	})
	mu.Lock()
	defer mu.Unlock()
	over = true
	return value, err
}

// plain is through for calls without a value.
func plain(ctx context.Context, i *Interceptor, c Call, f func(context.Context) error) error {
	return i.around(ctx, c, f)
}

// Create implements Driver, as the methods below do.
func (i *Interceptor) Create(ctx context.Context, spec VolumeSpec) (Volume, error) {
	return through(ctx, i, Call{Op: "create", ID: spec.ID}, nil, func(ctx context.Context) (Volume, error) { return i.d.Create(ctx, spec) })
}

func (i *Interceptor) Stat(ctx context.Context, id VolumeID) (Volume, error) {
	return through(ctx, i, Call{Op: "stat", ID: id}, nil, func(ctx context.Context) (Volume, error) { return i.d.Stat(ctx, id) })
}

func (i *Interceptor) List(ctx context.Context, f Filter) iter.Seq2[Volume, error] {
	return func(yield func(Volume, error) bool) {
		list, err := through(ctx, i, Call{Op: "list"}, nil, func(ctx context.Context) (list []Volume, _ error) {
			for v, err := range i.d.List(ctx, f) {
				if err != nil {
					return list, err
				}
				list = append(list, v)
			}
			return list, nil
		})
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
		if err != nil {
			yield(Volume{}, err)
		}
	}
}

func (i *Interceptor) Attach(ctx context.Context, id VolumeID, o AttachOptions) (Attachment, error) {
	return through(ctx, i, Call{Op: "attach", ID: id}, nil, func(ctx context.Context) (Attachment, error) { return i.d.Attach(ctx, id, o) })
}

func (i *Interceptor) Detach(ctx context.Context, id VolumeID) error {
	return plain(ctx, i, Call{Op: "detach", ID: id}, func(ctx context.Context) error { return i.d.Detach(ctx, id) })
}

func (i *Interceptor) Delete(ctx context.Context, id VolumeID) error {
	return plain(ctx, i, Call{Op: "delete", ID: id}, func(ctx context.Context) error { return i.d.Delete(ctx, id) })
}

func (i *Interceptor) Usage(ctx context.Context) (Usage, error) {
	return through(ctx, i, Call{Op: "usage"}, nil, func(ctx context.Context) (Usage, error) { return i.d.Usage(ctx) })
}

// Capability lets As find the capabilities of what is behind, with around before their calls.
func (i *Interceptor) Capability(target any) bool {
	switch t := target.(type) {
	case *Activator:
		return set(i, t, func(c Activator) Activator { return activator{i, c} })
	case *Deactivator:
		return set(i, t, func(c Deactivator) Deactivator { return deactivator{i, c} })
	case *Snapshotter:
		return set(i, t, func(c Snapshotter) Snapshotter { return snapshotter{i, c} })
	case *Resizer:
		return set(i, t, func(c Resizer) Resizer { return resizer{i, c} })
	case *Cloner:
		return set(i, t, func(c Cloner) Cloner { return cloner{c, i} })
	case *Renamer:
		return set(i, t, func(c Renamer) Renamer { return renamer{i, c} })
	case *Opener:
		return set(i, t, func(c Opener) Opener { return opener{i, c} })
	case *SnapshotOpener:
		return set(i, t, func(c SnapshotOpener) SnapshotOpener { return snapshotOpener{i, c} })
	case *Filler:
		return set(i, t, func(c Filler) Filler { return filler{i, c} })
	case *Sweeper:
		return set(i, t, func(c Sweeper) Sweeper { return sweeper{i, c} })
	case *Stager:
		return set(i, t, func(c Stager) Stager { return stager{sweeper{i, c}, c} })
	case *Annotator:
		return set(i, t, func(c Annotator) Annotator { return annotator{i, c} })
	case *Copier:
		return set(i, t, func(c Copier) Copier { return copier{i, c} })
	case *Streamer:
		return set(i, t, func(c Streamer) Streamer { return streamer{c, i} })
	}
	return false // Pather touches nothing; others are no capabilities
}

func set[T any](i *Interceptor, target *T, wrap func(T) T) bool {
	c, ok := As[T](i.d)
	if ok {
		*target = wrap(c)
	}
	return ok
}

// still ends callbacks of a call that was given up.
func still(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

type guardedWriter struct {
	ctx context.Context // of one call, which this writer does not outlive
	w   io.Writer
}

func (g guardedWriter) Write(p []byte) (int, error) {
	if err := still(g.ctx); err != nil {
		return 0, err
	}
	return g.w.Write(p)
}

type guardedReader struct {
	ctx context.Context // of one call, which this reader does not outlive
	r   io.Reader
}

func (g guardedReader) Read(p []byte) (int, error) {
	if err := still(g.ctx); err != nil {
		return 0, err
	}
	return g.r.Read(p)
}
