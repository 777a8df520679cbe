package storagetest

import (
	"bytes"
	"errors"
	"path"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

func (s *suite) cloner() (storage.Cloner, bool) {
	c, ok := storage.As[storage.Cloner](s.d)
	if s.claims.Has(Clone) {
		require.True(s, ok, "claims Clone")
		return c, true
	}
	if ok {
		v := s.create(100, 0)
		_, err := c.MakeBase(s.ctx, v.ID)
		s.fails(err, errors.ErrUnsupported)
		s.only(v.ID)
	}
	return nil, false
}

// cloneID is the id of the n-th linked clone of base for a guest. Clones in files are qcow2, whatever their base is.
func (s *suite) cloneID(c storage.Cloner, base storage.VolumeID, owner, n int) storage.VolumeID {
	s.Helper()
	format := s.format
	if k, _ := volid.KindOf(s.c.Type); k.Path {
		format = storage.QCOW2
	}
	id, err := c.CloneID(base, owner, path.Base(string(s.c.ID(owner, n, format))))
	require.NoError(s, err)
	return id
}

func (s *suite) clones() {
	c, ok := s.cloner()
	if !ok {
		return
	}
	v := s.create(100, 0)
	want, err := c.BaseID(v.ID)
	require.NoError(s, err)
	base, err := c.MakeBase(s.ctx, v.ID)
	require.NoError(s, err)
	require.Equal(s, want, base.ID)
	require.True(s, base.Base)
	require.True(s, base.Features.Has(storage.FeatureClone))
	require.False(s, base.Features.Has(storage.FeatureTemplate))
	again, err := c.MakeBase(s.ctx, v.ID)
	require.NoError(s, err, "repeated after a crash")
	require.Equal(s, base.ID, again.ID)
	_, err = c.BaseID(base.ID)
	s.fails(err, storage.ErrBadID)
	_, err = s.d.Stat(s.ctx, v.ID)
	s.fails(err, storage.ErrNotFound)
	_, err = c.MakeBase(s.ctx, s.id(100, 8))
	s.fails(err, storage.ErrNotFound)
	at, err := s.d.Attach(s.ctx, base.ID, storage.AttachOptions{})
	require.NoError(s, err)
	switch at := at.(type) {
	case storage.File:
		require.True(s, at.ReadOnly, "frozen")
	case storage.Block:
		require.True(s, at.ReadOnly, "frozen")
	}
	require.NoError(s, s.d.Detach(s.ctx, base.ID))

	id := s.cloneID(c, base.ID, 101, 0)
	clone, err := c.Clone(s.ctx, base.ID, id)
	require.NoError(s, err)
	require.Equal(s, id, clone.ID)
	if !s.claims.Has(LooseClone) {
		require.Equal(s, base.ID, clone.Parent)
	}
	require.Equal(s, 101, clone.Owner)
	require.Equal(s, s.size, clone.SizeBytes)
	require.False(s, clone.Base)
	_, err = c.Clone(s.ctx, base.ID, id)
	s.fails(err, storage.ErrExists)
	require.Equal(s, []storage.VolumeID{id}, s.ids(storage.Filter{Owner: 101}), "lists know the link")
	_, err = c.Clone(s.ctx, s.create(102, 0).ID, s.id(103, 0))
	require.Error(s, err, "of a volume that is no base")
	require.Empty(s, s.ids(storage.Filter{Owner: 103}))
	require.NoError(s, s.d.Delete(s.ctx, s.id(102, 0)))

	at, err = s.d.Attach(s.ctx, id, storage.AttachOptions{})
	require.NoError(s, err)
	if f, ok := at.(storage.File); ok {
		require.NotNil(s, f.Backing)
		require.True(s, f.Backing.ReadOnly)
		require.False(s, f.ReadOnly)
	}
	require.NoError(s, s.d.Detach(s.ctx, id))
	second := s.cloneID(c, base.ID, 101, 1)
	_, err = c.Clone(s.ctx, base.ID, second)
	require.NoError(s, err)
	if s.claims.Has(LooseClone) {
		require.NoError(s, s.d.Delete(s.ctx, base.ID))
		s.only(id, second)
		return
	}
	s.fails(s.d.Delete(s.ctx, base.ID), storage.ErrInUse)
	require.NoError(s, s.d.Delete(s.ctx, id))
	s.fails(s.d.Delete(s.ctx, base.ID), storage.ErrInUse)
	require.NoError(s, s.d.Delete(s.ctx, second))
	require.NoError(s, s.d.Delete(s.ctx, base.ID))
	s.only()
}

// cloneContent: a clone begins as its base, and nothing written to one is seen in another.
func (s *suite) cloneContent() {
	if !s.claims.Has(Clone | Open) {
		return // unclaimed: see clones and open
	}
	c, _ := s.cloner()
	v := s.create(100, 0)
	data, changed := pattern(s.size, 1), pattern(s.size, 2)
	s.write(v.ID, data)
	base, err := c.MakeBase(s.ctx, v.ID)
	require.NoError(s, err)
	a, b := s.cloneID(c, base.ID, 101, 0), s.cloneID(c, base.ID, 102, 0)
	for _, id := range []storage.VolumeID{a, b} {
		_, err := c.Clone(s.ctx, base.ID, id)
		require.NoError(s, err)
		s.holds(id, data)
	}
	s.write(a, changed)
	s.holds(a, changed)
	s.holds(b, data)
	s.holds(base.ID, data)
	if r, ok := storage.As[storage.Resizer](s.d); ok && s.claims.Has(Resize) {
		grown, err := r.Resize(s.ctx, b, 2*s.size)
		require.NoError(s, err)
		require.Equal(s, 2*s.size, grown.SizeBytes)
		s.holds(b, slices.Concat(data, bytes.Repeat([]byte{0}, int(s.size))))
		require.Equal(s, s.size, s.stat(base.ID).SizeBytes)
	}
	if sn, ok := storage.As[storage.Snapshotter](s.d); ok && s.stat(a).Features.Has(storage.FeatureSnapshot) {
		require.NoError(s, sn.Snapshot(s.ctx, a, "one"), "clones have snapshots too")
		s.write(a, data)
		require.NoError(s, sn.Rollback(s.ctx, a, "one"))
		s.holds(a, changed)
	}
}
