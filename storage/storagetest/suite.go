package storagetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// Run tests a driver against the rules of package storage: what every driver does, and what it claims beyond.
func Run(t *testing.T, c Config) {
	c = c.withDefaults(t)
	for _, format := range c.formats() {
		t.Run(string(format), func(t *testing.T) {
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					c.concurrent(t)
					s := newSuite(t, c, format)
					test.run(s)
					s.clean()
				})
			}
			t.Run("killed at each step", func(t *testing.T) { c.killed(t, format) })
		})
	}
}

func (c Config) concurrent(t *testing.T) {
	if c.Concurrent {
		t.Parallel()
	}
}

// tests are the subjects, each on an empty backend.
var tests = []struct {
	name string
	run  func(*suite)
}{
	{"life cycle", (*suite).lifeCycle},
	{"sizes", (*suite).sizes},
	{"absent volumes", (*suite).absent},
	{"existing volumes", (*suite).existing},
	{"new volumes are zero", (*suite).zeros},
	{"lists", (*suite).lists},
	{"cancelled", (*suite).cancelled},
	{"usage", (*suite).usage},
	{"threat 1 hostile names", (*suite).hostileNames},
	{"one of two creators wins", (*suite).race},
	{"parallel creates", (*suite).parallel},
	{"attach", (*suite).attach},
	{"attach hands over", (*suite).handOver},
	{"in use", (*suite).inUse},
	{"open", (*suite).open},
	{"resize", (*suite).resize},
	{"resize while attached", (*suite).resizeAttached},
	{"snapshots", (*suite).snapshots},
	{"snapshot names", (*suite).snapshotNames},
	{"snapshot content", (*suite).snapshotContent},
	{"rollback past newer", (*suite).rollbackPast},
	{"open snapshot", (*suite).openSnapshot},
	{"base and clones", (*suite).clones},
	{"clone content", (*suite).cloneContent},
	{"rename", (*suite).rename},
	{"fill", (*suite).fill},
	{"fill cancelled", (*suite).fillCancelled},
	{"copy", (*suite).copy},
	{"copy of a snapshot", (*suite).copySnapshot},
	{"copy cancelled", (*suite).copyCancelled},
	{"copy from a foreign driver", (*suite).copyForeign},
	{"stream", (*suite).stream},
	{"stream cut off", (*suite).streamCut},
	{"stream of changes", (*suite).streamIncremental},
	{"stage", (*suite).stage},
	{"full backend", (*suite).full},
}

// suite is one test with a backend of its own.
type suite struct {
	*testing.T
	ctx    context.Context
	c      Config
	d      storage.Driver
	format storage.Format
	claims Claims
	size   int64
}

func newSuite(t *testing.T, c Config, format storage.Format) *suite {
	s := &suite{T: t, ctx: t.Context(), c: c, d: c.New(t), format: format, claims: c.Claims[format], size: c.SizeBytes}
	if format == storage.Subvol {
		s.size = c.FolderBytes
	}
	return s
}

func (s *suite) id(owner, n int) storage.VolumeID { return s.c.ID(owner, n, s.format) }

func (s *suite) spec(owner, n int) storage.VolumeSpec {
	return storage.VolumeSpec{ID: s.id(owner, n), Format: s.format, SizeBytes: s.size}
}

func (s *suite) create(owner, n int) storage.Volume {
	s.Helper()
	v, err := s.d.Create(s.ctx, s.spec(owner, n))
	require.NoError(s, err)
	return v
}

func (s *suite) stat(id storage.VolumeID) storage.Volume {
	s.Helper()
	v, err := s.d.Stat(s.ctx, id)
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

// only requires that these volumes and no others are listed.
func (s *suite) only(want ...storage.VolumeID) {
	s.Helper()
	slices.Sort(want)
	require.Equal(s, want, s.ids(storage.Filter{}))
}

// fails requires an *storage.OpError of a class.
func (s *suite) fails(err, class error) {
	s.Helper()
	require.ErrorIs(s, err, class)
	_, ok := errors.AsType[*storage.OpError](err)
	require.True(s, ok, "%T is no *storage.OpError", err)
}

// clean deletes every volume, clones before their bases, and requires that nothing remains, hidden or not.
func (s *suite) clean() {
	s.Helper()
	ctx := context.WithoutCancel(s.ctx)
	list := s.all(storage.Filter{})
	for n := 0; len(list) > 0; n++ {
		require.Less(s, n, 3, "%v is still there", list)
		for _, v := range list {
			require.NoError(s, s.d.Detach(ctx, v.ID))
			if err := s.d.Delete(ctx, v.ID); err != nil {
				require.ErrorIs(s, err, storage.ErrInUse)
			}
		}
		list = s.all(storage.Filter{})
	}
	s.noResidue()
}

func (s *suite) noResidue() {
	s.Helper()
	if s.c.Residue != nil {
		require.Empty(s, s.c.Residue(s.T, s.d), "left behind in the backend")
	}
}
