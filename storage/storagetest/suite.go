package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// Config is a driver under test.
type Config struct {
	// New returns a driver of an empty backend with room for some 100 MiB, cleaned up with t.
	New func(t *testing.T) storage.Driver
	// Formats of guest images that the driver makes; default: raw.
	Formats []storage.Format
	// ID returns the id of the n-th image of a guest; default: Proxmox VE's name on storages with a folder.
	ID func(owner, n int, format storage.Format) storage.VolumeID
	// Granule is what sizes are rounded up to; default: 1 KiB.
	Granule int64
	// Bad are ids that mean nothing to the driver.
	Bad []storage.VolumeID
}

func (c Config) withDefaults() Config {
	if c.Formats == nil {
		c.Formats = []storage.Format{storage.Raw}
	}
	if c.ID == nil {
		c.ID = func(owner, n int, format storage.Format) storage.VolumeID {
			return storage.VolumeID(fmt.Sprintf("%d/vm-%d-disk-%d.%s", owner, owner, n, format))
		}
	}
	if c.Granule == 0 {
		c.Granule = 1 << 10
	}
	return c
}

const size = 4 << 20 // of most volumes in the suite

// Run tests a driver against the rules of package storage. Capabilities are tested where the driver has them.
func Run(t *testing.T, c Config) {
	c = c.withDefaults()
	for _, format := range c.Formats {
		t.Run(string(format), func(t *testing.T) {
			for _, test := range []struct {
				name string
				run  func(*suite)
			}{
				{"life cycle", (*suite).lifeCycle},
				{"absent volumes", (*suite).absent},
				{"existing volumes", (*suite).existing},
				{"bad ids", (*suite).badIDs},
				{"one of many creates wins", (*suite).race},
				{"new volumes are zero", (*suite).zeros},
				{"lists", (*suite).lists},
				{"attach", (*suite).attach},
				{"cancelled", (*suite).cancelled},
				{"usage", (*suite).usage},
				{"resize", (*suite).resize},
				{"snapshots", (*suite).snapshots},
				{"clones", (*suite).clones},
				{"rename", (*suite).rename},
				{"filled", (*suite).filled},
			} {
				t.Run(test.name, func(t *testing.T) {
					test.run(&suite{T: t, ctx: t.Context(), c: c, d: c.New(t), format: format})
				})
			}
		})
	}
}

type suite struct {
	*testing.T
	ctx    context.Context
	c      Config
	d      storage.Driver
	format storage.Format
}

func (s *suite) id(owner, n int) storage.VolumeID { return s.c.ID(owner, n, s.format) }

func (s *suite) create(owner, n int) storage.Volume {
	s.Helper()
	v, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(owner, n), Format: s.format, SizeBytes: size})
	require.NoError(s, err)
	return v
}

func (s *suite) all(f storage.Filter) []storage.Volume {
	s.Helper()
	var list []storage.Volume
	for v, err := range s.d.List(s.ctx, f) {
		require.NoError(s, err)
		list = append(list, v)
	}
	return list
}

func (s *suite) ids(f storage.Filter) []storage.VolumeID {
	s.Helper()
	var ids []storage.VolumeID
	for _, v := range s.all(f) {
		ids = append(ids, v.ID)
	}
	slices.Sort(ids)
	return ids
}

// fails requires an *storage.OpError of a class.
func (s *suite) fails(err, class error) {
	s.Helper()
	require.ErrorIs(s, err, class)
	_, ok := errors.AsType[*storage.OpError](err)
	require.True(s, ok, "%T is no *storage.OpError", err)
}

func (s *suite) lifeCycle() {
	v := s.create(100, 0)
	require.Equal(s, s.id(100, 0), v.ID)
	require.Equal(s, s.format, v.Format)
	require.Equal(s, int64(size), v.SizeBytes)
	require.Equal(s, 100, v.Owner)
	require.Equal(s, storage.Images, v.Content)
	got, err := s.d.Stat(s.ctx, v.ID)
	require.NoError(s, err)
	require.Equal(s, v.ID, got.ID)
	require.Equal(s, v.SizeBytes, got.SizeBytes)
	require.Equal(s, v.Features, got.Features)
	require.NoError(s, s.d.Delete(s.ctx, v.ID))
	_, err = s.d.Stat(s.ctx, v.ID)
	s.fails(err, storage.ErrNotFound)
	require.Empty(s, s.all(storage.Filter{}))

	odd, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 1), SizeBytes: 1<<20 + 1})
	require.NoError(s, err)
	require.GreaterOrEqual(s, odd.SizeBytes, int64(1<<20+1))
	require.Zero(s, odd.SizeBytes%s.c.Granule)
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
	_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: v.ID, SizeBytes: 2 * size})
	s.fails(err, storage.ErrExists)
	got, err := s.d.Stat(s.ctx, v.ID)
	require.NoError(s, err)
	require.Equal(s, int64(size), got.SizeBytes, "untouched")
}

func (s *suite) badIDs() {
	for _, id := range append([]storage.VolumeID{"", "/", "..", "../x", "100/../../etc/shadow", "\x00", "100/vm-100-disk-0\n." + storage.VolumeID(s.format)}, s.c.Bad...) {
		_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: id, SizeBytes: size})
		s.fails(err, storage.ErrBadID)
		_, err = s.d.Stat(s.ctx, id)
		s.fails(err, storage.ErrBadID)
		s.fails(s.d.Delete(s.ctx, id), storage.ErrBadID)
		_, err = s.d.Attach(s.ctx, id, storage.AttachOptions{})
		s.fails(err, storage.ErrBadID)
	}
	_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 0), SizeBytes: -1})
	require.Error(s, err)
	require.Empty(s, s.all(storage.Filter{}))
}

func (s *suite) race() {
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = s.d.Create(s.ctx, storage.VolumeSpec{ID: s.id(100, 0), SizeBytes: size})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			s.fails(err, storage.ErrExists)
		}
	}
	require.Equal(s, 1, won)
	require.Len(s, s.all(storage.Filter{}), 1)
}

func (s *suite) zeros() {
	o, ok := storage.As[storage.Opener](s.d)
	if !ok || s.format != storage.Raw {
		return
	}
	for range 2 {
		v := s.create(100, 0)
		buf := s.read(o, v.ID)
		require.Equal(s, make([]byte, len(buf)), buf, "what another guest wrote must not be readable")
		s.write(o, v.ID, bytes.Repeat([]byte("secret "), size/7))
		require.NoError(s, s.d.Delete(s.ctx, v.ID))
	}
}

func (s *suite) write(o storage.Opener, id storage.VolumeID, data []byte) {
	s.Helper()
	img, err := o.Open(s.ctx, id, true)
	require.NoError(s, err)
	defer img.Close()
	_, err = img.File.WriteAt(data, 0)
	require.NoError(s, err)
}

func (s *suite) read(o storage.Opener, id storage.VolumeID) []byte {
	s.Helper()
	img, err := o.Open(s.ctx, id, false)
	require.NoError(s, err)
	defer img.Close()
	buf := make([]byte, size)
	_, err = img.File.ReadAt(buf, 0)
	require.NoError(s, err)
	return buf
}

func (s *suite) lists() {
	a, b, c := s.create(100, 0).ID, s.create(100, 1).ID, s.create(101, 0).ID
	require.Equal(s, []storage.VolumeID{a, b, c}, s.ids(storage.Filter{}))
	require.Equal(s, []storage.VolumeID{a, b}, s.ids(storage.Filter{Owner: 100}))
	require.Equal(s, []storage.VolumeID{a, b}, s.ids(storage.Filter{Owner: 100, Content: storage.Images}))
	require.Empty(s, s.ids(storage.Filter{Owner: 99}))
	require.Empty(s, s.ids(storage.Filter{Content: storage.ISO}))
	for _, v := range s.all(storage.Filter{Owner: 101}) {
		got, err := s.d.Stat(s.ctx, v.ID)
		require.NoError(s, err)
		require.Equal(s, got, v, "a list and Stat say the same")
	}
	for range s.d.List(s.ctx, storage.Filter{}) {
		break // leaving early is fine
	}
}

func (s *suite) attach() {
	v := s.create(100, 0)
	first, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	again, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	require.Equal(s, first, again)
	switch at := first.(type) {
	case storage.File:
		require.FileExists(s, at.Path)
		require.Equal(s, s.format, at.Format)
		require.False(s, at.ReadOnly)
	case storage.Block:
		require.NotEmpty(s, at.Path)
	}
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
}

func (s *suite) cancelled() {
	reason := errors.New("caller left")
	ctx, cancel := context.WithCancelCause(s.ctx)
	cancel(reason)
	_, err := s.d.Create(ctx, storage.VolumeSpec{ID: s.id(100, 0), SizeBytes: size})
	s.fails(err, reason)
	require.Empty(s, s.all(storage.Filter{}))
}

func (s *suite) usage() {
	u, err := s.d.Usage(s.ctx)
	require.NoError(s, err)
	require.Positive(s, u.TotalBytes)
	require.Positive(s, u.AvailBytes)
	require.LessOrEqual(s, u.UsedBytes, u.TotalBytes)
}
