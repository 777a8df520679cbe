package storagetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) copier() (storage.Copier, bool) {
	c, ok := storage.As[storage.Copier](s.d)
	if s.claims.Has(Copy) {
		require.True(s, ok, "claims Copy")
		return c, true
	}
	if ok {
		v := s.create(100, 0)
		_, err := c.CopyFrom(s.ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{})
		s.fails(err, errors.ErrUnsupported)
		s.only(v.ID)
	}
	return nil, false
}

func (s *suite) copy() {
	c, ok := s.copier()
	if !ok {
		return
	}
	v := s.create(100, 0)
	data := pattern(s.size, 1)
	if s.claims.Has(Open) {
		s.write(v.ID, data)
	}
	var done, total int64
	made, err := c.CopyFrom(s.ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{Progress: func(d, t int64) {
		require.GreaterOrEqual(s, d, done, "progress goes on")
		done, total = d, t
	}})
	require.NoError(s, err)
	require.Equal(s, s.id(101, 0), made.ID)
	require.Equal(s, s.size, made.SizeBytes)
	require.Empty(s, made.Parent)
	require.Equal(s, total, done, "progress ends at its end")
	require.Equal(s, made.ID, s.stat(made.ID).ID)
	s.only(v.ID, made.ID)
	if s.claims.Has(Open) {
		s.holds(made.ID, data)
		s.write(made.ID, pattern(s.size, 2))
		s.holds(v.ID, data)
		s.write(v.ID, pattern(s.size, 3))
		s.holds(made.ID, pattern(s.size, 2))
	}
	_, err = c.CopyFrom(s.ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{})
	s.fails(err, storage.ErrExists)
	_, err = c.CopyFrom(s.ctx, s.spec(101, 1), s.d, s.id(100, 9), storage.CopyOptions{})
	s.fails(err, storage.ErrNotFound)
	_, err = c.CopyFrom(s.ctx, s.spec(101, 1), s.d, v.ID, storage.CopyOptions{Snapshot: "none"})
	require.Error(s, err)
	s.only(v.ID, made.ID)
	require.NoError(s, s.d.Delete(s.ctx, v.ID), "the copy shares nothing with it")
	if s.claims.Has(Open) {
		s.holds(made.ID, pattern(s.size, 2))
	}
	if b, ok := storage.As[storage.Cloner](s.d); ok && s.claims.Has(Clone|Open) {
		base, err := b.MakeBase(s.ctx, made.ID)
		require.NoError(s, err)
		clone := s.cloneID(b, base.ID, 102, 0)
		_, err = b.Clone(s.ctx, base.ID, clone)
		require.NoError(s, err)
		for n, src := range []storage.VolumeID{base.ID, clone} {
			spec := s.spec(103, n)
			whole, err := c.CopyFrom(s.ctx, spec, s.d, src, storage.CopyOptions{})
			if errors.Is(err, errors.ErrUnsupported) { // of this kind of volume; then the bytes are copied
				s.fails(err, errors.ErrUnsupported)
				continue
			}
			require.NoError(s, err)
			require.Empty(s, whole.Parent, "a full copy")
			s.holds(spec.ID, pattern(s.size, 2))
		}
		require.NoError(s, s.d.Delete(s.ctx, clone))
		require.NoError(s, s.d.Delete(s.ctx, base.ID), "no copy holds the base")
	}
}

func (s *suite) copySnapshot() {
	c, ok := storage.As[storage.Copier](s.d)
	if !s.claims.Has(CopySnapshot) {
		if ok && s.claims.Has(Snapshot) {
			sn, _ := s.snapshotter()
			v := s.create(100, 0)
			require.NoError(s, sn.Snapshot(s.ctx, v.ID, "one"))
			_, err := c.CopyFrom(s.ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{Snapshot: "one"})
			s.fails(err, errors.ErrUnsupported)
			s.only(v.ID)
		}
		return
	}
	require.True(s, ok, "claims CopySnapshot")
	sn, _ := s.snapshotter()
	v := s.create(100, 0)
	one := pattern(s.size, 1)
	s.write(v.ID, one)
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "one"))
	s.write(v.ID, pattern(s.size, 2))
	made, err := c.CopyFrom(s.ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{Snapshot: "one"})
	require.NoError(s, err)
	s.holds(made.ID, one)
	require.Empty(s, s.names(sn, made.ID))
	_, err = c.CopyFrom(s.ctx, s.spec(101, 1), s.d, v.ID, storage.CopyOptions{Snapshot: "two"})
	s.fails(err, storage.ErrNotFound)
	require.NoError(s, sn.DeleteSnapshot(s.ctx, v.ID, "one"), "the copy shares nothing with it")
	s.holds(made.ID, one)
}

// copyCancelled: given up before the start and at the first report.
func (s *suite) copyCancelled() {
	if !s.claims.Has(Copy) {
		return // unclaimed: see copy
	}
	c, _ := s.copier()
	v := s.create(100, 0)
	if s.claims.Has(Open) {
		s.write(v.ID, pattern(s.size, 1))
	}
	reason := errors.New("task stopped")
	ctx, cancel := context.WithCancelCause(s.ctx)
	cancel(reason)
	_, err := c.CopyFrom(ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{})
	s.fails(err, reason)
	s.only(v.ID)

	ctx, cancel = context.WithCancelCause(s.ctx)
	_, err = c.CopyFrom(ctx, s.spec(101, 0), s.d, v.ID, storage.CopyOptions{Progress: func(int64, int64) { cancel(reason) }})
	cancel(reason)
	if err == nil { // the first report was the last
		s.only(v.ID, s.id(101, 0))
		return
	}
	s.fails(err, reason)
	s.only(v.ID)
}

// foreign is a driver that no other has heard of. Its calls would panic.
type foreign struct{ storage.Driver }

func (s *suite) copyForeign() {
	c, ok := storage.As[storage.Copier](s.d)
	if !ok {
		return // unclaimed: see copy
	}
	_, err := c.CopyFrom(s.ctx, s.spec(101, 0), foreign{}, s.id(100, 0), storage.CopyOptions{})
	s.fails(err, errors.ErrUnsupported)
	s.only()

	other := newSuite(s.T, s.c, s.format) // the same type, another backend
	v := other.create(100, 0)
	data := pattern(s.size, 1)
	if s.claims.Has(Open) {
		other.write(v.ID, data)
	}
	made, err := c.CopyFrom(s.ctx, s.spec(101, 0), other.d, v.ID, storage.CopyOptions{})
	if err != nil {
		s.fails(err, errors.ErrUnsupported)
		s.only()
	} else {
		s.only(made.ID)
		if s.claims.Has(Open) {
			s.holds(made.ID, data)
		}
	}
	other.only(v.ID)
	other.clean()
}
