package storagetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) lifeCycle() {
	v := s.create(100, 0)
	require.Equal(s, s.id(100, 0), v.ID)
	require.Equal(s, s.format, v.Format)
	require.Equal(s, s.size, v.SizeBytes)
	require.Equal(s, 100, v.Owner)
	require.Equal(s, storage.Images, v.Content)
	require.False(s, v.Base)
	require.Empty(s, v.Parent)
	got := s.stat(v.ID)
	require.Equal(s, v.ID, got.ID)
	require.Equal(s, v.SizeBytes, got.SizeBytes)
	require.Equal(s, v.Features, got.Features)
	for claim, feature := range map[Claims]storage.Features{
		Resize: storage.FeatureResize, Snapshot: storage.FeatureSnapshot, Clone: storage.FeatureTemplate, Rename: storage.FeatureRename,
	} {
		require.Equal(s, s.claims.Has(claim), got.Features.Has(feature), "claim %#x and feature %#x", claim, feature)
	}
	require.NoError(s, s.d.Delete(s.ctx, v.ID))
	_, err := s.d.Stat(s.ctx, v.ID)
	s.fails(err, storage.ErrNotFound)
	s.fails(s.d.Delete(s.ctx, v.ID), storage.ErrNotFound)
	require.Empty(s, s.all(storage.Filter{}))
	require.Equal(s, v.ID, s.create(100, 0).ID, "a name is free again")
}

func (s *suite) sizes() {
	if s.size == 0 { // folders without a quota
		_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 0), Format: s.format, SizeBytes: 1 << 20})
		s.fails(err, errors.ErrUnsupported)
		return
	}
	odd := s.size + 1
	v, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 1), Format: s.format, SizeBytes: odd})
	require.NoError(s, err)
	require.Equal(s, (odd+s.c.Granule-1)/s.c.Granule*s.c.Granule, v.SizeBytes, "rounded up to the granule, no further")
	require.Equal(s, v.SizeBytes, s.stat(v.ID).SizeBytes)

	byName, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 2), SizeBytes: s.size})
	require.NoError(s, err)
	require.Equal(s, byName.Format, s.stat(byName.ID).Format)

	for _, size := range []int64{-1, -1 << 63, 1<<63 - 1} {
		_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 3), Format: s.format, SizeBytes: size})
		require.Error(s, err, "%d bytes", size)
	}
	_, err = s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 3), Format: "floppy", SizeBytes: s.size})
	require.Error(s, err)
	s.only(v.ID, byName.ID)
}

func (s *suite) absent() {
	_, err := s.d.Stat(s.ctx, s.id(100, 7))
	s.fails(err, storage.ErrNotFound)
	s.fails(s.d.Delete(s.ctx, s.id(100, 7)), storage.ErrNotFound)
	_, err = s.d.Attach(s.ctx, s.id(100, 7), storage.AttachOptions{})
	s.fails(err, storage.ErrNotFound)
	require.NoError(s, s.d.Detach(s.ctx, s.id(100, 7)), "detaching what is gone is done")
}

func (s *suite) existing() {
	v := s.create(100, 0)
	_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: v.ID, Format: s.format, SizeBytes: 2 * s.size})
	s.fails(err, storage.ErrExists)
	require.Equal(s, s.size, s.stat(v.ID).SizeBytes, "untouched")
	s.only(v.ID)
}

func (s *suite) zeros() {
	if !s.claims.Has(Open) {
		return // unclaimed: see open
	}
	for range 2 {
		v := s.create(100, 0)
		s.holds(v.ID, make([]byte, s.size)) // what another guest wrote must not be readable
		noise := pattern(s.size, 1)
		copy(noise[s.size/4:], noise[:s.size/2])
		s.write(v.ID, noise)
		require.NoError(s, s.d.Delete(s.ctx, v.ID))
	}
}

func (s *suite) lists() {
	a, b, c := s.create(100, 0).ID, s.create(100, 1).ID, s.create(1000, 0).ID
	s.only(a, b, c)
	require.Equal(s, []storage.VolumeID{a, b}, s.ids(storage.Filter{Owner: 100}), "100 is not the beginning of 1000")
	require.Equal(s, []storage.VolumeID{a, b}, s.ids(storage.Filter{Owner: 100, Content: storage.Images}))
	require.Empty(s, s.ids(storage.Filter{Owner: 99}))
	require.Empty(s, s.ids(storage.Filter{Content: storage.ISO}))
	for _, v := range s.all(storage.Filter{Owner: 1000}) {
		require.Equal(s, s.stat(v.ID), v, "a list and Stat say the same")
	}
	n := 0
	for _, err := range s.d.List(s.ctx, storage.Filter{}) {
		require.NoError(s, err)
		n++
		break // leaving early is fine
	}
	require.Equal(s, 1, n)
}

func (s *suite) cancelled() {
	v := s.create(100, 0)
	reason := errors.New("caller left")
	ctx, cancel := context.WithCancelCause(s.ctx)
	cancel(reason)
	_, err := s.d.Create(ctx, s.spec(100, 1))
	s.fails(err, reason)
	_, err = s.d.Stat(ctx, v.ID)
	s.fails(err, reason)
	s.fails(s.d.Delete(ctx, v.ID), reason)
	_, err = s.d.Attach(ctx, v.ID, storage.AttachOptions{})
	s.fails(err, reason)
	for _, err = range s.d.List(ctx, storage.Filter{}) {
	}
	s.fails(err, reason)
	s.only(v.ID)
}

func (s *suite) usage() {
	sane := func() storage.Usage {
		s.Helper()
		u, err := s.d.Usage(s.ctx)
		require.NoError(s, err)
		require.Positive(s, u.TotalBytes)
		require.Positive(s, u.AvailBytes)
		require.GreaterOrEqual(s, u.UsedBytes, int64(0))
		require.LessOrEqual(s, u.UsedBytes, u.TotalBytes)
		require.LessOrEqual(s, u.AvailBytes, u.TotalBytes)
		return u
	}
	sane()
	v := s.create(100, 0)
	if s.claims.Has(Open) {
		s.write(v.ID, pattern(s.size, 1))
	}
	sane()
}
