package storagetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) filler() (storage.Filler, bool) {
	f, ok := storage.As[storage.Filler](s.d)
	if s.claims.Has(Fill) {
		require.True(s, ok, "claims Fill")
		require.True(s, s.claims.Has(Open), "Fill needs Open")
		return f, true
	}
	if ok {
		_, err := f.CreateFilled(s.ctx, s.spec(100, 0), func(context.Context, *storage.Image) error { return nil })
		s.fails(err, errors.ErrUnsupported)
		s.only()
	}
	return nil, false
}

func (s *suite) fill() {
	f, ok := s.filler()
	if !ok {
		return
	}
	spec, data := s.spec(100, 0), pattern(s.size, 1)
	reason := errors.New("source unreadable")
	_, err := f.CreateFilled(s.ctx, spec, func(ctx context.Context, img *storage.Image) error {
		require.Equal(s, s.format, img.Format)
		s.only() // hidden until it is complete
		_, err := s.d.Stat(ctx, spec.ID)
		require.ErrorIs(s, err, storage.ErrNotFound)
		require.NoError(s, s.c.Content.Write(ctx, img, data))
		return reason
	})
	s.fails(err, reason)
	s.only()
	s.noResidue()

	v, err := f.CreateFilled(s.ctx, spec, func(ctx context.Context, img *storage.Image) error {
		s.sweepsNothing(ctx)
		return s.c.Content.Write(ctx, img, data)
	})
	require.NoError(s, err)
	require.Equal(s, s.size, v.SizeBytes)
	require.Equal(s, v.ID, s.stat(spec.ID).ID)
	s.holds(spec.ID, data)

	called := false
	_, err = f.CreateFilled(s.ctx, spec, func(ctx context.Context, img *storage.Image) error {
		called = true
		return s.c.Content.Write(ctx, img, pattern(s.size, 2))
	})
	s.fails(err, storage.ErrExists)
	require.False(s, called, "a taken name is known before the work")
	s.holds(spec.ID, data)
}

// sweepsNothing requires that a sweep leaves alone what is being made now.
func (s *suite) sweepsNothing(ctx context.Context) {
	s.Helper()
	if sw, ok := storage.As[storage.Sweeper](s.d); ok {
		n, err := sw.Sweep(ctx)
		if err != nil {
			s.fails(err, storage.ErrInUse)
		}
		require.Zero(s, n, "its maker lives")
	}
}

// fillCancelled: the work is given up in its middle, by work that notices and by work that does not.
func (s *suite) fillCancelled() {
	if !s.claims.Has(Fill) {
		return // unclaimed: see fill
	}
	f, _ := s.filler()
	reason := errors.New("task stopped")
	for _, notices := range []bool{true, false} {
		ctx, cancel := context.WithCancelCause(s.ctx)
		_, err := f.CreateFilled(ctx, s.spec(100, 0), func(ctx context.Context, img *storage.Image) error {
			require.NoError(s, s.c.Content.Write(ctx, img, pattern(s.size, 1)))
			cancel(reason)
			if notices {
				return context.Cause(ctx)
			}
			return nil
		})
		s.fails(err, reason)
		s.only()
		s.noResidue()
	}
	v, err := f.CreateFilled(s.ctx, s.spec(100, 0), func(context.Context, *storage.Image) error { return nil })
	require.NoError(s, err, "the name is free")
	s.only(v.ID)
}

// full: no space is a class of its own, and what did not fit leaves nothing.
func (s *suite) full() {
	if s.c.Full == nil || s.format == storage.Subvol {
		return
	}
	d, size := s.c.Full(s.T)
	spec := storage.VolumeSpec{ID: s.id(100, 0), Format: s.format, SizeBytes: size}
	var err error
	if f, ok := storage.As[storage.Filler](d); ok && s.claims.Has(Fill) {
		_, err = f.CreateFilled(s.ctx, spec, func(ctx context.Context, img *storage.Image) error {
			return s.c.Content.Write(ctx, img, noise(size)) // thin volumes fail only here
		})
	} else {
		_, err = d.Create(s.ctx, spec)
	}
	s.fails(err, storage.ErrNoSpace)
	for v, err := range d.List(s.ctx, storage.Filter{}) {
		require.NoError(s, err)
		require.Fail(s, "left behind", fmt.Sprint(v.ID))
	}
	if s.c.Residue != nil {
		require.Empty(s, s.c.Residue(s.T, d))
	}
	v, err := d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 0), Format: s.format, SizeBytes: min(s.size, size/4)})
	require.NoError(s, err, "the space is free again")
	require.NoError(s, d.Delete(s.ctx, v.ID))
}
