package storagetest

import (
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) rename() {
	r, ok := storage.As[storage.Renamer](s.d)
	if !s.claims.Has(Rename) {
		if ok {
			v := s.create(100, 0)
			_, err := r.Rename(s.ctx, v.ID, s.id(101, 0))
			s.fails(err, errors.ErrUnsupported)
			s.only(v.ID)
		}
		return
	}
	require.True(s, ok, "claims Rename")
	a, b := s.create(100, 0).ID, s.create(101, 0).ID
	data := pattern(s.size, 1)
	if s.claims.Has(Open) {
		s.write(a, data)
	}
	_, err := r.Rename(s.ctx, a, b)
	s.fails(err, storage.ErrExists)
	s.only(a, b)
	to := s.id(101, 1)
	moved, err := r.Rename(s.ctx, a, to)
	require.NoError(s, err)
	require.Equal(s, to, moved.ID)
	require.Equal(s, 101, moved.Owner)
	require.Equal(s, s.size, moved.SizeBytes)
	s.only(b, to)
	require.Equal(s, []storage.VolumeID{b, to}, s.ids(storage.Filter{Owner: 101}))
	if s.claims.Has(Open) {
		s.holds(to, data)
	}
	_, err = r.Rename(s.ctx, a, s.id(101, 2))
	s.fails(err, storage.ErrNotFound)
	at, err := s.d.Attach(s.ctx, to, storage.AttachOptions{})
	require.NoError(s, err)
	require.NotNil(s, at)
	require.NoError(s, s.d.Detach(s.ctx, to))
	if sn, ok := storage.As[storage.Snapshotter](s.d); ok && s.claims.Has(Snapshot) {
		require.NoError(s, sn.Snapshot(s.ctx, to, "one"))
		back, err := r.Rename(s.ctx, to, a)
		if err != nil { // some name their snapshots after the volume
			s.fails(err, storage.ErrInUse)
			return
		}
		require.Equal(s, []string{"one"}, s.names(sn, back.ID), "snapshots go with their volume")
		require.Equal(s, 100, back.Owner)
	}
}
