package storagetest

import (
	"bytes"
	"errors"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) resizer() (storage.Resizer, bool) {
	r, ok := storage.As[storage.Resizer](s.d)
	if s.claims.Has(Resize) {
		require.True(s, ok, "claims Resize")
		return r, true
	}
	if ok {
		v := s.create(100, 0)
		_, err := r.Resize(s.ctx, v.ID, 2*s.size)
		s.fails(err, errors.ErrUnsupported)
		require.Equal(s, v.SizeBytes, s.stat(v.ID).SizeBytes)
	}
	return nil, false
}

func (s *suite) resize() {
	r, ok := s.resizer()
	if !ok {
		return
	}
	v := s.create(100, 0)
	data := pattern(s.size, 1)
	if s.claims.Has(Open) {
		s.write(v.ID, data)
	}
	grown, err := r.Resize(s.ctx, v.ID, 2*s.size)
	require.NoError(s, err)
	require.Equal(s, v.ID, grown.ID)
	require.Equal(s, 2*s.size, grown.SizeBytes)
	if s.claims.Has(Open) {
		s.holds(v.ID, slices.Concat(data, bytes.Repeat([]byte{0}, int(s.size))))
	}
	_, err = r.Resize(s.ctx, v.ID, 2*s.size)
	require.NoError(s, err, "repeated after a crash")
	_, err = r.Resize(s.ctx, v.ID, s.size)
	s.fails(err, errors.ErrUnsupported)
	for _, size := range []int64{-1, 0, 1<<63 - 1} {
		_, err = r.Resize(s.ctx, v.ID, size)
		require.Error(s, err, "%d bytes", size)
	}
	_, err = r.Resize(s.ctx, s.id(100, 9), s.size)
	s.fails(err, storage.ErrNotFound)
	require.Equal(s, 2*s.size, s.stat(v.ID).SizeBytes)
	odd, err := r.Resize(s.ctx, v.ID, 2*s.size+1)
	require.NoError(s, err)
	require.Equal(s, 2*s.size+s.c.Granule, odd.SizeBytes, "rounded up like a new volume")
}

// resizeAttached: attached is not yet in use.
func (s *suite) resizeAttached() {
	if !s.claims.Has(Resize) {
		return // unclaimed: see resize
	}
	r, _ := s.resizer()
	v := s.create(100, 0)
	before, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	grown, err := r.Resize(s.ctx, v.ID, 2*s.size)
	require.NoError(s, err)
	require.Equal(s, 2*s.size, grown.SizeBytes)
	after, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	require.Equal(s, before, after)
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
}
