package storagetest

import (
	"bytes"
	"context"
	"errors"
	"path"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) resize() {
	r, ok := storage.As[storage.Resizer](s.d)
	if !ok {
		return
	}
	v := s.create(100, 0)
	require.True(s, v.Features.Has(storage.FeatureResize))
	grown, err := r.Resize(s.ctx, v.ID, 2*size)
	require.NoError(s, err)
	require.Equal(s, int64(2*size), grown.SizeBytes)
	_, err = r.Resize(s.ctx, v.ID, 2*size)
	require.NoError(s, err, "repeated after a crash")
	_, err = r.Resize(s.ctx, v.ID, size)
	s.fails(err, errors.ErrUnsupported)
	_, err = r.Resize(s.ctx, s.id(100, 9), size)
	s.fails(err, storage.ErrNotFound)
	got, err := s.d.Stat(s.ctx, v.ID)
	require.NoError(s, err)
	require.Equal(s, int64(2*size), got.SizeBytes)
}

func (s *suite) snapshots() {
	sn, ok := storage.As[storage.Snapshotter](s.d)
	if !ok {
		return
	}
	v := s.create(100, 0)
	if !v.Features.Has(storage.FeatureSnapshot) {
		s.fails(sn.Snapshot(s.ctx, v.ID, "one"), errors.ErrUnsupported)
		return
	}
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "one"))
	s.fails(sn.Snapshot(s.ctx, v.ID, "one"), storage.ErrExists)
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "two"))
	list, err := sn.Snapshots(s.ctx, v.ID)
	require.NoError(s, err)
	require.Len(s, list, 2)
	require.Equal(s, "one", list[0].Name)
	require.Equal(s, "two", list[1].Name)
	require.NoError(s, sn.Rollback(s.ctx, v.ID, "two"))
	s.fails(sn.Rollback(s.ctx, v.ID, "three"), storage.ErrNotFound)
	require.NoError(s, sn.DeleteSnapshot(s.ctx, v.ID, "one"))
	s.fails(sn.DeleteSnapshot(s.ctx, v.ID, "one"), storage.ErrNotFound)
	for _, bad := range []string{"", "-a", "1", "a b", "a/b", "../x", "x\n"} {
		s.fails(sn.Snapshot(s.ctx, v.ID, bad), storage.ErrBadID)
	}
	require.NoError(s, s.d.Delete(s.ctx, v.ID))
}

func (s *suite) clones() {
	c, ok := storage.As[storage.Cloner](s.d)
	if !ok {
		return
	}
	v := s.create(100, 0)
	if !v.Features.Has(storage.FeatureTemplate) {
		return
	}
	want, err := c.BaseID(v.ID)
	require.NoError(s, err)
	base, err := c.MakeBase(s.ctx, v.ID)
	require.NoError(s, err)
	require.Equal(s, want, base.ID)
	require.True(s, base.Base)
	require.True(s, base.Features.Has(storage.FeatureClone))
	again, err := c.MakeBase(s.ctx, v.ID)
	require.NoError(s, err, "repeated after a crash")
	require.Equal(s, base.ID, again.ID)
	_, err = s.d.Stat(s.ctx, v.ID)
	s.fails(err, storage.ErrNotFound)

	id, err := c.CloneID(base.ID, 101, path.Base(string(s.c.ID(101, 0, storage.QCOW2))))
	require.NoError(s, err)
	clone, err := c.Clone(s.ctx, base.ID, id)
	require.NoError(s, err)
	require.Equal(s, id, clone.ID)
	require.Equal(s, base.ID, clone.Parent)
	require.Equal(s, 101, clone.Owner)
	require.Equal(s, int64(size), clone.SizeBytes)
	_, err = c.Clone(s.ctx, base.ID, id)
	s.fails(err, storage.ErrExists)
	require.Equal(s, []storage.VolumeID{id}, s.ids(storage.Filter{Owner: 101}), "lists know the link")

	at, err := s.d.Attach(s.ctx, id, storage.AttachOptions{})
	require.NoError(s, err)
	if f, ok := at.(storage.File); ok {
		require.NotNil(s, f.Backing)
		require.True(s, f.Backing.ReadOnly)
		require.False(s, f.ReadOnly)
	}
	require.NoError(s, s.d.Detach(s.ctx, id))
	s.fails(s.d.Delete(s.ctx, base.ID), storage.ErrInUse)
	require.NoError(s, s.d.Delete(s.ctx, id))
	require.NoError(s, s.d.Delete(s.ctx, base.ID))
	require.Empty(s, s.all(storage.Filter{}))
}

func (s *suite) rename() {
	r, ok := storage.As[storage.Renamer](s.d)
	if !ok {
		return
	}
	a, b := s.create(100, 0).ID, s.create(101, 0).ID
	_, err := r.Rename(s.ctx, a, b)
	s.fails(err, storage.ErrExists)
	moved, err := r.Rename(s.ctx, a, s.id(101, 1))
	require.NoError(s, err)
	require.Equal(s, 101, moved.Owner)
	require.Equal(s, []storage.VolumeID{b, s.id(101, 1)}, s.ids(storage.Filter{}))
	_, err = r.Rename(s.ctx, a, s.id(101, 2))
	s.fails(err, storage.ErrNotFound)
}

func (s *suite) filled() {
	f, ok := storage.As[storage.Filler](s.d)
	if !ok {
		return
	}
	spec := storage.VolumeSpec{ID: s.id(100, 0), SizeBytes: size}
	reason := errors.New("source unreadable")
	_, err := f.CreateFilled(s.ctx, spec, func(context.Context, *storage.Image) error {
		require.Empty(s, s.all(storage.Filter{}), "hidden until it is complete")
		return reason
	})
	s.fails(err, reason)
	require.Empty(s, s.all(storage.Filter{}))
	if s.format != storage.Raw {
		return
	}
	data := bytes.Repeat([]byte("content."), size/8)
	_, err = f.CreateFilled(s.ctx, spec, func(_ context.Context, img *storage.Image) error {
		_, err := img.File.WriteAt(data, 0)
		return err
	})
	require.NoError(s, err)
	if o, ok := storage.As[storage.Opener](s.d); ok {
		require.True(s, bytes.Equal(data, s.read(o, spec.ID)))
	}
}
