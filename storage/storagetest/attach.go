package storagetest

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) attach() {
	v := s.create(100, 0)
	first, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	again, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	require.Equal(s, first, again)
	switch at := first.(type) {
	case storage.File:
		if s.format == storage.Subvol {
			require.DirExists(s, at.Path)
		} else {
			require.FileExists(s, at.Path)
		}
		require.Equal(s, s.format, at.Format)
		require.False(s, at.ReadOnly)
		require.Nil(s, at.Backing)
	case storage.Block:
		fi, err := os.Stat(at.Path)
		require.NoError(s, err)
		require.NotZero(s, fi.Mode()&os.ModeDevice, "%s is a device", at.Path)
		require.Equal(s, s.format, at.Format)
		require.False(s, at.ReadOnly)
	case storage.RBD:
		require.NotEmpty(s, at.Pool)
		require.NotEmpty(s, at.Image)
	case storage.ISCSI:
		require.NotEmpty(s, at.Portal)
		require.NotEmpty(s, at.Target)
	default:
		require.Fail(s, "unknown attachment", "%T", first)
	}
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
	back, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	require.Equal(s, first, back, "attached again at the same place")
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
	require.NoError(s, s.d.Delete(s.ctx, v.ID))
	require.NoError(s, s.d.Detach(s.ctx, v.ID), "detaching what is gone is done")
}

// local returns the path of an attachment on this machine.
func local(at storage.Attachment) (string, bool) {
	switch at := at.(type) {
	case storage.File:
		return at.Path, true
	case storage.Block:
		return at.Path, true
	}
	return "", false
}

func (s *suite) handOver() {
	v := s.create(100, 0)
	at, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	path, ok := local(at)
	if !ok || s.format == storage.Subvol {
		return // librbd and libiscsi ask for keys, not for owners; a folder's files have owners of their own
	}
	need.Root(s.T)
	owner := func() int {
		s.Helper()
		fi, err := os.Stat(path)
		require.NoError(s, err)
		require.Zero(s, fi.Mode().Perm()&0o007, "nothing for everybody")
		return int(fi.Sys().(*syscall.Stat_t).Uid)
	}
	for _, uid := range []int{200100, 200100, 200101} {
		moved, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{UID: uid})
		require.NoError(s, err)
		require.Equal(s, at, moved)
		require.Equal(s, uid, owner())
	}
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
	if _, err := os.Stat(path); err == nil {
		require.Equal(s, os.Geteuid(), owner(), "the last user has no right left")
	}
}

// use makes an attachment busy like a running guest.
func use(t *testing.T, at storage.Attachment) (release func()) {
	t.Helper()
	path, ok := local(at)
	require.True(t, ok, "Config.Use is needed for %T", at)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	if _, ok := at.(storage.File); ok {
		require.NoError(t, lockLikeQEMU(f))
	}
	return func() { f.Close() }
}

// inUse: what a guest has open is neither deleted nor changed under it.
func (s *suite) inUse() {
	if s.format == storage.Subvol {
		return // nobody locks a folder
	}
	v := s.create(100, 0)
	at, err := s.d.Attach(s.ctx, v.ID, storage.AttachOptions{})
	require.NoError(s, err)
	release := s.c.Use(s.T, at)
	defer release()
	s.fails(s.d.Delete(s.ctx, v.ID), storage.ErrInUse)
	if x, ok := storage.As[storage.Cloner](s.d); ok && s.claims.Has(Clone) {
		_, err := x.MakeBase(s.ctx, v.ID)
		s.fails(err, storage.ErrInUse)
	}
	if x, ok := storage.As[storage.Renamer](s.d); ok && s.claims.Has(Rename) {
		_, err := x.Rename(s.ctx, v.ID, s.id(101, 0))
		s.fails(err, storage.ErrInUse)
	}
	if x, ok := storage.As[storage.Resizer](s.d); ok && s.claims.Has(Resize) {
		grown, err := x.Resize(s.ctx, v.ID, 2*s.size)
		if err == nil {
			require.Equal(s, 2*s.size, grown.SizeBytes)
		} else {
			s.fails(err, storage.ErrInUse)
		}
	}
	if x, ok := storage.As[storage.Snapshotter](s.d); ok && s.claims.Has(Snapshot) {
		if err := x.Snapshot(s.ctx, v.ID, "live"); err == nil { // the backend can; its guest was paused by the caller
			s.fails(x.Rollback(s.ctx, v.ID, "live"), storage.ErrInUse)
		} else {
			s.fails(err, storage.ErrInUse)
		}
	}
	s.only(v.ID)
	release()
	require.NoError(s, s.d.Detach(s.ctx, v.ID))
	require.NoError(s, s.d.Delete(s.ctx, v.ID))
}

// open: what Open gives is the volume, and nothing more than was asked for.
func (s *suite) open() {
	o, ok := storage.As[storage.Opener](s.d)
	if !s.claims.Has(Open) {
		if ok {
			_, err := o.Open(s.ctx, s.create(100, 0).ID, false)
			s.fails(err, errors.ErrUnsupported)
		}
		return
	}
	v := s.create(100, 0)
	_, err := s.opener().Open(s.ctx, s.id(100, 7), false)
	s.fails(err, storage.ErrNotFound)
	img, err := s.opener().Open(s.ctx, v.ID, false)
	require.NoError(s, err)
	require.Equal(s, s.format, img.Format)
	require.Nil(s, img.Backing)
	require.Empty(s, img.Snapshot)
	if img.File != nil {
		require.Nil(s, img.Remote)
		_, err := img.File.WriteAt([]byte("x"), 0)
		require.Error(s, err, "opened for reading")
	} else {
		require.NotNil(s, img.Remote)
	}
	require.NoError(s, img.Close())
	want := pattern(s.size, 2)
	s.write(v.ID, want)
	s.holds(v.ID, want)
}
