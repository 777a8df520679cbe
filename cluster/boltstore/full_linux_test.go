package boltstore_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/internal/need"
)

// TestFullDisk fills a file system of 2 MiB: the transaction that does not fit fails by name, smaller ones go on, and
// after making room everything works, now and after opening the file again.
func TestFullDisk(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		need.That(t, "mount", false, err.Error())
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	path := filepath.Join(dir, "state.db")
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()

	written := 0
	for err == nil {
		_, err = s.Txn(t.Context(), cluster.Put(fmt.Sprintf("/fill/%04d", written), make([]byte, 20_000)))
		written++
		require.Less(t, written, 200)
	}
	require.ErrorIs(t, err, cluster.ErrNoSpace)
	require.NotErrorIs(t, err, cluster.ErrBroken)
	written--
	kvs, rev, err := s.List(t.Context(), "/fill/")
	require.NoError(t, err)
	require.Len(t, kvs, written, "everything acknowledged and nothing else")
	_, err = s.Get(t.Context(), fmt.Sprintf("/fill/%04d", written))
	require.ErrorIs(t, err, cluster.ErrNotFound)

	var wg sync.WaitGroup // one that cannot fit does not take the small ones of its batch with it
	for i := range 20 {
		wg.Go(func() {
			size := 10
			if i == 0 {
				size = 1 << 20
			}
			_, err := s.Txn(t.Context(), cluster.Put(fmt.Sprintf("/batch/%d", i), make([]byte, size)))
			if i == 0 && !errors.Is(err, cluster.ErrNoSpace) {
				t.Errorf("large: %v", err)
			}
		})
	}
	wg.Wait()

	for i := range written {
		_, err := s.Txn(t.Context(), cluster.Delete(fmt.Sprintf("/fill/%04d", i)))
		if i > written/4 { // the first deletions may lack the room to write themselves down
			require.NoError(t, err, i)
		}
	}
	_, err = s.Txn(t.Context(), cluster.Put("/after", make([]byte, 20_000)))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	s, err = boltstore.Open(path, nil)
	require.NoError(t, err)
	kv, err := s.Get(t.Context(), "/after")
	require.NoError(t, err)
	require.Greater(t, kv.ModRev, rev)
}
