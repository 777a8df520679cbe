package storagetest

import (
	"errors"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// snapshotter returns the capability; if it is not claimed, it makes sure of that and returns false.
func (s *suite) snapshotter() (storage.Snapshotter, bool) {
	sn, ok := storage.As[storage.Snapshotter](s.d)
	if s.claims.Has(Snapshot) {
		require.True(s, ok, "claims Snapshot")
		return sn, true
	}
	if ok {
		v := s.create(100, 0)
		s.fails(sn.Snapshot(s.ctx, v.ID, "one"), errors.ErrUnsupported)
		s.fails(sn.Rollback(s.ctx, v.ID, "one"), errors.ErrUnsupported)
		list, err := sn.Snapshots(s.ctx, v.ID)
		require.True(s, err == nil || errors.Is(err, errors.ErrUnsupported), "%v", err)
		require.Empty(s, list)
	}
	return nil, false
}

// names are the names of a volume's snapshots, oldest first.
func (s *suite) names(sn storage.Snapshotter, id storage.VolumeID) []string {
	s.Helper()
	list, err := sn.Snapshots(s.ctx, id)
	require.NoError(s, err)
	var names []string
	for i, snap := range list {
		names = append(names, snap.Name)
		if i > 0 {
			require.False(s, snap.Created.Before(list[i-1].Created), "oldest first")
		}
	}
	return names
}

func (s *suite) snapshots() {
	sn, ok := s.snapshotter()
	if !ok {
		return
	}
	v := s.create(100, 0)
	require.Empty(s, s.names(sn, v.ID))
	for _, name := range []string{"one", "two", "three"} {
		require.NoError(s, sn.Snapshot(s.ctx, v.ID, name))
	}
	s.fails(sn.Snapshot(s.ctx, v.ID, "one"), storage.ErrExists)
	require.Equal(s, []string{"one", "two", "three"}, s.names(sn, v.ID))
	s.only(v.ID)
	require.NoError(s, sn.DeleteSnapshot(s.ctx, v.ID, "two"), "one in the middle")
	s.fails(sn.DeleteSnapshot(s.ctx, v.ID, "two"), storage.ErrNotFound)
	require.Equal(s, []string{"one", "three"}, s.names(sn, v.ID))
	require.NoError(s, sn.Rollback(s.ctx, v.ID, "three"))
	require.NoError(s, sn.Rollback(s.ctx, v.ID, "three"), "repeated after a crash")
	s.fails(sn.Rollback(s.ctx, v.ID, "two"), storage.ErrNotFound)
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "two"), "a name is free again")
	require.Equal(s, []string{"one", "three", "two"}, s.names(sn, v.ID))

	other := s.create(101, 0)
	require.Empty(s, s.names(sn, other.ID))
	require.NoError(s, sn.Snapshot(s.ctx, other.ID, "one"), "each volume has names of its own")

	absent := s.id(100, 9)
	s.fails(sn.Snapshot(s.ctx, absent, "one"), storage.ErrNotFound)
	s.fails(sn.Rollback(s.ctx, absent, "one"), storage.ErrNotFound)
	s.fails(sn.DeleteSnapshot(s.ctx, absent, "one"), storage.ErrNotFound)
	_, err := sn.Snapshots(s.ctx, absent)
	s.fails(err, storage.ErrNotFound)

	require.NoError(s, s.d.Delete(s.ctx, v.ID), "a volume goes with its snapshots")
	require.Empty(s, s.names(sn, s.create(100, 0).ID), "and none comes back with its name")
}

func (s *suite) snapshotNames() {
	if !s.claims.Has(Snapshot) {
		return // unclaimed: see snapshots
	}
	sn, _ := s.snapshotter()
	v := s.create(100, 0)
	for _, bad := range []string{
		"", "-a", "--all", "1", "a b", "a/b", "../x", "x\n", "\n", "x\x00", "a@b", "a%b", "a#b", "a,b", "é", strings.Repeat("a", 5000),
	} {
		s.fails(sn.Snapshot(s.ctx, v.ID, bad), storage.ErrBadID)
		s.fails(sn.Rollback(s.ctx, v.ID, bad), storage.ErrBadID)
		s.fails(sn.DeleteSnapshot(s.ctx, v.ID, bad), storage.ErrBadID)
		if o, ok := storage.As[storage.SnapshotOpener](s.d); ok && s.claims.Has(OpenSnapshot) {
			_, err := o.OpenSnapshot(s.ctx, v.ID, bad)
			s.fails(err, storage.ErrBadID)
		}
	}
	require.Empty(s, s.names(sn, v.ID))
	for _, good := range []string{"a", "before-upgrade", "Snap_2", "vm-100-disk-0", strings.Repeat("a", 40)} {
		require.NoError(s, sn.Snapshot(s.ctx, v.ID, good))
	}
}

// snapshotContent: content follows the tree.
func (s *suite) snapshotContent() {
	if !s.claims.Has(Snapshot | Open) {
		return // unclaimed: see snapshots and open
	}
	sn, _ := s.snapshotter()
	v := s.create(100, 0)
	one, two, three := pattern(s.size, 1), pattern(s.size, 2), pattern(s.size, 3)
	s.write(v.ID, one)
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "one"))
	s.write(v.ID, two)
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "two"))
	s.write(v.ID, three)
	s.holds(v.ID, three)
	require.NoError(s, sn.Rollback(s.ctx, v.ID, "two"))
	s.holds(v.ID, two)
	s.write(v.ID, three)
	require.NoError(s, sn.DeleteSnapshot(s.ctx, v.ID, "two"))
	s.holds(v.ID, three)
	require.NoError(s, sn.Rollback(s.ctx, v.ID, "one"))
	s.holds(v.ID, one)
	require.Equal(s, []string{"one"}, s.names(sn, v.ID))
	if r, ok := storage.As[storage.Resizer](s.d); ok && s.claims.Has(Resize) {
		grown, err := r.Resize(s.ctx, v.ID, 2*s.size)
		require.NoError(s, err)
		require.Equal(s, 2*s.size, grown.SizeBytes, "a volume with snapshots grows")
		require.NoError(s, sn.Rollback(s.ctx, v.ID, "one"))
		s.holds(v.ID, one)
		require.Contains(s, []int64{s.size, 2 * s.size}, s.stat(v.ID).SizeBytes, "back to the old size, or grown and still sound")
	}
}

func (s *suite) rollbackPast() {
	if !s.claims.Has(Snapshot) {
		return // unclaimed: see snapshots
	}
	sn, _ := s.snapshotter()
	v := s.create(100, 0)
	one, two := pattern(s.size, 1), pattern(s.size, 2)
	if s.claims.Has(Open) {
		s.write(v.ID, one)
	}
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "one"))
	if s.claims.Has(Open) {
		s.write(v.ID, two)
	}
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "two"))
	err := sn.Rollback(s.ctx, v.ID, "one")
	want := one
	if s.claims.Has(RollbackPast) {
		require.NoError(s, err)
	} else {
		s.fails(err, storage.ErrInUse)
		want = two
	}
	require.Equal(s, []string{"one", "two"}, s.names(sn, v.ID))
	if s.claims.Has(Open) {
		s.holds(v.ID, want)
	}
	if s.claims.Has(RollbackPast | Open) {
		require.NoError(s, sn.Rollback(s.ctx, v.ID, "two"), "and forward again")
		s.holds(v.ID, two)
	}
}

func (s *suite) openSnapshot() {
	o, ok := storage.As[storage.SnapshotOpener](s.d)
	if !s.claims.Has(OpenSnapshot) {
		if ok {
			_, err := o.OpenSnapshot(s.ctx, s.create(100, 0).ID, "one")
			s.fails(err, errors.ErrUnsupported)
		}
		return
	}
	require.True(s, ok, "claims OpenSnapshot")
	require.True(s, s.claims.Has(Snapshot|Open), "OpenSnapshot needs Snapshot and Open")
	sn, _ := s.snapshotter()
	v := s.create(100, 0)
	one, two := pattern(s.size, 1), pattern(s.size, 2)
	s.write(v.ID, one)
	require.NoError(s, sn.Snapshot(s.ctx, v.ID, "one"))
	s.write(v.ID, two)
	for range 2 { // closing undoes what was activated, so it can be had again
		img, err := o.OpenSnapshot(s.ctx, v.ID, "one")
		require.NoError(s, err)
		if direct(img) {
			_, err := img.File.WriteAt([]byte("x"), 0)
			require.Error(s, err, "opened for reading")
		}
		got, err := s.c.Content.Read(s.ctx, img, s.size)
		require.NoError(s, err)
		s.same(one, got)
		require.NoError(s, img.Close())
	}
	s.holds(v.ID, two)
	_, err := o.OpenSnapshot(s.ctx, v.ID, "other")
	s.fails(err, storage.ErrNotFound)
	_, err = o.OpenSnapshot(s.ctx, s.id(100, 9), "one")
	s.fails(err, storage.ErrNotFound)
	require.NoError(s, sn.DeleteSnapshot(s.ctx, v.ID, "one"), "closed, so not in use")
}
