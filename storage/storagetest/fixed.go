package storagetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// Fixed is a driver under test whose volumes are made by somebody else, such as the LUNs of a target.
type Fixed struct {
	// New returns a driver of a backend with the given volumes, cleaned up with t.
	New func(t *testing.T) (d storage.Driver, have []storage.VolumeID)
	// Absent is an id of a volume that is not there.
	Absent storage.VolumeID
	// SizeBytes of each volume.
	SizeBytes int64
	// Bad are ids that mean nothing to the driver, beyond those that mean nothing to any.
	Bad []storage.VolumeID
	// Open says that volumes can be opened; Content and Use are as in Config.
	Open    bool
	Content Content
	Use     func(t *testing.T, at storage.Attachment) (release func())
}

// RunFixed tests a driver that can neither make nor remove volumes.
func RunFixed(t *testing.T, c Fixed) {
	config := Config{
		New:    func(t *testing.T) storage.Driver { d, _ := c.New(t); return d },
		Claims: map[storage.Format]Claims{storage.Raw: 0}, Content: c.Content, Use: c.Use, SizeBytes: c.SizeBytes, Bad: c.Bad,
		ID: func(int, int, storage.Format) storage.VolumeID { return c.Absent },
	}.withDefaults(t)
	if c.Open {
		config.Claims[storage.Raw] = Open
	}
	for name, test := range map[string]func(*suite, []storage.VolumeID){
		"lists": (*suite).fixedLists, "attach": (*suite).fixedAttach, "nothing is made": (*suite).fixedMakesNothing,
		"content": (*suite).fixedContent, "absent volumes": (*suite).fixedAbsent, "threat 1 hostile names": (*suite).fixedNames,
	} {
		t.Run(name, func(t *testing.T) {
			d, have := c.New(t)
			require.NotEmpty(t, have)
			s := &suite{T: t, ctx: t.Context(), c: config, d: d, format: storage.Raw, claims: config.Claims[storage.Raw], size: c.SizeBytes}
			s.only(have...)
			test(s, have)
			s.only(have...)
		})
	}
}

func (s *suite) fixedLists(have []storage.VolumeID) {
	for _, v := range s.all(storage.Filter{}) {
		require.Equal(s, s.stat(v.ID), v, "a list and Stat say the same")
		require.Equal(s, s.size, v.SizeBytes)
		require.Equal(s, storage.Raw, v.Format)
		require.Equal(s, storage.Images, v.Content)
		require.Zero(s, v.Owner)
	}
	require.Empty(s, s.ids(storage.Filter{Content: storage.ISO}))
	require.Empty(s, s.ids(storage.Filter{Owner: 100}))
}

func (s *suite) fixedAttach(have []storage.VolumeID) {
	for _, id := range have {
		first, err := s.d.Attach(s.ctx, id, storage.AttachOptions{})
		require.NoError(s, err)
		again, err := s.d.Attach(s.ctx, id, storage.AttachOptions{})
		require.NoError(s, err)
		require.Equal(s, first, again)
		require.NoError(s, s.d.Detach(s.ctx, id))
		require.NoError(s, s.d.Detach(s.ctx, id))
	}
}

func (s *suite) fixedMakesNothing(have []storage.VolumeID) {
	_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: s.c.ID(0, 0, s.format), SizeBytes: s.size})
	s.fails(err, errors.ErrUnsupported)
	s.fails(s.d.Delete(s.ctx, have[0]), errors.ErrUnsupported)
	for _, feature := range []storage.Features{storage.FeatureSnapshot, storage.FeatureResize, storage.FeatureRename, storage.FeatureTemplate} {
		require.False(s, s.stat(have[0]).Features.Has(feature))
	}
	s.snapshotterOf(have[0])
	if r, ok := storage.As[storage.Resizer](s.d); ok {
		_, err := r.Resize(s.ctx, have[0], 2*s.size)
		s.fails(err, errors.ErrUnsupported)
	}
	if u, err := s.d.Usage(s.ctx); err != nil {
		s.fails(err, errors.ErrUnsupported)
	} else {
		require.GreaterOrEqual(s, u.TotalBytes, u.UsedBytes)
	}
}

func (s *suite) snapshotterOf(id storage.VolumeID) {
	s.Helper()
	if sn, ok := storage.As[storage.Snapshotter](s.d); ok {
		s.fails(sn.Snapshot(s.ctx, id, "one"), errors.ErrUnsupported)
	}
}

func (s *suite) fixedContent(have []storage.VolumeID) {
	if !s.claims.Has(Open) {
		if o, ok := storage.As[storage.Opener](s.d); ok {
			_, err := o.Open(s.ctx, have[0], false)
			s.fails(err, errors.ErrUnsupported)
		}
		return
	}
	for i, id := range have {
		s.write(id, pattern(s.size, byte(i)))
	}
	for i, id := range have {
		s.holds(id, pattern(s.size, byte(i)))
	}
}

func (s *suite) fixedAbsent([]storage.VolumeID) {
	id := s.c.ID(0, 0, s.format)
	_, err := s.d.Stat(s.ctx, id)
	s.fails(err, storage.ErrNotFound)
	_, err = s.d.Attach(s.ctx, id, storage.AttachOptions{})
	s.fails(err, storage.ErrNotFound)
	require.NoError(s, s.d.Detach(s.ctx, id))
}

func (s *suite) fixedNames([]storage.VolumeID) {
	for _, id := range append(hostile(s.c.ID(0, 0, s.format)), s.c.Bad...) {
		_, err := s.d.Stat(s.ctx, id)
		s.fails(err, storage.ErrBadID)
		_, err = s.d.Attach(s.ctx, id, storage.AttachOptions{})
		s.fails(err, storage.ErrBadID)
		s.fails(s.d.Detach(s.ctx, id), storage.ErrBadID)
	}
}
